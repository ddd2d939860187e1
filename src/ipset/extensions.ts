import type { CreateOptions, Entry } from './entry.ts';
import { SetError } from './errors.ts';

/** The clock that timeouts are measured with. */
export interface SetClock {
  /** Microseconds since the epoch. */
  now: number;
}

/** What an element gets beside itself when it is added (`struct ip_set_ext`). */
export interface ElementExtensions {
  /** Seconds; 0: for good. */
  timeout: number;
  /** null: leave what is there. */
  packets: bigint | null;
  bytes: bigint | null;
  comment: string;
  skbmark: number;
  skbmarkMask: number;
  skbprio: number;
  skbqueue: number;
}

/** What a test of a packet wants to know and gets back (`mext` and the command flags of the kernel). */
export interface PacketTest {
  /** Length of the packet; null: a test by the command, nothing is counted. */
  length: number | null;
  skipCounters: boolean;
  skipSubcounters: boolean;
  matchCounters: boolean;
  packets: CounterCondition | null;
  bytes: CounterCondition | null;
  returnNomatch: boolean;
  /** Result: the mapping of the element that matched. */
  skbmark: number;
  skbmarkMask: number;
  skbprio: number;
  skbqueue: number;
}

export interface CounterCondition {
  operator: 'eq' | 'ne' | 'lt' | 'gt';
  value: bigint;
}

/** A test as the command makes it: nothing is counted. */
export function commandTest(): PacketTest {
  return {
    length: null,
    skipCounters: false,
    skipSubcounters: false,
    matchCounters: false,
    packets: null,
    bytes: null,
    returnNomatch: false,
    skbmark: 0,
    skbmarkMask: 0,
    skbprio: 0,
    skbqueue: 0,
  };
}

function holds(counter: bigint, condition: CounterCondition | null): boolean {
  if (condition === null) return true;
  switch (condition.operator) {
    case 'eq':
      return counter === condition.value;
    case 'ne':
      return counter !== condition.value;
    case 'lt':
      return counter < condition.value;
    case 'gt':
      return counter > condition.value;
  }
}

/** Longest timeout: (UINT_MAX / 2) / 1000 seconds. */
const MAX_TIMEOUT = 2147483;

/** Bytes of `struct ip_set_comment_rcu` before the text. */
const COMMENT_HEADER = 16;
const MAX_COMMENT = 255;

/**
 * Timeouts, counters, comments and packet mappings of a set's elements, by slot number. Arrays are there only for the
 * extensions that the set has.
 */
export class ExtensionStore {
  /** Default timeout in seconds; null: the set has no timeouts. */
  readonly timeout: number | null;
  readonly hasCounters: boolean;
  readonly hasComment: boolean;
  readonly hasSkbinfo: boolean;
  /** Bytes that comments take. */
  commentBytes = 0;
  readonly clock: SetClock;
  /** Microseconds since the epoch; 0: for good. */
  expiries: Float64Array;
  /** Packets, bytes. */
  counters: BigUint64Array;
  /** Mark, mask, priority, queue. */
  skbinfo: Uint32Array;
  comments: string[];
  private readonly any: boolean;

  constructor(options: CreateOptions, clock: SetClock, capacity: number) {
    this.timeout = options.timeout === undefined ? null : Math.min(options.timeout, MAX_TIMEOUT);
    this.hasCounters = options.counters === true;
    this.hasComment = options.comment === true;
    this.hasSkbinfo = options.skbinfo === true;
    this.any = this.timeout !== null || this.hasCounters || this.hasComment || this.hasSkbinfo;
    this.clock = clock;
    this.expiries = new Float64Array(this.timeout !== null ? capacity : 0);
    this.counters = new BigUint64Array(this.hasCounters ? 2 * capacity : 0);
    this.skbinfo = new Uint32Array(this.hasSkbinfo ? 4 * capacity : 0);
    this.comments = [];
  }

  /** An empty store for the same extensions. */
  emptyCopy(capacity: number): ExtensionStore {
    const options: CreateOptions = {
      counters: this.hasCounters,
      comment: this.hasComment,
      skbinfo: this.hasSkbinfo,
    };
    if (this.timeout !== null) options.timeout = this.timeout;
    const copy = new ExtensionStore(options, this.clock, capacity);
    copy.commentBytes = this.commentBytes;
    return copy;
  }

