import { scanDecimal } from '../../syntax/numbers.ts';
import { defineMatch, type MatchFunction, UsageError } from '../contract.ts';
import { HZ, jiffiesAt } from '../jiffies.ts';

/** `struct xt_rateinfo`: `average` is the time for one packet in units of 1/10000 s. */
interface LimitMatch {
  average: number;
  burst: number;
}

/** XT_LIMIT_SCALE */
const SCALE = 10000;
const DEFAULT_BURST = 5;
/** CREDITS_PER_JIFFY: the power of two below 2^32 / (HZ * seconds of a day). */
const CREDITS_PER_JIFFY = 128;

/** Units in which a rate is written, longest first. */
const UNITS: readonly [name: string, seconds: number][] = [
  ['day', 86400],
  ['hour', 3600],
  ['min', 60],
  ['sec', 1],
];

/** Seconds of a unit given by any beginning of its name; null if it is none. */
export function parseUnit(text: string): number | null {
  const word = text.toLowerCase();
  if (word === '') return null;
  if ('second'.startsWith(word)) return 1;
  if ('minute'.startsWith(word)) return 60;
  if ('hour'.startsWith(word)) return 3600;
  return 'day'.startsWith(word) ? 86400 : null;
}

/** The unit in which a period is written, and the rate in that unit (`print_rate` of libxt_limit.c, libxt_hashlimit.c). */
export function rateOf(period: number, scale: number): { rate: number; unit: string; seconds: number } {
  let i = 1;
  for (; i < UNITS.length; i++) {
    const multiple = UNITS[i]![1] * scale;
    if (period > multiple || Math.floor(multiple / period) < multiple % period) break;
  }
  const [unit, seconds] = UNITS[i - 1]!;
  return { rate: Math.floor((seconds * scale) / period), unit, seconds };
}

function parseRate(text: string): number {
  const slash = text.indexOf('/');
  const seconds = slash < 0 ? 1 : parseUnit(text.slice(slash + 1));
  const rate = Number(BigInt.asUintN(32, scanDecimal(text) ?? 0n));
  if (seconds === null || rate === 0) throw new UsageError(`bad rate "${text}"'`);
  const average = Math.floor((SCALE * seconds) / rate);
  if (average === 0) throw new UsageError(`Rate too fast "${text}"`);
  return average;
}

/** nft's own limit expression takes a burst of 0 for the default. */
function nativeLimit(data: LimitMatch): LimitMatch {
  return data.burst === 0 ? { ...data, burst: DEFAULT_BURST } : data;
}

function rateText({ average }: LimitMatch): string {
  const { rate, unit } = rateOf(average, SCALE);
  return `${rate}/${unit}`;
}

/** `user2credits` of net/netfilter/xt_limit.c, in 32 bits as there. */
function credits(user: number): number {
  const perSecond = HZ * CREDITS_PER_JIFFY;
  if (user > Math.floor(0xffffffff / perSecond))
    return Number(BigInt.asUintN(32, BigInt(Math.floor(user / SCALE) * perSecond)));
  return Math.floor((user * perSecond) / SCALE);
}

const product = (a: number, b: number): number => Number(BigInt.asUintN(32, BigInt(a) * BigInt(b)));

const HELP = `limit match options:
--limit avg			max average match rate: default 3/hour
                                [Packets per second unless followed by 
                                /sec /minute /hour /day postfixes]
--limit-burst number		number to match in a burst, default 5
`;

export const limit = defineMatch<LimitMatch>({
  name: 'limit',
  families: [4, 6],
  options: [
    { name: 'limit', type: 'string' },
    { name: 'limit-burst', type: 'uint32', min: 0, max: 10000 },
  ],
  init: () => ({ average: SCALE * 1200, burst: DEFAULT_BURST }),
  parse(data, option) {
    if (option.name === 'limit') data.average = parseRate(option.text);
    else data.burst = option.number;
  },
  save: (data) => ` --limit ${rateText(data)}${data.burst === DEFAULT_BURST ? '' : ` --limit-burst ${data.burst}`}`,
  print: (data) => ` limit: avg ${rateText(data)} burst ${data.burst}`,
  help: () => HELP,
  added: (data, variant) => (variant === 'nft' ? nativeLimit(data) : data),
  check({ average, burst }, { variant }) {
    if (variant === 'nft') return null;
    return burst === 0 || credits(product(average, burst)) < credits(average) ? 'ERANGE' : null;
  },
  // Rates that are written alike are the same: that is how they are kept.
  same: (a, b) => rateText(a) === rateText(b) && a.burst === b.burst,
  explain: (data) => `no more than ${rateText(data)} on average got here, after a first burst of ${data.burst}`,
  compile(data, environment) {
    return environment.variant === 'nft'
      ? compileNative(data, environment.machine, environment.ruleState)
      : compileCredits(data, environment.machine, environment.ruleState);
  },
});

type Clock = { now(): number };
type RuleState = <T>(slot: string, make: () => T) => T;

/** `limit_mt` (net/netfilter/xt_limit.c): 128 credits a tick, all in 32 bits. */
function compileCredits({ average, burst }: LimitMatch, clock: Clock, ruleState: RuleState): MatchFunction {
  const cap = credits(product(average, burst));
  const cost = credits(average);
  const state = ruleState('limit', () => ({ previous: jiffiesAt(clock.now()), credit: cap }));
  return () => {
    const now = jiffiesAt(clock.now());
    const passed = Math.max(0, now - state.previous);
    state.previous = now;
    // The kernel's credit wraps at 32 bits too: after 37 hours without a packet it starts anew.
    let credit = (state.credit + ((passed * CREDITS_PER_JIFFY) % 0x100000000)) % 0x100000000;
    if (credit > cap) credit = cap;
    const matched = credit >= cost;
    state.credit = matched ? credit - cost : credit;
    return matched;
  };
}

/**
 * nft's limit expression (`nft_limit_eval`): time itself is saved up, in nanoseconds. Kept as whole packets and a rest, so that a
 * double holds it exactly.
 */
function compileNative(data: LimitMatch, clock: Clock, ruleState: RuleState): MatchFunction {
  const { rate, seconds } = rateOf(data.average, SCALE);
  const cost = Math.floor((seconds * 1e9) / rate);
  const { burst } = nativeLimit(data);
  const state = ruleState('limit', () => ({ last: clock.now(), packets: burst, rest: 0 }));
  return () => {
    const now = clock.now();
    state.rest += Math.max(0, now - state.last) * 1000;
    state.last = now;
    if (state.rest >= cost) {
      const more = Math.floor(state.rest / cost);
      state.packets += more;
      state.rest -= more * cost;
    }
    if (state.packets >= burst) {
      state.packets = burst;
      state.rest = 0;
    }
    if (state.packets === 0) return false;
    state.packets--;
    return true;
  };
}
