import { jhash2 } from '../packet/jhash.ts';
import type { ElementLayout, ElementPrefixes } from './element-layout.ts';
import type { CreateOptions } from './entry.ts';
import { SetError } from './errors.ts';
import type { ElementExtensions, PacketTest, SetClock } from './extensions.ts';
import { ExtensionStore } from './extensions.ts';
import { PrefixLengths } from './prefixes.ts';
import { SLOT_NOMATCH, SLOT_USED, Slots } from './slots.ts';

const FIRST_BLOCK = 2;
const DEFAULT_BUCKET = 12;
const MAX_BUCKET = 64;
const REGION_BITS = 10;
/** Bytes of `struct hbucket`, `struct htable`, `struct ip_set_region`. */
const BUCKET_HEADER = 32;
const TABLE_HEADER = 24;
const REGION_SIZE = 24;

function regionsOf(bits: number): number {
  return bits < REGION_BITS ? 1 : 2 ** (bits - REGION_BITS);
}

/**
 * The hash of net/netfilter/ipset/ip_set_hash_gen.h, bucket by bucket: the same buckets, growth and reuse of places,
 * so that listings have the kernel's order and `Size in memory` its number.
 */
export class HashTable {
  readonly layout: ElementLayout;
  readonly maxElements: number;
  readonly initval: number;
  bucketSize: number;
  readonly forceAdd: boolean;
  bits: number;
  slots: Slots;
  /** Prefix lengths in use, for each network of an element. */
  readonly prefixes: PrefixLengths[] = [];
  private starts: Uint32Array;
  private sizes: Uint8Array;
  private tops: Uint8Array;
  private regionElements: Uint32Array;
  private regionMax: number;
  /** While a saved state is read: everything that was in a set goes in again. */
  loading = false;
  /** Bytes of all buckets. */
  private bucketBytes = 0;
  private readonly elementBytes: number;

  constructor(layout: ElementLayout, options: CreateOptions, initval: number, clock: SetClock) {
    this.layout = layout;
    this.maxElements = options.maxelem ?? 65536;
    this.initval = initval;
    this.forceAdd = options.forceadd === true;
    const size = Math.max(64, options.hashsize ?? 1024);
    this.bits = 32 - Math.clz32(size - 1);
    const bucket = options.bucketsize ?? DEFAULT_BUCKET;
    this.bucketSize = bucket < 2 ? 2 : bucket > DEFAULT_BUCKET ? DEFAULT_BUCKET : bucket + (bucket % 2);
    const extensions = new ExtensionStore(options, clock, 16);
    this.elementBytes = extensions.elementSize(layout.size, 4);
    this.slots = new Slots(layout.width, extensions, 16);
    for (let i = 0; i < (layout.prefixes?.count ?? 0); i++) this.prefixes.push(new PrefixLengths());
    const buckets = 2 ** this.bits;
    this.starts = new Uint32Array(buckets);
    this.sizes = new Uint8Array(buckets);
    this.tops = new Uint8Array(buckets);
    this.regionElements = new Uint32Array(regionsOf(this.bits));
    this.regionMax = Math.floor(this.maxElements / regionsOf(this.bits));
  }

  get extensions(): ExtensionStore {
    return this.slots.extensions;
  }

  /** Elements that have not expired. */
  count(): number {
    let total = 0;
    if (this.extensions.timeout === null) {
      for (const n of this.regionElements) total += n;
      return total;
    }
    this.forEach(() => {
      total++;
    });
    return total;
  }

  /** What listings print as `Size in memory`. */
  memorySize(): number {
    return (
      this.layout.setSize +
      TABLE_HEADER +
      regionsOf(this.bits) * REGION_SIZE +
      this.bucketBytes +
      this.extensions.commentBytes
    );
  }

  /** All elements that have not expired, in the kernel's order. */
  forEach(visit: (slot: number) => void): void {
    const { starts, tops, slots } = this;
    const { state, extensions } = slots;
    for (let bucket = 0; bucket < starts.length; bucket++) {
      const end = starts[bucket]! + tops[bucket]!;
      for (let slot = starts[bucket]!; slot < end; slot++) {
        if ((state[slot]! & SLOT_USED) !== 0 && !extensions.expired(slot)) visit(slot);
      }
    }
  }

  isNomatch(slot: number): boolean {
    return (this.slots.state[slot]! & SLOT_NOMATCH) !== 0;
  }

