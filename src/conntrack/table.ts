import { Direction, Status } from './connection.ts';
import { hashTuple, sameTuple, TUPLE_WORDS } from './tuple.ts';

/**
 * Words of an entry. Everything that every connection has lies here, 224 bytes an entry; what few have
 * (helper, labels, sequence adjustment, ...) is kept beside the table by slot number.
 */
export const Field = {
  original: 0,
  reply: TUPLE_WORDS,
  /** Zone id, and in bits 16 and 17 the directions for which it holds. */
  zone: 20,
  id: 21,
  status: 22,
  mark: 23,
  secmark: 24,
  /** Next node of the hash chain, for the original and the reply tuple: node + 1, 0 at the end. */
  next: 25,
  /** Next entry with the same hash of the original source, for NAT: slot + 1. */
  nextBySource: 27,
  /** Bits of `Extra`, and above bit 8 the number of connections whose master this is. */
  extras: 28,
  /** Interface index that MASQUERADE remembered. */
  masquerade: 29,
  /** Microseconds, as a double: when it dies; before confirmation how long it will live. */
  expiry: 30,
  /** Doubles: packets, bytes of the original, then of the reply direction. */
  counters: 32,
  /** 15 words for the protocol. */
  protocol: 40,
} as const;
export const ENTRY_WORDS = 56;

/** What an entry has besides its words (nf_ct_ext). */
export const Extra = {
  accounting: 1,
  helper: 2,
  master: 4,
  labels: 8,
  sequence: 16,
  timestamp: 32,
  synproxy: 64,
} as const;
const CHILD = 1 << 8;

const CHUNK_BITS = 10;
const CHUNK = 1 << CHUNK_BITS;
/** Freed slots are not used again before that many others were freed, so that packets still under way see no stranger in them. */
const REST = 64;

/**
 * All connections, in slabs of words, with a hash table over both tuples of each. A node of the hash table is
 * `slot * 2 + direction`. It knows nothing of protocols or time.
 */
export class ConntrackTable {
  private readonly words: Uint32Array[] = [];
  private readonly doubles: Float64Array[] = [];
  private used = 0;
  private freed: number[] = [];
  private freedHead = 0;
  private buckets = new Uint32Array(1024);
  private shift = 22;
  /** Nodes in the hash table. */
  private nodes = 0;
  /** Entries that exist, confirmed or not. */
  count = 0;
  private nextId = 1;

  wordsOf(slot: number): Uint32Array {
    return this.words[slot >>> CHUNK_BITS]!;
  }

  doublesOf(slot: number): Float64Array {
    return this.doubles[slot >>> CHUNK_BITS]!;
  }

  /** Offset of the slot's words in `wordsOf(slot)`; half of it is its offset in `doublesOf(slot)`. */
  baseOf(slot: number): number {
    return (slot & (CHUNK - 1)) * ENTRY_WORDS;
  }

  /** A cleared slot with a new id. */
  allocate(): number {
    let slot: number;
    if (this.freed.length - this.freedHead > REST) {
      slot = this.freed[this.freedHead++]!;
      if (this.freedHead > 4096) {
        this.freed = this.freed.slice(this.freedHead);
        this.freedHead = 0;
      }
    } else {
      slot = this.used++;
      if (slot >>> CHUNK_BITS === this.words.length) {
        const words = new Uint32Array(CHUNK * ENTRY_WORDS);
        this.words.push(words);
        this.doubles.push(new Float64Array(words.buffer));
      }
    }
    const words = this.wordsOf(slot);
    const base = this.baseOf(slot);
    words.fill(0, base, base + ENTRY_WORDS);
    words[base + Field.id] = this.nextId++;
    this.count++;
    return slot;
  }

  /** Ids given from now on are above `id`. */
  reserveIds(id: number): void {
    if (id >= this.nextId) this.nextId = id + 1;
  }

  /** Gives the slot back, unless other connections still have it as their master. */
  free(slot: number): void {
    const words = this.wordsOf(slot);
    const base = this.baseOf(slot);
    this.count--;
    if (words[base + Field.extras]! < CHILD) this.recycle(slot);
  }

  private recycle(slot: number): void {
    this.wordsOf(slot)[this.baseOf(slot) + Field.id] = 0;
    this.freed.push(slot);
  }

  addChild(slot: number): void {
    this.wordsOf(slot)[this.baseOf(slot) + Field.extras]! += CHILD;
  }

  /** True if that was the last connection that kept a dead master. */
  removeChild(slot: number): boolean {
    const words = this.wordsOf(slot);
    const base = this.baseOf(slot);
    words[base + Field.extras]! -= CHILD;
    if (words[base + Field.extras]! >= CHILD || (words[base + Field.status]! & Status.dying) === 0) return false;
    this.recycle(slot);
    return true;
  }

  zoneOf(slot: number, direction: Direction): number {
    const zone = this.wordsOf(slot)[this.baseOf(slot) + Field.zone]!;
    return (zone >>> (16 + direction)) & 1 ? zone & 0xffff : 0;
  }

