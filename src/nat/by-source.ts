import { type Direction, Direction as Way } from '../conntrack/connection.ts';
import type { ConntrackEntries } from '../conntrack/entries.ts';
import { type ConntrackTable, Field } from '../conntrack/table.ts';

/**
 * Connections by their original source (protocol, address, port), newest first: a source that has a mapping keeps it towards other
 * destinations (nf_nat_bysource). The chains run through a word of each entry.
 */
export class BySource {
  private heads = new Uint32Array(256);
  private count = 0;
  private readonly table: ConntrackTable;

  constructor(service: ConntrackEntries) {
    this.table = service.table;
  }

  private bucket(words: Uint32Array, at: number): number {
    let hash = Math.imul(words[at]! ^ (words[at + 9]! << 24), 0x9e3779b1);
    hash = Math.imul(hash ^ (hash >>> 15) ^ (words[at + 8]! >>> 16), 0x85ebca6b);
    if (words[at + 9]! >>> 8 === 6) {
      for (let i = 1; i < 4; i++) hash = Math.imul(hash ^ words[at + i]!, 0xc2b2ae35) ^ (hash >>> 13);
    }
    return (hash ^ (hash >>> 16)) & (this.heads.length - 1);
  }

  add(slot: number): void {
    if (this.count++ >= this.heads.length) this.grow();
    this.push(slot);
  }

  private push(slot: number): void {
    const words = this.table.wordsOf(slot);
    const base = this.table.baseOf(slot);
    const bucket = this.bucket(words, base);
    words[base + Field.nextBySource] = this.heads[bucket]!;
    this.heads[bucket] = slot + 1;
  }

  /** Twice as many chains; each keeps its order. */
  private grow(): void {
    const old = this.heads;
    this.heads = new Uint32Array(old.length * 2);
    const tails = new Uint32Array(old.length * 2);
    for (let at of old) {
      while (at !== 0) {
        const slot = at - 1;
        at = this.next(slot);
        const words = this.table.wordsOf(slot);
        const base = this.table.baseOf(slot);
        const bucket = this.bucket(words, base);
        const tail = tails[bucket]!;
        if (tail === 0) this.heads[bucket] = slot + 1;
        else this.table.wordsOf(tail - 1)[this.table.baseOf(tail - 1) + Field.nextBySource] = slot + 1;
        tails[bucket] = slot + 1;
        words[base + Field.nextBySource] = 0;
      }
    }
  }

  private next(slot: number): number {
    return this.table.wordsOf(slot)[this.table.baseOf(slot) + Field.nextBySource]!;
  }

  remove(slot: number): void {
    const words = this.table.wordsOf(slot);
    const base = this.table.baseOf(slot);
    const after = words[base + Field.nextBySource]!;
    const bucket = this.bucket(words, base);
    let at = this.heads[bucket]!;
    if (at === slot + 1) {
      this.heads[bucket] = after;
      this.count--;
      return;
    }
    for (; at !== 0; at = this.next(at - 1)) {
      if (this.next(at - 1) !== slot + 1) continue;
      this.table.wordsOf(at - 1)[this.table.baseOf(at - 1) + Field.nextBySource] = after;
      this.count--;
      return;
    }
  }

  /** Calls `visit` with the slots whose original source is that of `tuple`, in the zone given; stops when it returns true. */
  some(tuple: Uint32Array, zone: number, visit: (slot: number) => boolean): boolean {
    const original: Direction = Way.original;
    for (let at = this.heads[this.bucket(tuple, 0)]!; at !== 0; ) {
      const slot = at - 1;
      at = this.next(slot);
      const words = this.table.wordsOf(slot);
      const base = this.table.baseOf(slot);
      if (
        words[base + 9] === tuple[9] &&
        words[base] === tuple[0] &&
        words[base + 1] === tuple[1] &&
        words[base + 2] === tuple[2] &&
        words[base + 3] === tuple[3] &&
        words[base + 8]! >>> 16 === tuple[8]! >>> 16 &&
        this.table.zoneOf(slot, original) === zone &&
        visit(slot)
      ) {
        return true;
      }
    }
    return false;
  }
}