  flush(): void {
    this.slots = new Slots(this.layout.width, this.extensions.emptyCopy(16), 16);
    this.extensions.commentBytes = 0;
    this.starts.fill(0);
    this.sizes.fill(0);
    this.tops.fill(0);
    this.regionElements.fill(0);
    this.bucketBytes = 0;
    for (const prefixes of this.prefixes) prefixes.clear();
  }

  /**
   * Adds an element; 0 or an error code. `exist`: an element that is there gets the new extensions. `grow`: the table
   * may be enlarged (only commands do that; a packet's addition fails instead).
   */
  add(element: Uint32Array, extensions: ElementExtensions, exist: boolean, nomatch: boolean, grow: boolean): number {
    for (;;) {
      const result = this.tryAdd(element, extensions, exist, nomatch);
      if (result !== SetError.again || !grow) return result;
      this.resize();
    }
  }

  private tryAdd(element: Uint32Array, extensions: ElementExtensions, exist: boolean, nomatch: boolean): number {
    const bucket = this.bucketOf(element);
    const region = bucket >> REGION_BITS;
    let elements = this.regionElements[region]!;
    let limit = this.regionMax;
    let force = false;
    if (this.loading) {
      limit = Number.POSITIVE_INFINITY;
    } else if (elements >= limit) {
      if (this.extensions.timeout !== null) this.collect(region);
      limit = this.maxElements;
      elements = 0;
      for (const n of this.regionElements) elements += n;
      force = elements >= limit && this.forceAdd;
    }
    const size = this.sizes[bucket]!;
    let slot: number;
    if (size === 0) {
      if (force || elements >= limit) return SetError.hashFull;
      slot = this.slots.allocate(FIRST_BLOCK);
      this.starts[bucket] = slot;
      this.sizes[bucket] = FIRST_BLOCK;
      this.tops[bucket] = 1;
      this.bucketBytes += BUCKET_HEADER + FIRST_BLOCK * this.elementBytes;
    } else {
      const start = this.starts[bucket]!;
      const top = this.tops[bucket]!;
      let reuse = -1;
      let freed = false;
      let same = 0;
      for (let i = start; i < start + top; i++) {
        if ((this.slots.state[i]! & SLOT_USED) === 0) {
          if (reuse < 0) {
            reuse = i;
            freed = true;
          }
          continue;
        }
        if (this.equalHashed(i, element)) {
          same++;
          if (this.layout.equal === undefined || this.layout.equal(this.slots.words, i * this.slots.width, element)) {
            if (!exist && !this.extensions.expired(i)) return SetError.elementExists;
            this.slots.state[i] = SLOT_USED | (nomatch ? SLOT_NOMATCH : 0);
            this.extensions.writeAll(i, extensions);
            return 0;
          }
        }
        if (reuse < 0 && this.extensions.expired(i)) reuse = i;
      }
      if (reuse >= 0 || force) {
        slot = reuse >= 0 ? reuse : start;
        if (!freed) this.forget(slot, region);
      } else {
        if (elements >= limit) return SetError.hashFull;
        if (top >= size) {
          if (this.layout.equal !== undefined) {
            if (this.bucketSize >= MAX_BUCKET) return SetError.hashFull;
            if (this.bucketSize <= same) this.bucketSize += FIRST_BLOCK;
          }
          if (size >= this.bucketSize) return SetError.again;
          this.enlarge(bucket, this.slots);
          this.bucketBytes += BUCKET_HEADER + FIRST_BLOCK * this.elementBytes;
        }
        slot = this.starts[bucket]! + top;
        this.tops[bucket] = top + 1;
      }
    }
    this.regionElements[region]!++;
    const { words, width } = this.slots;
    const base = slot * width;
    for (let i = 0; i < width; i++) words[base + i] = element[i]!;
    const prefixes = this.layout.prefixes;
    if (prefixes !== undefined) {
      for (let n = 0; n < prefixes.count; n++) this.prefixes[n]!.add(prefixes.get(element, 0, n));
    }
    this.slots.state[slot] = SLOT_USED | (nomatch ? SLOT_NOMATCH : 0);
    this.extensions.writeAll(slot, extensions);
    return 0;
  }

