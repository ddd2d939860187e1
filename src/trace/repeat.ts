import { parseAddress } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import type { PacketDescription } from '../packet/notation/description.ts';
import { parseDuration } from '../packet/notation/time.ts';
import type { WrittenItem } from './written.ts';

/** What of a packet changes from one connection to the next. */
export const VARIED = ['source', 'destination', 'source-port', 'destination-port'] as const;
export type Varied = (typeof VARIED)[number];

/** So many values from the first one on, counted up. */
interface Range {
  family: Family | null;
  first: bigint;
  count: bigint;
}

/** A packet or flow that is made many times, each time as another connection. */
export interface Repeat {
  times: number;
  /** Microseconds from one to the next. */
  every: number;
  /** In this order: the first one changes each time, the next one when the first has come round, and so on. */
  vary: { part: Varied; range: Range }[];
}

/** A repetition that cannot be: what is wrong, and what would be right. */
export class RepeatError extends Error {
  /** The key at fault; null for the whole. */
  readonly key: string | null;
  constructor(message: string, key: string | null = null) {
    super(message);
    this.key = key;
  }
}

const MOST = 1_000_000;
const SPACING = 1000;

/** Reads `{ times: 10000, source: 10.0.0.0/16, source-port: 1024-65535, every: 1ms }`. Throws RepeatError. */
export function readRepeat(value: unknown): Repeat {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RepeatError('repeat: a mapping like { times: 10000, source: 10.0.0.0/16 }');
  }
  const repeat: Repeat = { times: 0, every: SPACING, vary: [] };
  for (const [key, given] of Object.entries(value)) {
    switch (key) {
      case 'times':
        repeat.times = readTimes(given);
        break;
      case 'every': {
        const every = parseDuration(String(given));
        if (every < 0) throw new RepeatError(`every: expected a duration like 1ms or 0.1ms, not ${String(given)}`, key);
        repeat.every = every;
        break;
      }
      case 'source':
      case 'destination':
        repeat.vary.push({ part: key, range: readAddresses(key, String(given)) });
        break;
      case 'source-port':
      case 'destination-port':
        repeat.vary.push({ part: key, range: readPorts(key, String(given)) });
        break;
      default:
        throw new RepeatError(`unknown key "${key}" in repeat; known are times, every, ${VARIED.join(', ')}`, key);
    }
  }
  if (repeat.times === 0) throw new RepeatError('repeat: how often? Give times: 10000');
  if (repeat.vary.length > 0) {
    const different = repeat.vary.reduce((product, { range }) => product * range.count, 1n);
    if (different < BigInt(repeat.times)) {
      throw new RepeatError(`times: the ranges have only ${different} different connections`, 'times');
    }
  }
  return repeat;
}

function readTimes(given: unknown): number {
  if (typeof given !== 'number' || !Number.isInteger(given) || given < 1 || given > MOST) {
    throw new RepeatError(`times: expected a whole number from 1 to ${MOST}, not ${JSON.stringify(given)}`, 'times');
  }
  return given;
}

/** A prefix, `FIRST-LAST`, or one address. */
function readAddresses(key: Varied, text: string): Range {
  const fail = (): never => {
    throw new RepeatError(
      `${key}: expected a prefix like 10.0.0.0/16 or a range like 10.0.0.1-10.0.3.254, not ${text}`,
      key,
    );
  };
  const match = /^([^/-]+)(?:\/(\d{1,3})|-([^/-]+))?$/.exec(text.trim());
  const start = match === null ? null : parseAddress(match[1]!);
  if (match === null || start === null) return fail();
  const { family } = start;
  const bits = family === 4 ? 32 : 128;
  const first = toNumber(family, start.words);
  if (match[2] !== undefined) {
    const length = Number(match[2]);
    if (length > bits) return fail();
    const count = 1n << BigInt(bits - length);
    return { family, first: first - (first % count), count };
  }
  if (match[3] === undefined) return { family, first, count: 1n };
  const end = parseAddress(match[3]);
  if (end === null || end.family !== family) return fail();
  const last = toNumber(family, end.words);
  return last < first ? fail() : { family, first, count: last - first + 1n };
}

function readPorts(key: Varied, text: string): Range {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text.trim());
  const first = Number(match?.[1]);
  const last = match?.[2] === undefined ? first : Number(match[2]);
  if (match === null || last > 0xffff || last < first) {
    throw new RepeatError(`${key}: expected ports like 1024-65535, not ${text}`, key);
  }
  return { family: null, first: BigInt(first), count: BigInt(last - first + 1) };
}

/** The range of addresses that begins with that of the packet, one for each time. */
export function countedUp(
  part: 'source' | 'destination',
  packet: PacketDescription,
  times: number,
): Repeat['vary'][number] {
  return { part, range: { family: packet.family, first: toNumber(packet.family, packet[part]), count: BigInt(times) } };
}

/** The packet or flow as it is made the `index`-th time, from 0. Throws RepeatError if it cannot have such an end. */
export function repetition(item: WrittenItem, repeat: Repeat, index: number): WrittenItem {
  const { line, label } = item;
  const packet = { ...(line.kind === 'packet' ? line.packet : line.flow.first) };
  if (packet.raw !== undefined) throw new RepeatError('repeat: of a packet given in bytes nothing can be varied');
  let rest = BigInt(index);
  for (const { part, range } of repeat.vary) {
    const value = range.first + (rest % range.count);
    rest /= range.count;
    if (part === 'source' || part === 'destination') {
      if (range.family !== packet.family) throw new RepeatError(`${part}: the packet is IPv${packet.family}`, part);
      packet[part] = toWords(packet.family, value);
    } else {
      const field = part === 'source-port' ? 'sourcePort' : 'destinationPort';
      if (packet[field] === undefined) throw new RepeatError(`${part}: the packet has no ports`, part);
      packet[field] = Number(value);
    }
  }
  if (index > 0) packet.time = { after: repeat.every };
  return line.kind === 'packet'
    ? { line: { ...line, packet }, label }
    : { line: { ...line, flow: { ...line.flow, first: packet } }, label };
}

function toNumber(family: Family, words: AddressWords): bigint {
  if (family === 4) return BigInt(words[0]!);
  return [0, 1, 2, 3].reduce((number, i) => (number << 32n) | BigInt(words[i]!), 0n);
}

function toWords(family: Family, number: bigint): AddressWords {
  const word = (shift: bigint): number => Number((number >> shift) & 0xffffffffn);
  return family === 4 ? [word(0n), 0, 0, 0] : [word(96n), word(64n), word(32n), word(0n)];
}
