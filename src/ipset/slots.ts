import type { ExtensionStore } from './extensions.ts';

/** Bits of a slot's state. */
export const SLOT_USED = 1;
export const SLOT_NOMATCH = 2;

/** Greatest number of elements in one bucket; sizes of blocks of slots are even numbers up to it. */
const MAX_BLOCK = 64;

/**
 * Memory for the elements of a hash: slots of `width` words, handed out in blocks (the arrays of hash buckets), with
 * their extensions beside them.
 */
export class Slots {
  readonly width: number;
  words: Uint32Array;
  state: Uint8Array;
  readonly extensions: ExtensionStore;
  private capacity: number;
  private end = 0;
  /** First slots of free blocks, by half their size. */
  private readonly free: number[][] = [];

  constructor(width: number, extensions: ExtensionStore, capacity: number) {
    this.width = width;
    this.capacity = capacity;
    this.words = new Uint32Array(width * capacity);
    this.state = new Uint8Array(capacity);
    this.extensions = extensions;
    for (let i = 0; i <= MAX_BLOCK / 2; i++) this.free.push([]);
  }

  /** First slot of an empty block. */
  allocate(size: number): number {
    const reused = this.free[size >> 1]!.pop();
    if (reused !== undefined) {
      this.state.fill(0, reused, reused + size);
      for (let i = reused; i < reused + size; i++) this.extensions.clear(i);
      return reused;
    }
    const start = this.end;
    if (start + size > this.capacity) this.growTo(start + size);
    this.end = start + size;
    return start;
  }

  release(start: number, size: number): void {
    this.free[size >> 1]!.push(start);
  }

  /** Copies an element with its state and extensions. */
  copy(from: Slots, source: number, target: number): void {
    const width = this.width;
    for (let i = 0; i < width; i++) this.words[target * width + i] = from.words[source * width + i]!;
    this.state[target] = from.state[source]!;
    this.extensions.copy(from.extensions, source, target);
  }

  private growTo(least: number): void {
    this.capacity = Math.max(least, this.capacity + (this.capacity >> 1) + 16);
    const words = new Uint32Array(this.width * this.capacity);
    words.set(this.words);
    this.words = words;
    const state = new Uint8Array(this.capacity);
    state.set(this.state);
    this.state = state;
    this.extensions.grow(this.capacity);
  }
}
