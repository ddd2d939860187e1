import { parseUnsigned, scanDouble } from '../../syntax/numbers.ts';
import { defineMatch, type ParseContext, UsageError } from '../contract.ts';
import {
  estimatedBytes,
  estimatedPackets,
  makeRateEstimator,
  RATE_ESTIMATOR,
  type RateEstimator,
} from '../rate-estimator.ts';
import { not } from '../words.ts';

/** `struct xt_rateest_match_info`. */
interface RateestMatch {
  name1: string;
  name2: string;
  mode: 'lt' | 'gt' | 'eq' | null;
  invert: boolean;
  /** Two estimators are compared instead of one with a number. */
  relative: boolean;
  delta: boolean;
  testBytes: boolean;
  testPackets: boolean;
  bytes1: number;
  bytes2: number;
  packets1: number;
  packets2: number;
}

/** IFNAMSIZ, less the final zero byte. */
const MAX_NAME = 15;

const SUFFIXES: readonly [name: string, bits: number][] = [
  ['bit', 1],
  ['kibit', 1024],
  ['kbit', 1000],
  ['mibit', 1024 ** 2],
  ['mbit', 1e6],
  ['gibit', 1024 ** 3],
  ['gbit', 1e9],
  ['tibit', 1024 ** 4],
  ['tbit', 1e12],
  ['bps', 8],
  ['kibps', 8 * 1024],
  ['kbps', 8000],
  ['mibps', 8 * 1024 ** 2],
  ['mbps', 8e6],
  ['gibps', 8 * 1024 ** 3],
  ['gbps', 8e9],
  ['tibps', 8 * 1024 ** 4],
  ['tbps', 8e12],
];

/** Bytes a second of a rate with or without a unit; null if it is none. */
function parseRate(text: string): number | null {
  const number = scanDouble(text);
  if (number === null) return null;
  const unit = text.slice(number.end).toLowerCase();
  const suffix = unit === '' ? SUFFIXES[0] : SUFFIXES.find(([name]) => name === unit);
  return suffix === undefined ? null : toUint32((number.value * suffix[1]) / 8);
}

/** A double as the real tool's machine makes an unsigned int of it: through 64 bits, of which what does not fit leaves 0. */
function toUint32(value: number): number {
  return Math.abs(value) < 2 ** 63 ? Number(BigInt.asUintN(32, BigInt(Math.trunc(value)))) : 0;
}

function rateText(rate: number, numeric: boolean): string {
  if (numeric) return ` ${rate}`;
  const bits = rate * 8;
  if (bits >= 1e9) return ` ${roundEven(bits / 1e6)}Mbit`;
  if (bits >= 1e6) return ` ${roundEven(bits / 1e3)}Kbit`;
  return ` ${bits}bit`;
}

/** `%.0f`: halves go to the even number. */
function roundEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function modeText(data: RateestMatch, prefix: string): string {
  return data.mode === null ? '' : `${not(data.invert)} ${prefix}${data.mode}`;
}

function saveRates(data: RateestMatch): string {
  const part = (name: string, first: number, second: number, numeric: boolean): string => {
    const mode = modeText(data, '--rateest-');
    const head = data.delta
      ? ` --rateest-${name}1${rateText(first, numeric)}${mode} --rateest-${name}2`
      : `${mode} --rateest-${name}`;
    return head + (!data.relative || data.delta ? rateText(second, numeric) : '');
  };
  return (
    (data.testBytes ? part('bps', data.bytes1, data.bytes2, false) : '') +
    (data.testPackets ? part('pps', data.packets1, data.packets2, true) : '')
  );
}

/** The checks that come with each option: no `!`, not twice. */
function refuse(seen: ParseContext['seen'], name: string, invert: boolean, what: string): void {
  if (invert) throw new UsageError(`rateest: ${what} can't be inverted`);
  if (seen.has(name)) throw new UsageError(`rateest: can't specify --${name} twice`);
}

const HELP = `rateest match options:
 --rateest1 name		Rate estimator name
 --rateest2 name		Rate estimator name
 --rateest-delta		Compare difference(s) to given rate(s)
 --rateest-bps1 [bps]		Compare bps
 --rateest-pps1 [pps]		Compare pps
 --rateest-bps2 [bps]		Compare bps
 --rateest-pps2 [pps]		Compare pps
 [!] --rateest-lt		Match if rate is less than given rate/estimator
 [!] --rateest-gt		Match if rate is greater than given rate/estimator
 [!] --rateest-eq		Match if rate is equal to given rate/estimator
`;

