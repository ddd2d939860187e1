import { formatAddress, parseAddress } from '../packet/address-text.ts';
import type { Family } from '../packet/family.ts';
import { Direction, Status, type Tuple } from './connection.ts';
import type { Statistics } from './contract.ts';
import type { ConntrackEntries } from './entries.ts';
import type { Entry } from './entry.ts';
import type { Expectation } from './expectations.ts';
import type { AssignedHelper, SequenceShift, SynproxyMemory } from './sidelines.ts';
import { Extra, Field } from './table.ts';
import { newTupleWords, tupleToWords, wordsToTuple } from './tuple.ts';

/** File of the state directory that holds the table. */
export const CONNTRACK_FILE = 'conntrack';

/** source, destination, source port (ICMP id, key), destination port (ICMP type * 256 + code, key). */
type TupleText = [string, string, number, number];

/** A line of the file: a connection. Left out: what is 0 or absent. */
export interface EntryLine {
  id: number;
  family: Family;
  protocol: number;
  original: TupleText;
  reply: TupleText;
  /** Seconds of life left. */
  left: number;
  status: number;
  mark?: number;
  secmark?: number;
  /** Id, and for which directions if not both. */
  zone?: [number, number];
  /** packets, bytes, packets, bytes; present if the entry counts. */
  counters?: number[];
  masquerade?: number;
  /** The protocol's words (TCP: windows; SCTP: tags; GRE: timeouts); UDP: seconds until the flow is a stream. */
  state?: number[];
  stream?: number;
  /** Id of the master. */
  master?: number;
  helper?: AssignedHelper;
  labels?: number[];
  sequence?: [SequenceShift, SequenceShift];
  started?: number;
  synproxy?: SynproxyMemory;
  /** Dead itself, but master of others. */
  dead?: boolean;
}

/** A line of the file: an expectation, or a PPTP call. */
export interface ExpectationLine {
  expect: Omit<Expectation, 'tuple' | 'mask' | 'master' | 'expiry' | 'savedAddress' | 'dead'> & {
    tuple: number[];
    mask: number[];
    master: number;
    left: number;
    savedAddress: number[] | null;
  };
}
interface CallLine {
  call: { tuple: number[]; key: number; master: number; direction: Direction };
}

interface StatisticsLine {
  statistics: Statistics;
}

function tupleText(tuple: Tuple): TupleText {
  const { family } = tuple;
  return [
    formatAddress(family, tuple.source),
    formatAddress(family, tuple.destination),
    tuple.sourcePort,
    tuple.destinationPort,
  ];
}