  /** Removes an element; 0 or an error code. */
  remove(element: Uint32Array): number {
    const bucket = this.bucketOf(element);
    const region = bucket >> REGION_BITS;
    const slot = this.find(element, bucket);
    if (slot < 0 || this.extensions.expired(slot)) return SetError.elementExists;
    this.slots.state[slot] = 0;
    const start = this.starts[bucket]!;
    if (slot + 1 === start + this.tops[bucket]!) this.tops[bucket]!--;
    this.forget(slot, region);
    let holes = 0;
    for (let i = start; i < start + this.tops[bucket]!; i++) {
      if ((this.slots.state[i]! & SLOT_USED) === 0) holes++;
    }
    const size = this.sizes[bucket]!;
    if (this.tops[bucket] === 0) {
      this.bucketBytes -= BUCKET_HEADER + size * this.elementBytes;
      this.slots.release(start, size);
      this.sizes[bucket] = 0;
    } else if (holes >= FIRST_BLOCK) {
      this.compact(bucket, size - FIRST_BLOCK);
    }
    return 0;
  }

  /** 1: found, 0: not, -ENOTEMPTY: found with `nomatch`. Changes `element` where networks are tried. */
  test(element: Uint32Array, test: PacketTest): number {
    const prefixes = this.layout.prefixes;
    if (prefixes === undefined) return this.probe(element, test, null);
    for (let n = 0; n < prefixes.count; n++) {
      if (prefixes.get(element, 0, n) !== prefixes.host) return this.probe(element, test, null);
    }
    return this.testNetworks(element, prefixes, test);
  }

  private testNetworks(element: Uint32Array, prefixes: ElementPrefixes, test: PacketTest): number {
    const original = prefixes.count === 2 ? element.slice() : element;
    const seen = this.layout.equal === undefined ? null : { equal: 0 };
    for (const first of this.prefixes[0]!.lengths) {
      if (seen !== null && seen.equal > 0) break;
      if (prefixes.count === 2) element.set(original);
      prefixes.mask(element, first, 0);
      if (prefixes.count === 1) {
        const result = this.probe(element, test, seen);
        if (result !== 0) return result;
        continue;
      }
      for (const second of this.prefixes[1]!.lengths) {
        prefixes.mask(element, second, 1);
        const result = this.probe(element, test, seen);
        if (result !== 0) return result;
      }
    }
    return 0;
  }

  /** `seen` counts elements that differ only in the part that is not hashed; the search of shorter prefixes ends there. */
  private probe(element: Uint32Array, test: PacketTest, seen: { equal: number } | null): number {
    const { layout, slots } = this;
    const { words, state, width, extensions } = slots;
    const { hashed } = layout;
    const bucket = this.bucketOf(element);
    const start = this.starts[bucket]!;
    const end = start + this.tops[bucket]!;
    const key = element[0]!;
    for (let slot = start, base = start * width; slot < end; slot++, base += width) {
      if (words[base] !== key || (state[slot]! & SLOT_USED) === 0) continue;
      let i = 1;
      while (i < hashed && words[base + i] === element[i]) i++;
      if (i < hashed) continue;
      if (layout.equal !== undefined) {
        if (seen !== null) seen.equal++;
        if (!layout.equal(words, base, element)) continue;
      }
      if (extensions.match(slot, test)) return (state[slot]! & SLOT_NOMATCH) !== 0 ? -SetError.notEmpty : 1;
      if (seen !== null) seen.equal = 0;
    }
    return 0;
  }

  private bucketOf(element: Uint32Array): number {
    return jhash2(element, this.layout.hashed, this.initval) & (this.starts.length - 1);
  }

  private find(element: Uint32Array, bucket: number): number {
    const end = this.starts[bucket]! + this.tops[bucket]!;
    for (let slot = this.starts[bucket]!; slot < end; slot++) {
      if (
        (this.slots.state[slot]! & SLOT_USED) !== 0 &&
        this.equalHashed(slot, element) &&
        (this.layout.equal === undefined || this.layout.equal(this.slots.words, slot * this.slots.width, element))
      ) {
        return slot;
      }
    }
    return -1;
  }

  private equalHashed(slot: number, element: Uint32Array): boolean {
    const { words, width } = this.slots;
    const base = slot * width;
    for (let i = 0; i < this.layout.hashed; i++) if (words[base + i] !== element[i]) return false;
    return true;
  }

  /** Undoes the book-keeping of an element that goes away. */
  private forget(slot: number, region: number): void {
    this.regionElements[region]!--;
    const prefixes = this.layout.prefixes;
    if (prefixes !== undefined) {
      const { words, width } = this.slots;
      for (let n = 0; n < prefixes.count; n++) this.prefixes[n]!.remove(prefixes.get(words, slot * width, n));
    }
    this.extensions.drop(slot);
  }

