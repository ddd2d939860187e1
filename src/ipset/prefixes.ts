/**
 * The prefix lengths that occur in a set, longest first, with the number of elements of each: a test then looks once
 * for each length in use (net_prefixes of ip_set_hash_gen.h).
 */
export class PrefixLengths {
  /** Lengths in use, longest first. */
  readonly lengths: number[] = [];
  private readonly counts = new Uint32Array(129);

  add(length: number): void {
    if (this.counts[length]!++ > 0) return;
    let i = 0;
    while (i < this.lengths.length && this.lengths[i]! > length) i++;
    this.lengths.splice(i, 0, length);
  }

  remove(length: number): void {
    if (this.counts[length] === 0) return;
    if (--this.counts[length]! > 0) return;
    const i = this.lengths.indexOf(length);
    if (i >= 0) this.lengths.splice(i, 1);
  }

  clear(): void {
    this.lengths.length = 0;
    this.counts.fill(0);
  }
}
