import { defineMatch, UsageError } from '../contract.ts';
import { not } from '../words.ts';

/** `struct xt_statistic_info`. */
interface StatisticMatch {
  mode: 'random' | 'nth';
  invert: boolean;
  /** In units of 2^-31. */
  probability: number;
  every: number;
  packet: number;
}

const ONE = 0x80000000;
const DECIMALS = 10n ** 11n;

/** The probability with 11 decimals, ties to even as printf rounds them. */
function probabilityText(probability: number): string {
  const scaled = BigInt(probability) * DECIMALS;
  const unit = BigInt(ONE);
  let digits = scaled / unit;
  const twice = 2n * (scaled % unit);
  if (twice > unit || (twice === unit && digits % 2n === 1n)) digits++;
  const text = digits.toString().padStart(12, '0');
  return `${text.slice(0, -11)}.${text.slice(-11)}`;
}

function describe(data: StatisticMatch, prefix: string): string {
  if (data.mode === 'random')
    return ` ${prefix}mode random${not(data.invert)} ${prefix}probability ${probabilityText(data.probability)}`;
  const packet = data.packet !== 0 || prefix !== '' ? ` ${prefix}packet ${data.packet}` : '';
  return ` ${prefix}mode nth${not(data.invert)} ${prefix}every ${data.every}${packet}`;
}

const HELP = `statistic match options:
 --mode mode                    Match mode (random, nth)
 random mode:
[!] --probability p		 Probability
 nth mode:
[!] --every n			 Match every nth packet
 --packet p			 Initial counter value (0 <= p <= n-1, default 0)
`;

export const statistic = defineMatch<StatisticMatch>({
  name: 'statistic',
  families: [4, 6],
  options: [
    { name: 'mode', type: 'string', mandatory: true },
    { name: 'probability', type: 'double', invert: true, min: 0, max: 1, excludes: ['every', 'packet'] },
    { name: 'every', type: 'uint32', invert: true, min: 1, excludes: ['probability'], requires: ['packet'] },
    { name: 'packet', type: 'uint32', excludes: ['probability'], requires: ['every'] },
  ],
  init: () => ({ mode: 'random', invert: false, probability: 0, every: 1, packet: 0 }),
  parse(data, option) {
    if (option.invert) data.invert = true;
    switch (option.name) {
      case 'mode':
        if (option.text !== 'random' && option.text !== 'nth') throw new UsageError(`Bad mode "${option.text}"`);
        data.mode = option.text;
        break;
      case 'probability':
        data.probability = Math.round(ONE * option.number);
        // Both share a field in the kernel's structure.
        data.every = data.probability + 1;
        break;
      case 'every':
        data.every = option.number;
        break;
      case 'packet':
        data.packet = option.number;
        break;
    }
  },
  finish(data, { seen }) {
    if (data.mode === 'random' && !seen.has('probability'))
      throw new UsageError('--probability must be specified when using random mode');
    if (data.mode === 'nth' && !seen.has('every') && !seen.has('packet'))
      throw new UsageError('--every and --packet must be specified when using nth mode');
    if (data.packet > data.every - 1) throw new UsageError('the --packet p must be 0 <= p <= n-1');
  },
  save: (data) => describe(data, '--'),
  print: (data) => ` statistic${describe(data, '')}`,
  help: () => HELP,
  explain(data) {
    if (data.mode === 'random') {
      const percent = Number(((data.probability / ONE) * 100).toPrecision(6));
      return data.invert ? `by chance, in all but ${percent}% of cases` : `by chance, in ${percent}% of cases`;
    }
    const which = `packet ${data.packet + 1} of every ${data.every} that get here`;
    return data.invert ? `all but ${which}` : which;
  },
  // `statistic_mt` (net/netfilter/xt_statistic.c)
  compile({ mode, invert, probability, every, packet }, environment) {
    if (mode === 'random') {
      const { machine } = environment;
      return () => (machine.random() & 0x7fffffff) < probability !== invert;
    }
    const last = every - 1;
    const state = environment.ruleState('statistic', () => ({ count: last - packet }));
    return () => {
      state.count = state.count === last ? 0 : state.count + 1;
      return (state.count === 0) !== invert;
    };
  },
});
