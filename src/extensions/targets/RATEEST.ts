import { Verdict } from '../../datapath/verdicts.ts';
import { defineTarget, UsageError } from '../contract.ts';
import { feedRateEstimator, makeRateEstimator, RATE_ESTIMATOR } from '../rate-estimator.ts';
import { storedName } from '../words.ts';

/** `struct xt_rateest_target_info`, and the times from which its logarithms are made. */
interface RateestTarget {
  name: string;
  /** Microseconds. */
  interval: number;
  ewma: number;
  /** -2 (250 ms) to 3 (8 s). */
  intervalLog: number;
  ewmaLog: number;
  /** The second logarithm as it was kept, in place of a time. */
  keptLog?: number;
}

const HELP = `RATEEST target options:
  --rateest-name name		Rate estimator name
  --rateest-interval sec	Rate measurement interval in seconds
  --rateest-ewmalog value	Rate measurement averaging time constant
`;

const SECOND = 1_000_000;
const LONGEST_NAME = 15;
const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  s: SECOND,
  sec: SECOND,
  secs: SECOND,
  ms: 1000,
  msec: 1000,
  msecs: 1000,
  us: 1,
  usec: 1,
  usecs: 1,
};
/** A number as `strtod` reads it, and the unit behind it. */
const TIME = /^[\t-\r ]*([+-]?(?:0x[0-9a-f]+|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan))(.*)$/is;

/** Microseconds of `250ms`, `1s`, `4` (microseconds); null if it is no time. */
function readTime(text: string): number | null {
  const match = TIME.exec(text);
  if (match === null) return null;
  const unit = UNITS[match[2]!.toLowerCase()];
  if (unit === undefined) return null;
  const sign = match[1]!.startsWith('-') ? -1 : 1;
  // What is no number ends as 0 in the kernel's field.
  if (/[in]/i.test(match[1]!)) return 0;
  return Number(BigInt.asUintN(32, BigInt(Math.trunc(sign * Number(match[1]!.replace(/^[+-]/, '')) * unit))));
}

function timeText(time: number): string {
  if (time >= SECOND) return ` ${(time / SECOND).toFixed(1)}s`;
  return time >= 1000 ? ` ${(time / 1000).toFixed(1)}ms` : ` ${time}us`;
}

function texts({ intervalLog, ewmaLog }: RateestTarget, name: string, prefix: string): string {
  const interval = (SECOND * 2 ** (intervalLog + 2)) / 4;
  const ewma = (interval * 2 ** ewmaLog) % 2 ** 32;
  return ` ${prefix}name${name} ${prefix}interval${timeText(interval)} ${prefix}ewmalog${timeText(ewma)}`;
}

/** The save text of what is kept of a rule: a kept logarithm becomes a time again. */
export function savedEwma(text: string): string {
  return text.replace(
    /( --rateest-interval (\S+) --rateest-ewmalog )=(\d+)/,
    (_, head: string, interval: string, log) => {
      const ewma = ((readTime(interval) ?? 0) * 2 ** Number(log)) % 2 ** 32;
      return head + timeText(ewma).slice(1);
    },
  );
}

export const RATEEST = defineTarget<RateestTarget>({
  name: 'RATEEST',
  families: [4, 6],
  options: [
    { name: 'rateest-name', type: 'string', mandatory: true },
    { name: 'rateest-interval', type: 'string', mandatory: true },
    { name: 'rateest-ewmalog', type: 'string', mandatory: true },
  ],
  init: () => ({ name: '', interval: 0, ewma: 0, intervalLog: 0, ewmaLog: 0 }),
  parse(data, { name, text }) {
    if (name === 'rateest-name') {
      data.name = text.slice(0, LONGEST_NAME);
      return;
    }
    if (/^=\d+$/.test(text)) {
      data.keptLog = Number(text.slice(1));
      return;
    }
    const time = readTime(text);
    const what = name === 'rateest-interval' ? 'interval' : 'ewma';
    if (time === null) throw new UsageError(`RATEEST: bad ${what === 'ewma' ? 'ewmalog' : what} value "${text}"`);
    data[what] = time;
  },
  finish(data) {
    let log = 0;
    while (log <= 5 && data.interval > 2 ** log * (SECOND / 4)) log++;
    if (log > 5) throw new UsageError('RATEEST: interval value is too large');
    data.intervalLog = log - 2;
    if (data.keptLog !== undefined) {
      data.ewmaLog = data.keptLog;
      return;
    }
    let ewmaLog = 1;
    while (ewmaLog < 32 && data.interval / -Math.log(1 - 1 / 2 ** ewmaLog) <= data.ewma) ewmaLog++;
    data.ewmaLog = ewmaLog - 1;
    if (data.ewmaLog === 0 || data.ewmaLog >= 31) throw new UsageError('RATEEST: ewmalog value is out of range');
  },
  save: (data) => texts(data, ` ${data.name}`, '--rateest-'),
  store(data) {
    const text = texts(data, ` ${storedName(data.name)}`, '--rateest-');
    // What has lost its upper bits on the way into the text is kept as the logarithm.
    const wraps = SECOND * 2 ** data.intervalLog * 2 ** data.ewmaLog >= 2 ** 32;
    return wraps ? text.replace(/\S+$/, `=${data.ewmaLog}`) : text;
  },
  print: (data) => texts(data, ` ${data.name}`, ''),
  help: () => HELP,
  same: (a, b) => texts(a, a.name, '') === texts(b, b.name, ''),
  explain: ({ name }) => `the packet counts in the rate ${name}`,
  compile({ name, intervalLog, ewmaLog }, { machine }) {
    const estimator = machine.namedState(RATE_ESTIMATOR, name, () =>
      makeRateEstimator(intervalLog, ewmaLog, machine.now()),
    );
    return (packet) => {
      feedRateEstimator(estimator, packet.bytes.length, machine.now());
      return Verdict.next;
    };
  },
});