  /** Puts a direction of the entry into the hash table, in front of its chain. */
  link(slot: number, direction: Direction): void {
    if (this.nodes >= this.buckets.length) this.grow();
    const words = this.wordsOf(slot);
    const base = this.baseOf(slot);
    const bucket = hashTuple(words, base + direction * TUPLE_WORDS) >>> this.shift;
    words[base + Field.next + direction] = this.buckets[bucket]!;
    this.buckets[bucket] = slot * 2 + direction + 1;
    this.nodes++;
  }

  /** Takes a direction out again; nothing happens if it is not in. */
  unlink(slot: number, direction: Direction): void {
    const words = this.wordsOf(slot);
    const base = this.baseOf(slot);
    const bucket = hashTuple(words, base + direction * TUPLE_WORDS) >>> this.shift;
    const wanted = slot * 2 + direction + 1;
    let node = this.buckets[bucket]!;
    if (node === wanted) {
      this.buckets[bucket] = words[base + Field.next + direction]!;
      this.nodes--;
      return;
    }
    while (node !== 0) {
      const next = this.nextNode(node - 1);
      if (next === wanted) {
        this.setNextNode(node - 1, words[base + Field.next + direction]!);
        this.nodes--;
        return;
      }
      node = next;
    }
  }

  private nextNode(node: number): number {
    const slot = node >>> 1;
    return this.wordsOf(slot)[this.baseOf(slot) + Field.next + (node & 1)]!;
  }

  private setNextNode(node: number, value: number): void {
    const slot = node >>> 1;
    this.wordsOf(slot)[this.baseOf(slot) + Field.next + (node & 1)] = value;
  }

  private grow(): void {
    const old = this.buckets;
    this.buckets = new Uint32Array(old.length * 2);
    this.shift--;
    for (let first of old) {
      while (first !== 0) {
        const node = first - 1;
        first = this.nextNode(node);
        const slot = node >>> 1;
        const hash = hashTuple(this.wordsOf(slot), this.baseOf(slot) + (node & 1) * TUPLE_WORDS);
        const bucket = hash >>> this.shift;
        this.setNextNode(node, this.buckets[bucket]!);
        this.buckets[bucket] = node + 1;
      }
    }
  }

  /**
   * The node (`slot * 2 + direction`) with that tuple in that zone, -1 if there is none. Entries that are dead at `now` are
   * given to `bury` on the way. `ignore`: a slot that does not count.
   */
  find(
    key: Uint32Array,
    at: number,
    zoneOriginal: number,
    zoneReply: number,
    now: number,
    bury: (slot: number) => void,
    ignore = -1,
  ): number {
    let node = this.buckets[hashTuple(key, at) >>> this.shift]!;
    while (node !== 0) {
      const slot = (node - 1) >>> 1;
      const direction = ((node - 1) & 1) as Direction;
      const words = this.wordsOf(slot);
      const base = this.baseOf(slot);
      const next = words[base + Field.next + direction]!;
      if (slot !== ignore) {
        if (this.doublesOf(slot)[(base + Field.expiry) >>> 1]! <= now) {
          bury(slot);
          // Burying may have unlinked the next node as well: it is the same entry's other direction only if chained here.
          if (next !== 0 && (next - 1) >>> 1 === slot) {
            node = this.buckets[hashTuple(key, at) >>> this.shift]!;
            continue;
          }
        } else if (sameTuple(words, base + direction * TUPLE_WORDS, key, at)) {
          const zone = direction === Direction.original ? zoneOriginal : zoneReply;
          if (this.zoneOf(slot, direction) === zone) return node - 1;
        }
      }
      node = next;
    }
    return -1;
  }

  /** Calls `visit` with each confirmed slot, oldest slot first. */
  forEachConfirmed(visit: (slot: number) => void): void {
    for (let slot = 0; slot < this.used; slot++) {
      const words = this.wordsOf(slot);
      const base = this.baseOf(slot);
      const status = words[base + Field.status]!;
      if (words[base + Field.id] !== 0 && (status & Status.confirmed) !== 0 && (status & Status.dying) === 0)
        visit(slot);
    }
  }

  /** Calls `visit` with the slots whose nodes have hashes from `low` up to `high` (both unsigned, `high` included). */
  forEachHashed(low: number, high: number, visit: (slot: number) => void): void {
    for (let bucket = low >>> this.shift; bucket <= high >>> this.shift; bucket++) {
      let node = this.buckets[bucket]!;
      while (node !== 0) {
        const slot = (node - 1) >>> 1;
        const next = this.nextNode(node - 1);
        const hash = hashTuple(this.wordsOf(slot), this.baseOf(slot) + ((node - 1) & 1) * TUPLE_WORDS);
        if (hash >= low && hash <= high) visit(slot);
        node = next;
      }
    }
  }
}
