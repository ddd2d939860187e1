import { Direction, Status } from './connection.ts';
import { copyTuple, hashTuple, sameTuple, TUPLE_WORDS } from './tuple.ts';

/**
 * Words of an entry. Everything that every connection has lies here, 216 bytes an entry; what few have
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
  /** Next entry with the same hash of the original source, for NAT: slot + 1. */
  nextBySource: 25,
  /** Bits of `Extra`, and above bit 8 the number of connections whose master this is. */
  extras: 26,
  /** Interface index that MASQUERADE remembered. */
  masquerade: 27,
  /** Microseconds, as a double: when it dies; before confirmation how long it will live. */
  expiry: 28,
  /** Doubles: packets, bytes of the original, then of the reply direction. */
  counters: 30,
  /** 15 words for the protocol. */
  protocol: 38,
} as const;
export const ENTRY_WORDS = 54;
/** What an entry takes besides in the chains of the hash table, for its two nodes. */
export const LINK_WORDS = 2;
/** More entries than that have no place in the table, whatever nf_conntrack_max says. */
export const MOST_ENTRIES = 8_000_000;

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
/** How many tuples that were not found are remembered: the two of a connection, and those before its translation. */
const MISSES = 4;

/** A link of a chain: node + 1 in the lower bits, 0 at the end; above them the tag of that node's tuple. */
const TAG_SHIFT = 24;
const NODE_MASK = (1 << TAG_SHIFT) - 1;

/**
 * All connections, in slabs of words, with a hash table over both tuples of each. A node of the hash table is
 * `slot * 2 + direction`. It knows nothing of protocols or time.
 *
 * The chains of the hash table lie beside the entries, and each link has a tag: eight bits of the hash that do not choose the bucket. A
 * lookup touches only entries with the right tag; all others would be fetched from memory to no purpose, which is what it costs most.
 */