  /** Gives a bucket two more places. */
  private enlarge(bucket: number, slots: Slots): void {
    const size = this.sizes[bucket]!;
    const old = this.starts[bucket]!;
    const start = slots.allocate(size + FIRST_BLOCK);
    for (let i = 0; i < size; i++) slots.copy(slots, old + i, start + i);
    slots.release(old, size);
    this.starts[bucket] = start;
    this.sizes[bucket] = size + FIRST_BLOCK;
  }

  /** Moves what a bucket still has into a block of another size. */
  private compact(bucket: number, size: number): void {
    const old = this.starts[bucket]!;
    const start = this.slots.allocate(size);
    let top = 0;
    for (let i = old; i < old + this.tops[bucket]!; i++) {
      if ((this.slots.state[i]! & SLOT_USED) !== 0) this.slots.copy(this.slots, i, start + top++);
    }
    this.slots.release(old, this.sizes[bucket]!);
    this.starts[bucket] = start;
    this.sizes[bucket] = size;
    this.tops[bucket] = top;
    this.bucketBytes -= BUCKET_HEADER + FIRST_BLOCK * this.elementBytes;
  }

  /** Removes expired elements of a region (mtype_gc_do). */
  private collect(region: number): void {
    const buckets = this.starts.length;
    const span = this.bits < REGION_BITS ? buckets : 2 ** REGION_BITS;
    for (let bucket = region * span; bucket < Math.min(buckets, (region + 1) * span); bucket++) {
      const start = this.starts[bucket]!;
      const top = this.tops[bucket]!;
      let holes = 0;
      for (let slot = start; slot < start + top; slot++) {
        if ((this.slots.state[slot]! & SLOT_USED) === 0) {
          holes++;
        } else if (this.extensions.expired(slot)) {
          this.slots.state[slot] = 0;
          this.forget(slot, region);
          holes++;
        }
      }
      const size = this.sizes[bucket]!;
      if (holes < FIRST_BLOCK) continue;
      if (holes >= size) {
        this.bucketBytes -= BUCKET_HEADER + size * this.elementBytes;
        this.slots.release(start, size);
        this.sizes[bucket] = 0;
        this.tops[bucket] = 0;
      } else {
        this.compact(bucket, size - FIRST_BLOCK);
      }
    }
  }

  /** Doubles the number of buckets until every element finds a place (mtype_resize). */
  private resize(): void {
    const old = { slots: this.slots, starts: this.starts, tops: this.tops };
    let bits = this.bits;
    do {
      bits++;
    } while (!this.fill(bits, old));
  }

  private fill(bits: number, old: { slots: Slots; starts: Uint32Array; tops: Uint8Array }): boolean {
    const buckets = 2 ** bits;
    const capacity = old.slots.state.length;
    const slots = new Slots(old.slots.width, old.slots.extensions.emptyCopy(capacity), capacity);
    this.bits = bits;
    this.starts = new Uint32Array(buckets);
    this.sizes = new Uint8Array(buckets);
    this.tops = new Uint8Array(buckets);
    const regions = regionsOf(bits);
    this.regionElements = new Uint32Array(regions);
    this.regionMax = Math.floor(this.maxElements / regions);
    this.bucketBytes = 0;
    const { hashed, width } = { hashed: this.layout.hashed, width: slots.width };
    for (let from = 0; from < old.starts.length; from++) {
      const end = old.starts[from]! + old.tops[from]!;
      for (let source = old.starts[from]!; source < end; source++) {
        if ((old.slots.state[source]! & SLOT_USED) === 0 || old.slots.extensions.expired(source)) continue;
        const bucket = jhash2(old.slots.words, hashed, this.initval, source * width) & (buckets - 1);
        const size = this.sizes[bucket]!;
        const top = this.tops[bucket]!;
        if (size === 0) {
          this.starts[bucket] = slots.allocate(FIRST_BLOCK);
          this.sizes[bucket] = FIRST_BLOCK;
          this.bucketBytes += BUCKET_HEADER + FIRST_BLOCK * this.elementBytes;
        } else if (top >= size) {
          if (size >= this.bucketSize) return false;
          this.enlarge(bucket, slots);
          this.bucketBytes += BUCKET_HEADER + FIRST_BLOCK * this.elementBytes;
        }
        slots.copy(old.slots, source, this.starts[bucket]! + top);
        this.tops[bucket] = top + 1;
        this.regionElements[bucket >> REGION_BITS]!++;
      }
    }
    this.slots = slots;
    return true;
  }
}