  /** Whether two sets have the same extensions and default timeout. */
  sameAs(other: ExtensionStore): boolean {
    return (
      this.timeout === other.timeout &&
      this.hasCounters === other.hasCounters &&
      this.hasComment === other.hasComment &&
      this.hasSkbinfo === other.hasSkbinfo
    );
  }

  grow(capacity: number): void {
    if (this.timeout !== null) {
      const bigger = new Float64Array(capacity);
      bigger.set(this.expiries);
      this.expiries = bigger;
    }
    if (this.hasCounters) {
      const bigger = new BigUint64Array(2 * capacity);
      bigger.set(this.counters);
      this.counters = bigger;
    }
    if (this.hasSkbinfo) {
      const bigger = new Uint32Array(4 * capacity);
      bigger.set(this.skbinfo);
      this.skbinfo = bigger;
    }
  }

  /** Bytes that the extensions add to an element of `size` bytes (ip_set_elem_len). */
  elementSize(size: number, alignment: number): number {
    let length = size;
    let align = alignment;
    const add = (bytes: number, to: number): void => {
      align = Math.max(align, to);
      length = Math.ceil(length / to) * to + bytes;
    };
    if (this.hasCounters) add(16, 8);
    if (this.timeout !== null) add(8, 8);
    if (this.hasSkbinfo) add(16, 4);
    if (this.hasComment) add(8, 8);
    return Math.ceil(length / align) * align;
  }

  /** Reads the extensions of an entry; returns an error code or 0 (ip_set_get_extensions). */
  read(entry: Entry, into: ElementExtensions): number {
    into.timeout = this.timeout ?? 0;
    into.packets = null;
    into.bytes = null;
    into.comment = '';
    into.skbmark = 0;
    into.skbmarkMask = 0;
    into.skbprio = 0;
    into.skbqueue = 0;
    if (entry.timeout !== undefined) {
      if (this.timeout === null) return SetError.timeout;
      into.timeout = Math.min(entry.timeout, MAX_TIMEOUT);
    }
    if (entry.bytes !== undefined || entry.packets !== undefined) {
      if (!this.hasCounters) return SetError.counter;
      if (entry.bytes !== undefined) into.bytes = entry.bytes;
      if (entry.packets !== undefined) into.packets = entry.packets;
    }
    if (entry.comment !== undefined) {
      if (!this.hasComment) return SetError.comment;
      into.comment = entry.comment;
    }
    if (entry.skbmark !== undefined || entry.skbprio !== undefined || entry.skbqueue !== undefined) {
      if (!this.hasSkbinfo) return SetError.skbinfo;
      if (entry.skbmark !== undefined) {
        into.skbmark = entry.skbmark[0];
        into.skbmarkMask = entry.skbmark[1];
      }
      into.skbprio = entry.skbprio ?? 0;
      into.skbqueue = entry.skbqueue ?? 0;
    }
    return 0;
  }

  expired(slot: number): boolean {
    if (this.timeout === null) return false;
    const at = this.expiries[slot]!;
    return at !== 0 && at <= this.clock.now;
  }

  /** Seconds left, as listings print them; 0: for good. */
  remaining(slot: number): number {
    const at = this.expiries[slot]!;
    return at === 0 ? 0 : Math.max(1, Math.floor((at - this.clock.now) / 1e6));
  }

  setTimeout(slot: number, seconds: number): void {
    this.expiries[slot] = seconds === 0 ? 0 : this.clock.now + seconds * 1e6;
  }

  /** Writes everything but the timeout. */
  write(slot: number, extensions: ElementExtensions): void {
    if (this.hasCounters) {
      if (extensions.packets !== null) this.counters[2 * slot] = extensions.packets;
      if (extensions.bytes !== null) this.counters[2 * slot + 1] = extensions.bytes;
    }
    if (this.hasComment) {
      this.drop(slot);
      const comment = extensions.comment.slice(0, MAX_COMMENT);
      if (comment !== '') {
        this.comments[slot] = comment;
        this.commentBytes += COMMENT_HEADER + comment.length + 1;
      }
    }
    if (this.hasSkbinfo) {
      this.skbinfo[4 * slot] = extensions.skbmark;
      this.skbinfo[4 * slot + 1] = extensions.skbmarkMask;
      this.skbinfo[4 * slot + 2] = extensions.skbprio;
      this.skbinfo[4 * slot + 3] = extensions.skbqueue;
    }
  }