export class ConntrackTable {
  private readonly words: Uint32Array[] = [];
  private readonly doubles: Float64Array[] = [];
  /** By slab: the link behind each node. */
  private readonly next: Uint32Array[] = [];
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
  /** How often something was put into the hash table. */
  private links = 0;
  /**
   * The last tuples that were not found, each with its two zones, and how many links there were then: until the next one they are not there. A new
   * connection is looked for when it begins, when NAT binds it, and when it is confirmed.
   */
  private readonly missed = new Uint32Array(MISSES * TUPLE_WORDS);
  private readonly missedZones = new Int32Array(MISSES * 2);
  private readonly missedAt = new Float64Array(MISSES).fill(-1);
  private nextMissed = 0;

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
    let fresh = false;
    if (this.freed.length - this.freedHead > REST) {
      slot = this.freed[this.freedHead++]!;
      if (this.freedHead > 4096) {
        this.freed = this.freed.slice(this.freedHead);
        this.freedHead = 0;
      }
    } else {
      // Never used before, so there is nothing to clear.
      fresh = true;
      slot = this.used++;
      if (slot >>> CHUNK_BITS === this.words.length) {
        const words = new Uint32Array(CHUNK * ENTRY_WORDS);
        this.words.push(words);
        this.doubles.push(new Float64Array(words.buffer));
        this.next.push(new Uint32Array(CHUNK * LINK_WORDS));
      }
    }
    const words = this.wordsOf(slot);
    const base = this.baseOf(slot);
    if (!fresh) words.fill(0, base, base + ENTRY_WORDS);
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
    this.links++;
    if (this.nodes >= this.buckets.length) this.grow();
    const node = slot * 2 + direction;
    const hash = this.hashOf(node);
    const bucket = hash >>> this.shift;
    this.setNext(node, this.buckets[bucket]!);
    this.buckets[bucket] = linkTo(node, hash);
    this.nodes++;
  }

  /** Takes a direction out again; nothing happens if it is not in. */
  unlink(slot: number, direction: Direction): void {
    const unwanted = slot * 2 + direction;
    const bucket = this.hashOf(unwanted) >>> this.shift;
    let before = -1;
    let node = nodeOf(this.buckets[bucket]!);
    while (node >= 0 && node !== unwanted) {
      before = node;
      node = nodeOf(this.nextOf(node));
    }
    if (node < 0) return;
    if (before < 0) this.buckets[bucket] = this.nextOf(node);
    else this.setNext(before, this.nextOf(node));
    this.nodes--;
  }

  private hashOf(node: number): number {
    const slot = node >>> 1;
    return hashTuple(this.wordsOf(slot), this.baseOf(slot) + (node & 1) * TUPLE_WORDS);
  }

  private nextOf(node: number): number {
    return this.next[node >>> (CHUNK_BITS + 1)]![node & (CHUNK * 2 - 1)]!;
  }

  private setNext(node: number, link: number): void {
    this.next[node >>> (CHUNK_BITS + 1)]![node & (CHUNK * 2 - 1)] = link;
  }

  private grow(): void {
    const old = this.buckets;
    this.buckets = new Uint32Array(old.length * 2);
    this.shift--;
    for (let link of old) {
      while (link !== 0) {
        const node = nodeOf(link);
        const bucket = this.hashOf(node) >>> this.shift;
        const next = this.nextOf(node);
        this.setNext(node, this.buckets[bucket]!);
        this.buckets[bucket] = link;
        link = next;
      }
    }
  }

  /**
   * The node (`slot * 2 + direction`) with that tuple in that zone, -1 if there is none. Entries that it looks at and that are dead at `now` are
   * given to `bury`. `ignore`: a slot that does not count.
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
    if (this.isMissed(key, at, zoneOriginal, zoneReply)) return -1;
    const hash = hashTuple(key, at);
    const bucket = hash >>> this.shift;
    const tag = hash & 0xff;
    let ignored = false;
    let link = this.buckets[bucket]!;
    while (link !== 0) {
      const node = nodeOf(link);
      const slot = node >>> 1;
      const following = this.nextOf(node);
      if (slot === ignore) ignored = true;
      else if (link >>> TAG_SHIFT === tag) {
        const direction = (node & 1) as Direction;
        const words = this.wordsOf(slot);
        const base = this.baseOf(slot);
        if (this.doublesOf(slot)[(base + Field.expiry) >>> 1]! <= now) {
          bury(slot);
          // The other direction of the same entry may have been the next one of this chain.
          if (nodeOf(following) >>> 1 === slot) {
            link = this.buckets[bucket]!;
            continue;
          }
        } else if (sameTuple(words, base + direction * TUPLE_WORDS, key, at)) {
          const zone = direction === Direction.original ? zoneOriginal : zoneReply;
          if (this.zoneOf(slot, direction) === zone) return node;
        }
      }
      link = following;
    }
    if (!ignored) this.noteMissed(key, at, zoneOriginal, zoneReply);
    return -1;
  }

  private isMissed(key: Uint32Array, at: number, zoneOriginal: number, zoneReply: number): boolean {
    for (let i = 0; i < MISSES; i++) {
      if (
        this.missedAt[i] === this.links &&
        sameTuple(this.missed, i * TUPLE_WORDS, key, at) &&
        this.missedZones[2 * i] === zoneOriginal &&
        this.missedZones[2 * i + 1] === zoneReply
      ) {
        return true;
      }
    }
    return false;
  }

  private noteMissed(key: Uint32Array, at: number, zoneOriginal: number, zoneReply: number): void {
    const i = this.nextMissed;
    this.nextMissed = (i + 1) % MISSES;
    copyTuple(key, at, this.missed, i * TUPLE_WORDS);
    this.missedZones[2 * i] = zoneOriginal;
    this.missedZones[2 * i + 1] = zoneReply;
    this.missedAt[i] = this.links;
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
      let link = this.buckets[bucket]!;
      while (link !== 0) {
        const node = nodeOf(link);
        link = this.nextOf(node);
        const hash = this.hashOf(node);
        if (hash >= low && hash <= high) visit(node >>> 1);
      }
    }
  }
}

function linkTo(node: number, hash: number): number {
  return ((hash << TAG_SHIFT) | (node + 1)) >>> 0;
}

/** Below 0 at the end of the chain. */
function nodeOf(link: number): number {
  return (link & NODE_MASK) - 1;
}
