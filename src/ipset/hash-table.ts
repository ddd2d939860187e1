import { jhash2 } from '../packet/jhash.ts';
import type { ElementLayout, ElementPrefixes } from './element-layout.ts';
import type { CreateOptions } from './entry.ts';
import { SetError } from './errors.ts';
import type { ElementExtensions, PacketTest, SetClock } from './extensions.ts';
import { ExtensionStore } from './extensions.ts';
import { Buckets, FIRST_BLOCK, regionOf, regionsOf } from './hash-buckets.ts';
import { PrefixLengths } from './prefixes.ts';
import { SLOT_NOMATCH, SLOT_USED, Slots } from './slots.ts';

const DEFAULT_BUCKET = 12;
const MAX_BUCKET = 64;
/** Bytes of `struct htable`, `struct ip_set_region`. */
const TABLE_HEADER = 24;
const REGION_SIZE = 24;

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
  /** Prefix lengths in use, for each network of an element. */
  readonly prefixes: PrefixLengths[] = [];
  private buckets: Buckets;
  private regionElements: Uint32Array;
  private regionMax: number;
  /** While a saved state is read: everything that was in a set goes in again. */
  loading = false;
  private readonly elementBytes: number;

  constructor(layout: ElementLayout, options: CreateOptions, initval: number, clock: SetClock) {
    this.layout = layout;
    this.maxElements = options.maxelem ?? 65536;
    this.initval = initval;
    this.forceAdd = options.forceadd === true;
    const size = Math.max(64, options.hashsize ?? 1024);
    const bits = 32 - Math.clz32(size - 1);
    const bucket = options.bucketsize ?? DEFAULT_BUCKET;
    this.bucketSize = bucket < 2 ? 2 : bucket > DEFAULT_BUCKET ? DEFAULT_BUCKET : bucket + (bucket % 2);
    const extensions = new ExtensionStore(options, clock, 16);
    this.elementBytes = extensions.elementSize(layout.size, 4);
    this.buckets = new Buckets(bits, new Slots(layout.width, extensions, 16), this.elementBytes);
    for (let i = 0; i < (layout.prefixes?.count ?? 0); i++) this.prefixes.push(new PrefixLengths());
    this.regionElements = new Uint32Array(regionsOf(bits));
    this.regionMax = Math.floor(this.maxElements / regionsOf(bits));
  }

  /** There are 2^bits buckets. */
  get bits(): number {
    return this.buckets.bits;
  }

  get slots(): Slots {
    return this.buckets.slots;
  }

  get extensions(): ExtensionStore {
    return this.buckets.slots.extensions;
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
      this.buckets.bytes +
      this.extensions.commentBytes
    );
  }

  /** All elements that have not expired, in the kernel's order. */
  forEach(visit: (slot: number) => void): void {
    const { starts, tops, slots } = this.buckets;
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
    const slots = new Slots(this.layout.width, this.extensions.emptyCopy(16), 16);
    slots.extensions.commentBytes = 0;
    this.buckets = new Buckets(this.bits, slots, this.elementBytes);
    this.regionElements.fill(0);
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
    const { buckets } = this;
    const { slots } = buckets;
    const bucket = this.bucketOf(element);
    const region = regionOf(bucket);
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
    const size = buckets.sizes[bucket]!;
    let slot: number;
    if (size === 0) {
      if (force || elements >= limit) return SetError.hashFull;
      slot = buckets.open(bucket);
    } else {
      const start = buckets.starts[bucket]!;
      const top = buckets.tops[bucket]!;
      let reuse = -1;
      let freed = false;
      let same = 0;
      for (let i = start; i < start + top; i++) {
        if ((slots.state[i]! & SLOT_USED) === 0) {
          if (reuse < 0) {
            reuse = i;
            freed = true;
          }
          continue;
        }
        if (this.equalHashed(i, element)) {
          same++;
          if (this.layout.equal === undefined || this.layout.equal(slots.words, i * slots.width, element)) {
            if (!exist && !this.extensions.expired(i)) return SetError.elementExists;
            slots.state[i] = SLOT_USED | (nomatch ? SLOT_NOMATCH : 0);
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
        }
        slot = buckets.extend(bucket);
      }
    }
    this.regionElements[region]!++;
    const { words, width } = slots;
    const base = slot * width;
    for (let i = 0; i < width; i++) words[base + i] = element[i]!;
    const prefixes = this.layout.prefixes;
    if (prefixes !== undefined) {
      for (let n = 0; n < prefixes.count; n++) this.prefixes[n]!.add(prefixes.get(element, 0, n));
    }
    slots.state[slot] = SLOT_USED | (nomatch ? SLOT_NOMATCH : 0);
    this.extensions.writeAll(slot, extensions);
    return 0;
  }

  /** Removes an element; 0 or an error code. */
  remove(element: Uint32Array): number {
    const { buckets } = this;
    const bucket = this.bucketOf(element);
    const slot = this.find(element, bucket);
    if (slot < 0 || this.extensions.expired(slot)) return SetError.elementExists;
    buckets.slots.state[slot] = 0;
    if (slot + 1 === buckets.starts[bucket]! + buckets.tops[bucket]!) buckets.tops[bucket]!--;
    this.forget(slot, regionOf(bucket));
    buckets.shrink(bucket);
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
    const { layout, buckets } = this;
    const { words, state, width, extensions } = buckets.slots;
    const { hashed } = layout;
    const bucket = this.bucketOf(element);
    const start = buckets.starts[bucket]!;
    const end = start + buckets.tops[bucket]!;
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
    return jhash2(element, this.layout.hashed, this.initval) & (this.buckets.starts.length - 1);
  }

  private find(element: Uint32Array, bucket: number): number {
    const { starts, tops, slots } = this.buckets;
    const end = starts[bucket]! + tops[bucket]!;
    for (let slot = starts[bucket]!; slot < end; slot++) {
      if (
        (slots.state[slot]! & SLOT_USED) !== 0 &&
        this.equalHashed(slot, element) &&
        (this.layout.equal === undefined || this.layout.equal(slots.words, slot * slots.width, element))
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

  /** Removes expired elements of a region (mtype_gc_do). */
  private collect(region: number): void {
    const { buckets } = this;
    const { state, extensions } = buckets.slots;
    const [from, to] = buckets.rangeOf(region);
    for (let bucket = from; bucket < to; bucket++) {
      const start = buckets.starts[bucket]!;
      for (let slot = start; slot < start + buckets.tops[bucket]!; slot++) {
        if ((state[slot]! & SLOT_USED) === 0 || !extensions.expired(slot)) continue;
        state[slot] = 0;
        this.forget(slot, region);
      }
      buckets.shrinkExpired(bucket);
    }
  }

  /** Doubles the number of buckets until every element finds a place (mtype_resize). */
  private resize(): void {
    const old = this.buckets;
    let bits = old.bits;
    do {
      bits++;
    } while (!this.fill(bits, old));
  }

  private fill(bits: number, old: Buckets): boolean {
    const capacity = old.slots.state.length;
    const slots = new Slots(old.slots.width, old.slots.extensions.emptyCopy(capacity), capacity);
    const buckets = new Buckets(bits, slots, this.elementBytes);
    const regions = regionsOf(bits);
    const elements = new Uint32Array(regions);
    const { hashed } = this.layout;
    const { width } = slots;
    const mask = buckets.starts.length - 1;
    for (let from = 0; from < old.starts.length; from++) {
      const end = old.starts[from]! + old.tops[from]!;
      for (let source = old.starts[from]!; source < end; source++) {
        if ((old.slots.state[source]! & SLOT_USED) === 0 || old.slots.extensions.expired(source)) continue;
        const bucket = jhash2(old.slots.words, hashed, this.initval, source * width) & mask;
        const size = buckets.sizes[bucket]!;
        if (size > 0 && buckets.tops[bucket]! >= size && size >= this.bucketSize) return false;
        slots.copy(old.slots, source, size === 0 ? buckets.open(bucket) : buckets.extend(bucket));
        elements[regionOf(bucket)]!++;
      }
    }
    this.buckets = buckets;
    this.regionElements = elements;
    this.regionMax = Math.floor(this.maxElements / regions);
    return true;
  }
}