export const rateest = defineMatch<RateestMatch>({
  name: 'rateest',
  families: [4, 6],
  style: 'classic',
  options: [
    { name: 'rateest1', type: 'string', invert: true },
    { name: 'rateest', type: 'string', invert: true, synonymOf: 'rateest1' },
    { name: 'rateest2', type: 'string', invert: true },
    { name: 'rateest-bps1', type: 'none', invert: true, second: true },
    { name: 'rateest-pps1', type: 'none', invert: true, second: true },
    { name: 'rateest-bps2', type: 'none', invert: true, second: true },
    { name: 'rateest-pps2', type: 'none', invert: true, second: true },
    { name: 'rateest-bps', type: 'none', invert: true, second: true, synonymOf: 'rateest-bps2' },
    { name: 'rateest-pps', type: 'none', invert: true, second: true, synonymOf: 'rateest-pps2' },
    { name: 'rateest-delta', type: 'none', invert: true },
    { name: 'rateest-lt', type: 'none', invert: true },
    { name: 'rateest-gt', type: 'none', invert: true },
    { name: 'rateest-eq', type: 'none', invert: true },
  ],
  init: () => ({
    name1: '',
    name2: '',
    mode: null,
    invert: false,
    relative: false,
    delta: false,
    testBytes: false,
    testPackets: false,
    bytes1: 0,
    bytes2: 0,
    packets1: 0,
    packets2: 0,
  }),
  parse(data, option, { seen }) {
    const { name, invert, text } = option;
    const second = option.second ?? null;
    switch (name) {
      case 'rateest1':
        refuse(seen, name, invert, 'rateest');
        data.name1 = text.slice(0, MAX_NAME);
        break;
      case 'rateest2':
        refuse(seen, name, invert, 'rateest');
        data.name2 = text.slice(0, MAX_NAME);
        data.relative = true;
        break;
      case 'rateest-bps1':
      case 'rateest-bps2': {
        refuse(seen, name, invert, 'rateest-bps');
        data.testBytes = true;
        if (second === null) break;
        const rate = parseRate(second);
        if (rate === null) throw new UsageError(`rateest: could not parse rate \`${second}'`);
        data[name === 'rateest-bps1' ? 'bytes1' : 'bytes2'] = rate;
        break;
      }
      case 'rateest-pps1':
      case 'rateest-pps2': {
        refuse(seen, name, invert, 'rateest-pps');
        data.testPackets = true;
        if (second === null) break;
        const rate = parseUnsigned(second, 0, 0xffffffff);
        if (rate === null) throw new UsageError(`rateest: could not parse pps \`${second}'`);
        data[name === 'rateest-pps1' ? 'packets1' : 'packets2'] = rate;
        break;
      }
      case 'rateest-delta':
        refuse(seen, name, invert, 'rateest-delta');
        data.delta = true;
        break;
      default:
        if (seen.has(name)) throw new UsageError("rateest: can't specify lt/gt/eq twice");
        data.mode = name === 'rateest-lt' ? 'lt' : name === 'rateest-gt' ? 'gt' : 'eq';
        if (invert) data.invert = true;
    }
  },
  save: (data) =>
    (data.delta ? ' --rateest-delta' : '') +
    (data.relative
      ? ` --rateest1 ${data.name1}${saveRates(data)} --rateest2 ${data.name2}`
      : ` --rateest ${data.name1}${saveRates(data)}`),
  print(data, { numeric }) {
    const { relative, delta } = data;
    let text = ` rateest match ${data.name1}${delta ? ' delta' : ''}`;
    if (data.testBytes) {
      text += ` bps${delta ? rateText(data.bytes1, numeric) : ''}`;
      if (!relative) text += rateText(data.bytes2, numeric) + modeText(data, '');
    }
    if (data.testPackets) {
      text += ` pps${delta ? ` ${data.packets1}` : ''}`;
      if (!relative) text += `${modeText(data, '')} ${data.packets2}`;
    }
    if (!relative) return text;
    text += `${modeText(data, '')} ${data.name2}`;
    if (data.testBytes) text += ` bps${delta ? rateText(data.bytes2, numeric) : ''}`;
    if (data.testPackets) text += ` pps${delta ? ` ${data.packets2}` : ''}`;
    return text;
  },
  help: () => HELP,
  check(data, { rateEstimators }) {
    if (data.mode === null || !(data.testBytes || data.testPackets)) return 'EINVAL';
    if (rateEstimators === undefined) return null;
    const exists = rateEstimators.has(data.name1) && (!data.relative || rateEstimators.has(data.name2));
    return exists ? null : 'ENOENT';
  },
  explain(data) {
    const words = { lt: 'below', gt: 'above', eq: 'equal to' } as const;
    const what = data.testBytes ? (data.testPackets ? 'byte and packet rates' : 'byte rate') : 'packet rate';
    const number = data.testBytes ? `${data.bytes2} bytes/s` : `${data.packets2} packets/s`;
    return `the ${what} of ${data.name1} is ${data.invert ? 'not ' : ''}${words[data.mode ?? 'eq']} ${data.relative ? `that of ${data.name2}` : number}`;
  },
  // `xt_rateest_mt` (net/netfilter/xt_rateest.c)
  compile(data, { machine }) {
    // The rule that feeds an estimator makes it; until it has run, one that has seen nothing stands in.
    const find = (name: string): RateEstimator =>
      machine.namedState(RATE_ESTIMATOR, name, () => makeRateEstimator(0, 1, machine.now()));
    const { mode, invert, relative, delta, testBytes, testPackets } = data;
    const compare = (a: number, b: number): boolean => (mode === 'lt' ? a < b : mode === 'gt' ? a > b : a === b);
    const less = (limit: number, rate: number): number => (delta ? Math.max(0, limit - rate) : rate);
    return () => {
      const now = machine.now();
      const first = find(data.name1);
      const other = relative ? find(data.name2) : null;
      let matched = true;
      if (testBytes) {
        const b = other === null ? data.bytes2 : less(data.bytes2, estimatedBytes(other, now));
        matched &&= compare(less(data.bytes1, estimatedBytes(first, now)), b);
      }
      if (testPackets) {
        const b = other === null ? data.packets2 : less(data.packets2, estimatedPackets(other, now));
        matched &&= compare(less(data.packets1, estimatedPackets(first, now)), b);
      }
      return matched !== invert;
    };
  },
});
