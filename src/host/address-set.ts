const BITS = 12;

/** A set of IPv4 addresses of which packets seldom have one: a look at one byte says so of nearly all others. */
export class AddressSet {
  readonly #addresses = new Set<number>();
  /** 1 where an address with that hash is in the set. */
  readonly #possible = new Uint8Array(1 << BITS);

  add(address: number): void {
    this.#addresses.add(address);
    this.#possible[hashOf(address)] = 1;
  }

  has(address: number): boolean {
    return this.#possible[hashOf(address)] === 1 && this.#addresses.has(address);
  }
}

function hashOf(address: number): number {
  return Math.imul(address, 0x9e3779b1) >>> (32 - BITS);
}
