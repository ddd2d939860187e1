/** How elements of one type and family lie in memory, as the kernel's `struct *_elem`. */
export interface ElementLayout {
  /** Words of an element. */
  width: number;
  /** Leading words that are hashed. */
  hashed: number;
  /** Bytes of the kernel's element (without extensions). */
  size: number;
  /** Bytes of the kernel's structure of the set. */
  setSize: number;
  /** Prefixes of the element, where it has networks. */
  prefixes?: ElementPrefixes;
  /** Elements that are equal but for this comparison share a bucket (hash:net,iface). */
  equal?(words: Uint32Array, stored: number, probe: Uint32Array): boolean;
}

export interface ElementPrefixes {
  count: 1 | 2;
  host: number;
  /** Prefix length of network `n` of the element at `base`. */
  get(words: Uint32Array, base: number, n: number): number;
  /** Cuts network `n` of the element to a shorter prefix. */
  mask(element: Uint32Array, prefix: number, n: number): void;
}