  /** Writes everything. */
  writeAll(slot: number, extensions: ElementExtensions): void {
    if (!this.any) return;
    this.write(slot, extensions);
    if (this.timeout !== null) this.setTimeout(slot, extensions.timeout);
  }

  /** Frees what an element that goes away holds (its comment). */
  drop(slot: number): void {
    if (!this.hasComment) return;
    const old = this.comments[slot];
    if (old === undefined || old === '') return;
    this.commentBytes -= COMMENT_HEADER + old.length + 1;
    this.comments[slot] = '';
  }

  /** Copies a slot, as memcpy() would. */
  copy(from: ExtensionStore, source: number, target: number): void {
    if (!this.any) return;
    if (this.timeout !== null) this.expiries[target] = from.expiries[source]!;
    if (this.hasCounters) {
      this.counters[2 * target] = from.counters[2 * source]!;
      this.counters[2 * target + 1] = from.counters[2 * source + 1]!;
    }
    if (this.hasSkbinfo) {
      for (let i = 0; i < 4; i++) this.skbinfo[4 * target + i] = from.skbinfo[4 * source + i]!;
    }
    if (this.hasComment) this.comments[target] = from.comments[source] ?? '';
  }

  /** Makes a slot like fresh memory. */
  clear(slot: number): void {
    if (!this.any) return;
    if (this.timeout !== null) this.expiries[slot] = 0;
    if (this.hasCounters) this.counters.fill(0n, 2 * slot, 2 * slot + 2);
    if (this.hasSkbinfo) this.skbinfo.fill(0, 4 * slot, 4 * slot + 4);
    if (this.hasComment) this.comments[slot] = '';
  }

  /** Counts the packet and says whether the element may match (ip_set_match_extensions). */
  match(slot: number, test: PacketTest): boolean {
    if (!this.any) return true;
    if (this.expired(slot)) return false;
    if (this.hasCounters) {
      if (test.length !== null && !test.skipCounters) {
        this.counters[2 * slot] = this.counters[2 * slot]! + 1n;
        this.counters[2 * slot + 1] = this.counters[2 * slot + 1]! + BigInt(test.length);
      }
      if (
        test.matchCounters &&
        !(holds(this.counters[2 * slot]!, test.packets) && holds(this.counters[2 * slot + 1]!, test.bytes))
      ) {
        return false;
      }
    }
    if (this.hasSkbinfo) {
      test.skbmark = this.skbinfo[4 * slot]!;
      test.skbmarkMask = this.skbinfo[4 * slot + 1]!;
      test.skbprio = this.skbinfo[4 * slot + 2]!;
      test.skbqueue = this.skbinfo[4 * slot + 3]!;
    }
    return true;
  }

  /** The extensions of a slot as fields of an entry. `plainTimeout`: the stored number is seconds, not a point in time. */
  list(slot: number, entry: Entry, plainTimeout = false): void {
    if (this.timeout !== null) {
      const at = this.expiries[slot]!;
      entry.timeout = plainTimeout ? at : this.remaining(slot);
      entry.fraction = plainTimeout || at === 0 ? 0 : at - this.clock.now - entry.timeout * 1e6;
    }
    if (this.hasCounters) {
      entry.packets = this.counters[2 * slot]!;
      entry.bytes = this.counters[2 * slot + 1]!;
    }
    if (this.hasComment && this.comments[slot]) entry.comment = this.comments[slot]!;
    if (this.hasSkbinfo) {
      const [mark, mask, prio, queue] = this.skbinfo.subarray(4 * slot, 4 * slot + 4);
      if (mark || mask) entry.skbmark = [mark!, mask!];
      if (prio) entry.skbprio = prio;
      if (queue) entry.skbqueue = queue;
    }
  }
}

export function newExtensions(): ElementExtensions {
  return { timeout: 0, packets: null, bytes: null, comment: '', skbmark: 0, skbmarkMask: 0, skbprio: 0, skbqueue: 0 };
}
