import { formatAddress } from '../packet/address-text.ts';
import { describePacket } from '../packet/notation/describe.ts';
import { type Failure, type Observed, placeText } from './judge.ts';

/** By what connections are told apart. */
const CRITERIA = [
  'verdict',
  'queue',
  'out',
  'rule',
  'source',
  'destination',
  'source-port',
  'destination-port',
] as const;
type Criterion = (typeof CRITERIA)[number];

/** How many: from, to, both included. */
interface Count {
  least: number;
  most: number;
}

/** How connections are to be spread. */
export interface Split {
  by: Criterion;
  /** How many different groups there are to be. */
  groups: Count | null;
  /** How many connections each group is to have. */
  each: Count | null;
  /** How many a group is to have; a group that is not named must not exist. */
  among: ReadonlyMap<string, Count> | null;
}

/** A spread that cannot be asked for: what is wrong, and what would be right. */
export class SplitError extends Error {}

const KEYS = ['by', 'groups', 'each', 'among', 'within'];
const EXAMPLE = '{ by: queue, groups: 9, each: 11%, within: 20% }';

/** Reads `split`: one mapping, or a list of them. Throws SplitError. */
export function readSplits(value: unknown, times: number): Split[] {
  return (Array.isArray(value) ? value : [value]).map((each) => readSplit(each, times));
}

function readSplit(value: unknown, times: number): Split {
  if (typeof value !== 'object' || value === null) throw new SplitError(`split: a mapping like ${EXAMPLE}`);
  const given = value as Record<string, unknown>;
  const unknown = Object.keys(given).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw new SplitError(`unknown key "${unknown}" in split; known are ${KEYS.join(', ')}`);
  const by = CRITERIA.find((criterion) => criterion === given.by);
  if (by === undefined) {
    throw new SplitError(`split: by ${JSON.stringify(given.by) ?? 'what'}: expected one of ${CRITERIA.join(', ')}`);
  }
  const within = given.within === undefined ? 0 : readShare(given.within);
  if (Number.isNaN(within)) throw new SplitError(`within: expected a percentage like 5%, not ${String(given.within)}`);
  const read = (key: string, text: unknown): Count => readCount(key, text, times, within);
  const split: Split = {
    by,
    groups: given.groups === undefined ? null : readCount('groups', given.groups, times, 0),
    each: given.each === undefined ? null : read('each', given.each),
    among: null,
  };
  if (given.among !== undefined) {
    if (typeof given.among !== 'object' || given.among === null || Array.isArray(given.among)) {
      throw new SplitError('among: groups and how many each has, like { 10.0.0.1: 33%, 10.0.0.2: 67% }');
    }
    split.among = new Map(Object.entries(given.among).map(([group, text]) => [group, read(group, text)]));
  }
  if (split.groups === null && split.each === null && split.among === null) {
    throw new SplitError(`split says nothing: give groups, each or among, as in ${EXAMPLE}`);
  }
  return split;
}

function readShare(value: unknown): number {
  const match = /^(\d+(?:\.\d+)?)\s*%$/.exec(String(value));
  return match === null ? Number.NaN : Number(match[1]) / 100;
}

/** A number, a share of all (`33.3%`), or a range of either (`3200-3460`, `30%-35%`); `within` widens it. */
function readCount(key: string, value: unknown, times: number, within: number): Count {
  const parts = String(value)
    .split('-')
    .map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : readShare(part.trim()) * times));
  const [first, last] = [parts[0]!, parts.at(-1)!];
  if (parts.length > 2 || parts.some(Number.isNaN) || last < first) {
    throw new SplitError(`${key}: expected a number, a share like 33% or a range like 3200-3460, not ${String(value)}`);
  }
  return { least: first * (1 - within), most: last * (1 + within) };
}

/** Counts connections by one criterion. */
export class Tally {
  readonly split: Split;
  readonly counts = new Map<string, number>();

  constructor(split: Split) {
    this.split = split;
  }

  /** Counts a connection by its first packet. */
  add(first: Observed): void {
    const group = groupOf(first, this.split.by);
    this.counts.set(group, (this.counts.get(group) ?? 0) + 1);
  }

  /** What of the spread is not as it should be. */
  failures(): Failure[] {
    const { by, groups, each, among } = this.split;
    const failures: Failure[] = [];
    const ask = (what: string, count: Count | null, got: number): void => {
      if (count === null || (got >= count.least && got <= count.most)) return;
      failures.push({ key: 'split', expected: `${what}: ${countText(count)}`, got: String(got), packet: null });
    };
    ask(`different by ${by}`, groups, this.counts.size);
    if (each !== null) for (const [group, count] of this.counts) ask(`${by} ${group}`, each, count);
    if (among === null) return failures;
    for (const [group, count] of among) ask(`${by} ${group}`, count, this.counts.get(group) ?? 0);
    for (const [group, count] of this.counts) if (!among.has(group)) ask(`${by} ${group}`, NONE, count);
    return failures;
  }
}

const NONE: Count = { least: 0, most: 0 };

function countText({ least, most }: Count): string {
  const [low, high] = [Math.ceil(least), Math.floor(most)];
  return low === high ? String(low) : `${low} to ${high}`;
}

function groupOf(packet: Observed, by: Criterion): string {
  switch (by) {
    case 'verdict':
      return packet.verdict;
    case 'queue':
      return packet.queues.length === 0 ? 'none' : String(packet.queues[0]!.queue);
    case 'out':
      return packet.out ?? 'none';
    case 'rule':
      return placeText({ ...packet, ruleText: null });
    default:
      return endOf(packet, by);
  }
}

/** An address or port of the packet as it left. */
function endOf({ passed }: Observed, by: 'source' | 'destination' | 'source-port' | 'destination-port'): string {
  if (passed === null) return 'not let through';
  const packet = describePacket(passed);
  switch (by) {
    case 'source':
    case 'destination':
      return formatAddress(packet.family, packet[by]);
    case 'source-port':
      return String(packet.sourcePort ?? 'none');
    case 'destination-port':
      return String(packet.destinationPort ?? 'none');
  }
}
