import { SLOT_USED, type Slots } from './slots.ts';

/** Places that a bucket gets at a time. */
export const FIRST_BLOCK = 2;
const REGION_BITS = 10;
/** Bytes of `struct hbucket`. */
const BUCKET_HEADER = 32;

/** Parts of a hash that are locked and counted for themselves. */
export function regionsOf(bits: number): number {
  return bits < REGION_BITS ? 1 : 2 ** (bits - REGION_BITS);
}

export function regionOf(bucket: number): number {
  return bucket >> REGION_BITS;
}

/**
 * The buckets of a hash: each has a block of slots, of which the first `tops` have been used and some may be free again
 * (`struct hbucket` of ip_set_hash_gen.h).
 */
export class Buckets {
  readonly bits: number;
  readonly slots: Slots;
  /** First slot, number of slots, and how many have been used, of each bucket. */
  readonly starts: Uint32Array;
  readonly sizes: Uint8Array;
  readonly tops: Uint8Array;
  /** Bytes of all buckets as the kernel has them. */
  bytes = 0;
  private readonly elementBytes: number;

  constructor(bits: number, slots: Slots, elementBytes: number) {
    const count = 2 ** bits;
    this.bits = bits;
    this.slots = slots;
    this.elementBytes = elementBytes;
    this.starts = new Uint32Array(count);
    this.sizes = new Uint8Array(count);
    this.tops = new Uint8Array(count);
  }

  /** The buckets of a region. */
  rangeOf(region: number): readonly [from: number, to: number] {
    const span = this.bits < REGION_BITS ? this.starts.length : 2 ** REGION_BITS;
    return [region * span, Math.min(this.starts.length, (region + 1) * span)];
  }

  /** Gives an empty bucket its first block; the first slot of it, which counts as used. */
  open(bucket: number): number {
    const slot = this.slots.allocate(FIRST_BLOCK);
    this.starts[bucket] = slot;
    this.sizes[bucket] = FIRST_BLOCK;
    this.tops[bucket] = 1;
    this.bytes += BUCKET_HEADER + FIRST_BLOCK * this.elementBytes;
    return slot;
  }

  /** Takes the next slot of a bucket, which is enlarged if all are used. */
  extend(bucket: number): number {
    const top = this.tops[bucket]!;
    if (top >= this.sizes[bucket]!) this.enlarge(bucket);
    this.tops[bucket] = top + 1;
    return this.starts[bucket]! + top;
  }

  /** Takes away what a bucket no longer needs (after a deletion, mtype_del). */
  shrink(bucket: number): void {
    const start = this.starts[bucket]!;
    const size = this.sizes[bucket]!;
    const holes = this.holes(bucket);
    if (this.tops[bucket] === 0) this.close(bucket);
    else if (holes >= FIRST_BLOCK) this.compact(bucket, start, size - FIRST_BLOCK);
  }

  /** The same after elements of a bucket have expired (mtype_gc_do). */
  shrinkExpired(bucket: number): void {
    const holes = this.holes(bucket);
    if (holes < FIRST_BLOCK) return;
    const size = this.sizes[bucket]!;
    if (holes >= size) this.close(bucket);
    else this.compact(bucket, this.starts[bucket]!, size - FIRST_BLOCK);
  }

  private holes(bucket: number): number {
    const { state } = this.slots;
    const start = this.starts[bucket]!;
    let holes = 0;
    for (let slot = start; slot < start + this.tops[bucket]!; slot++) if ((state[slot]! & SLOT_USED) === 0) holes++;
    return holes;
  }

  private close(bucket: number): void {
    const size = this.sizes[bucket]!;
    this.bytes -= BUCKET_HEADER + size * this.elementBytes;
    this.slots.release(this.starts[bucket]!, size);
    this.sizes[bucket] = 0;
    this.tops[bucket] = 0;
  }

  /** Gives a bucket two more places. */
  private enlarge(bucket: number): void {
    const size = this.sizes[bucket]!;
    const old = this.starts[bucket]!;
    const { slots } = this;
    const start = slots.allocate(size + FIRST_BLOCK);
    for (let i = 0; i < size; i++) slots.copy(slots, old + i, start + i);
    slots.release(old, size);
    this.starts[bucket] = start;
    this.sizes[bucket] = size + FIRST_BLOCK;
    this.bytes += BUCKET_HEADER + FIRST_BLOCK * this.elementBytes;
  }

  /** Moves what a bucket still has into a block of another size. */
  private compact(bucket: number, old: number, size: number): void {
    const { slots } = this;
    const start = slots.allocate(size);
    let top = 0;
    for (let i = old; i < old + this.tops[bucket]!; i++) {
      if ((slots.state[i]! & SLOT_USED) !== 0) slots.copy(slots, i, start + top++);
    }
    slots.release(old, this.sizes[bucket]!);
    this.starts[bucket] = start;
    this.sizes[bucket] = size;
    this.tops[bucket] = top;
    this.bytes -= BUCKET_HEADER + FIRST_BLOCK * this.elementBytes;
  }
}