/** All entries, expectations and PPTP calls, one JSON object a line. */
export function saveTable(service: ConntrackEntries, now: number): string {
  const lines: string[] = [];
  const masters = new Set(service.sidelines.masters.values());
  service.table.forEachConfirmed((slot) => {
    const entry = service.entry(slot);
    masters.delete(slot);
    if (entry.expiry > now) lines.push(JSON.stringify(describeEntry(service, entry, now)));
  });
  for (const slot of masters)
    lines.unshift(JSON.stringify({ ...describeEntry(service, service.entry(slot), now), dead: true }));
  for (const expectation of service.expectations.all().reverse()) {
    if (expectation.dead || expectation.expiry <= now) continue;
    lines.push(JSON.stringify(describeExpectation(service, expectation, now)));
  }
  for (const { tuple, key, master, direction } of service.greKeys) {
    const line: CallLine = { call: { tuple: [...tuple], key, master: service.entry(master).id, direction } };
    lines.push(JSON.stringify(line));
  }
  if (Object.values(service.statistics).some((count) => count !== 0)) {
    lines.push(JSON.stringify({ statistics: service.statistics } satisfies StatisticsLine));
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** A connection as plain data; times count from `now`. */
export function describeEntry(service: ConntrackEntries, entry: Entry, now: number): EntryLine {
  const { words, base, slot } = entry;
  const { sidelines } = service;
  const zone = entry.zoneWord;
  const line: EntryLine = {
    id: entry.id,
    family: entry.family,
    protocol: entry.protocol,
    original: tupleText(entry.tuple(Direction.original)),
    reply: tupleText(entry.tuple(Direction.reply)),
    left: (entry.expiry - now) / 1e6,
    status: entry.status,
  };
  if (entry.mark !== 0) line.mark = entry.mark;
  if (entry.secmark !== 0) line.secmark = entry.secmark;
  if (zone !== 3 << 16) line.zone = [zone & 0xffff, zone >>> 16];
  if (entry.has(Extra.accounting)) {
    const at = (base + Field.counters) >>> 1;
    line.counters = [...entry.doubles.subarray(at, at + 4)];
  }
  if (words[base + Field.masquerade] !== 0) line.masquerade = words[base + Field.masquerade]!;
  if (isStreaming(entry.protocol)) line.stream = (entry.doubles[(base + Field.protocol) >>> 1]! - now) / 1e6;
  else {
    const state = [...words.subarray(base + Field.protocol, base + Field.protocol + 15)];
    while (state.length > 0 && state.at(-1) === 0) state.pop();
    if (state.length > 0) line.state = state;
  }
  const master = sidelines.masters.get(slot);
  if (master !== undefined) line.master = service.entry(master).id;
  const helper = sidelines.helpers.get(slot);
  if (helper !== undefined) line.helper = helper;
  const labels = sidelines.labels.get(slot);
  if (labels !== undefined) line.labels = [...labels];
  const sequence = sidelines.sequences.get(slot);
  if (sequence !== undefined) line.sequence = sequence;
  const timestamp = sidelines.timestamps.get(slot);
  if (timestamp !== undefined) line.started = timestamp.start;
  const synproxy = sidelines.synproxies.get(slot);
  if (synproxy !== undefined) line.synproxy = synproxy;
  return line;
}

/** An expectation as plain data; times count from `now`. */
export function describeExpectation(service: ConntrackEntries, expectation: Expectation, now: number): ExpectationLine {
  const { tuple, mask, master, expiry, savedAddress, dead: _, ...rest } = expectation;
  return {
    expect: {
      ...rest,
      tuple: [...tuple],
      mask: [...mask],
      master: service.entry(master).id,
      left: (expiry - now) / 1e6,
      savedAddress: savedAddress === null ? null : [...savedAddress],
    },
  };
}

/** UDP keeps a moment, not state. */
function isStreaming(protocol: number): boolean {
  return protocol === 17;
}

/** Takes in what `saveTable` wrote. Throws an Error that names the line if it cannot be read. */
export function loadTable(service: ConntrackEntries, text: string, now: number): void {
  const slots = new Map<number, number>();
  const waiting: [Entry, number][] = [];
  const lines = text.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const content = lines[i]!;
    if (content === '') continue;
    try {
      const line = JSON.parse(content) as EntryLine | ExpectationLine | CallLine | StatisticsLine;
      if ('statistics' in line) {
        Object.assign(service.statistics, line.statistics);
        continue;
      }
      if ('expect' in line) loadExpectation(service, line, slots, now);
      else if ('call' in line) {
        const { tuple, master, ...rest } = line.call;
        service.greKeys.push({ ...rest, tuple: Uint32Array.from(tuple), master: slotOf(slots, master) });
      } else {
        const entry = loadEntry(service, line, now);
        slots.set(line.id, entry.slot);
        if (line.master !== undefined) waiting.push([entry, line.master]);
      }
    } catch (error) {
      throw new Error(`line ${i + 1}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  for (const [entry, master] of waiting) service.setMaster(entry, slotOf(slots, master));
  // Dead masters stay only as long as somebody names them.
  for (const slot of slots.values()) {
    const entry = service.entry(slot);
    if ((entry.status & Status.dying) !== 0) service.table.free(slot);
  }
}

function slotOf(slots: ReadonlyMap<number, number>, id: number): number {
  const slot = slots.get(id);
  if (slot === undefined) throw new Error(`no connection has the id ${id}`);
  return slot;
}

function readTupleText(text: TupleText, family: Family, protocol: number): Tuple {
  const source = parseAddress(text[0]);
  const destination = parseAddress(text[1]);
  if (source?.family !== family || destination?.family !== family) {
    throw new Error(`'${text[0]}', '${text[1]}': not addresses of IPv${family}`);
  }
  return {
    family,
    protocol,
    source: source.words,
    destination: destination.words,
    sourcePort: text[2],
    destinationPort: text[3],
  };
}

/** Puts a connection into the table; times count from `now`. */
export function loadEntry(service: ConntrackEntries, line: EntryLine, now: number): Entry {
  const { table, sidelines } = service;
  const slot = table.allocate();
  const entry = service.entry(slot);
  const { words, base } = entry;
  tupleToWords(readTupleText(line.original, line.family, line.protocol), words, base);
  tupleToWords(readTupleText(line.reply, line.family, line.protocol), words, base + Field.reply);
  words[base + Field.id] = line.id;
  table.reserveIds(line.id);
  words[base + Field.zone] = line.zone === undefined ? 3 << 16 : line.zone[0] | (line.zone[1] << 16);
  entry.status = line.status;
  entry.mark = line.mark ?? 0;
  entry.secmark = line.secmark ?? 0;
  entry.expiry = now + line.left * 1e6;
  if (line.counters !== undefined) {
    entry.setExtra(Extra.accounting);
    entry.doubles.set(line.counters, (base + Field.counters) >>> 1);
  }
  words[base + Field.masquerade] = line.masquerade ?? 0;
  if (line.stream !== undefined) entry.doubles[(base + Field.protocol) >>> 1] = now + line.stream * 1e6;
  if (line.state !== undefined) words.set(line.state, base + Field.protocol);
  if (line.helper !== undefined) {
    entry.setExtra(Extra.helper);
    sidelines.helpers.set(slot, line.helper);
  }
  if (line.labels !== undefined) {
    entry.setExtra(Extra.labels);
    sidelines.labels.set(slot, Uint32Array.from(line.labels));
  }
  if (line.sequence !== undefined) {
    entry.setExtra(Extra.sequence);
    sidelines.sequences.set(slot, line.sequence);
  }
  if (line.started !== undefined) {
    entry.setExtra(Extra.timestamp);
    sidelines.timestamps.set(slot, { start: line.started, stop: 0 });
  }
  if (line.synproxy !== undefined) {
    entry.setExtra(Extra.synproxy);
    sidelines.synproxies.set(slot, line.synproxy);
  }
  if (line.dead) entry.status |= Status.dying;
  else {
    if ((line.status & Status.natClash) === 0) table.link(slot, Direction.original);
    table.link(slot, Direction.reply);
    if ((line.status & Status.sourceNatDone) !== 0) service.nat?.remember(entry);
  }
  return entry;
}

/** Puts an expectation into the table. `slots`: slots by the ids of connections. */
export function loadExpectation(
  service: ConntrackEntries,
  line: ExpectationLine,
  slots: ReadonlyMap<number, number>,
  now: number,
): void {
  const { tuple, mask, master, left, savedAddress, ...rest } = line.expect;
  service.expectations.insert({
    ...rest,
    tuple: Uint32Array.from(tuple),
    mask: Uint32Array.from(mask),
    master: slotOf(slots, master),
    expiry: now + left * 1e6,
    savedAddress: savedAddress === null ? null : Uint32Array.from(savedAddress),
    dead: false,
  });
}

/** A tuple given as data, as words. */
export function wordsOf(tuple: Tuple): Uint32Array {
  const words = newTupleWords();
  tupleToWords(tuple, words);
  return words;
}

/** What an expectation awaits, as data. */
export function expectedTuple(expectation: Expectation): Tuple {
  return wordsToTuple(expectation.tuple, 0);
}
