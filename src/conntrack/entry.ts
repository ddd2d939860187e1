import type { ConntrackTemplate } from '../datapath/environment.ts';
import type { Family } from '../packet/family.ts';
import { Protocol } from '../packet/protocol.ts';
import { type Connection, Direction, Status, type Tuple } from './connection.ts';
import { SCTP_STATE_NAMES } from './protocols/sctp-states.ts';
import { TCP_STATE_NAMES } from './protocols/tcp-states.ts';
import type { Sidelines } from './sidelines.ts';
import { type ConntrackTable, Extra, Field } from './table.ts';
import { TUPLE_WORDS, wordsToTuple } from './tuple.ts';

/** An entry of the table, seen through its slot. Cheap to make; nothing is kept in it. */
export class Entry implements Connection {
  readonly slot: number;
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
  /** Offset of the entry in `words`. */
  readonly base: number;
  private readonly table: ConntrackTable;
  private readonly sidelines: Sidelines;

  /** What it had when it ended: the packet that ended it still sees that. */
  former: { master: Entry | null; labels: Uint32Array } | null = null;

  constructor(table: ConntrackTable, sidelines: Sidelines, slot: number) {
    this.table = table;
    this.sidelines = sidelines;
    this.slot = slot;
    this.words = table.wordsOf(slot);
    this.doubles = table.doublesOf(slot);
    this.base = table.baseOf(slot);
  }

  get id(): number {
    return this.words[this.base + Field.id]!;
  }
  get family(): Family {
    return (this.words[this.base + 9]! >>> 8) as Family;
  }
  get protocol(): number {
    return this.words[this.base + 9]! & 0xff;
  }
  get status(): number {
    return this.words[this.base + Field.status]!;
  }
  set status(value: number) {
    this.words[this.base + Field.status] = value;
  }
  get mark(): number {
    return this.words[this.base + Field.mark]!;
  }
  set mark(value: number) {
    this.words[this.base + Field.mark] = value;
  }
  get secmark(): number {
    return this.words[this.base + Field.secmark]!;
  }
  set secmark(value: number) {
    this.words[this.base + Field.secmark] = value;
  }
  /** Microseconds: when it dies; before it is confirmed, how long it will live from then. */
  get expiry(): number {
    return this.doubles[(this.base + Field.expiry) >>> 1]!;
  }
  set expiry(value: number) {
    this.doubles[(this.base + Field.expiry) >>> 1] = value;
  }
  get confirmed(): boolean {
    return (this.status & Status.confirmed) !== 0;
  }

  /** Connections whose master this is. */
  get children(): number {
    return this.words[this.base + Field.extras]! >>> 8;
  }

  has(extra: number): boolean {
    return (this.words[this.base + Field.extras]! & extra) !== 0;
  }
  setExtra(extra: number): void {
    this.words[this.base + Field.extras]! |= extra;
  }
  clearExtra(extra: number): void {
    this.words[this.base + Field.extras]! &= ~extra;
  }

  tuple(direction: Direction): Tuple {
    return wordsToTuple(this.words, this.base + direction * TUPLE_WORDS);
  }
  /** Offset in `words` of a direction's tuple. */
  tupleAt(direction: Direction): number {
    return this.base + direction * TUPLE_WORDS;
  }
  zone(direction: Direction): number {
    return this.table.zoneOf(this.slot, direction);
  }
  /** Zone id in bits 0 to 15, directions in bits 16 and 17. */
  get zoneWord(): number {
    return this.words[this.base + Field.zone]!;
  }
  packets(direction: Direction): bigint {
    return BigInt(this.doubles[((this.base + Field.counters) >>> 1) + 2 * direction]!);
  }
  bytes(direction: Direction): bigint {
    return BigInt(this.doubles[((this.base + Field.counters) >>> 1) + 2 * direction + 1]!);
  }
  count(direction: Direction, packets: number, bytes: number): void {
    const at = ((this.base + Field.counters) >>> 1) + 2 * direction;
    this.doubles[at]! += packets;
    this.doubles[at + 1]! += bytes;
  }
  remaining(now: number): number {
    return this.confirmed ? Math.max(0, this.expiry - now) : 0;
  }
  get stateName(): string | null {
    const state = this.words[this.base + Field.protocol]! & 0xff;
    if (this.protocol === Protocol.tcp) return TCP_STATE_NAMES[state] ?? null;
    if (this.protocol === Protocol.sctp) return SCTP_STATE_NAMES[state] ?? null;
    return null;
  }
  labels(): Uint32Array {
    if (this.former !== null) return this.former.labels;
    return this.sidelines.labels.get(this.slot) ?? new Uint32Array(4);
  }
  setLabel(bit: number): void {
    this.roomForLabels()[bit >>> 5]! |= 1 << (bit & 31);
  }
  replaceLabels(words: readonly number[]): void {
    this.roomForLabels().set(words);
  }
  private roomForLabels(): Uint32Array {
    let labels = this.sidelines.labels.get(this.slot);
    if (labels === undefined) {
      labels = new Uint32Array(4);
      this.sidelines.labels.set(this.slot, labels);
      this.setExtra(Extra.labels);
    }
    return labels;
  }
  get helper(): string | null {
    return this.has(Extra.helper) ? (this.sidelines.helpers.get(this.slot)?.name ?? null) : null;
  }
  get master(): Entry | null {
    if (this.former !== null) return this.former.master;
    if (!this.has(Extra.master)) return null;
    const slot = this.sidelines.masters.get(this.slot);
    return slot === undefined ? null : new Entry(this.table, this.sidelines, slot);
  }
}

const NO_TUPLE: Tuple = {
  family: 4,
  protocol: 0,
  source: [0, 0, 0, 0],
  destination: [0, 0, 0, 0],
  sourcePort: 0,
  destinationPort: 0,
};

/** What a CT rule left on a packet before conntrack saw it: looks like a connection, as it does in the kernel. */
export class Template implements Connection {
  readonly id = 0;
  readonly family = 4;
  readonly protocol = 0;
  status: number = Status.template | Status.confirmed;
  mark = 0;
  secmark = 0;
  readonly stateName = null;
  readonly helper = null;
  readonly master = null;
  readonly content: ConntrackTemplate;

  constructor(content: ConntrackTemplate) {
    this.content = content;
  }
  tuple(): Tuple {
    return NO_TUPLE;
  }
  zone(direction: Direction): number {
    const { zone = 0, zoneDirection = 'both' } = this.content;
    const holds = zoneDirection === 'both' || (zoneDirection === 'original') === (direction === Direction.original);
    return holds ? zone : 0;
  }
  packets(): bigint {
    return 0n;
  }
  bytes(): bigint {
    return 0n;
  }
  remaining(): number {
    return 0;
  }
  labels(): Uint32Array {
    return new Uint32Array(4);
  }
  replaceLabels(): void {
    this.setLabel();
  }
  setLabel(): void {
    // A template is thrown away with the packet's first lookup: nobody reads its labels.
  }
}
