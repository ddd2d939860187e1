/** Parts of an element beside its addresses, in the order of the host; reused. */
export interface ElementFields {
  cidr: number;
  cidr2: number;
  port: number;
  proto: number;
  mark: number;
  /** The six bytes. */
  ether: Uint8Array;
  physdev: number;
  /** Number of an interface name, and the wildcard flag in bit 0. */
  iface: number;
}

export function newFields(): ElementFields {
  return { cidr: 0, cidr2: 0, port: 0, proto: 0, mark: 0, ether: new Uint8Array(6), physdev: 0, iface: 0 };
}

/**
 * One hash type: what its elements consist of, and how the kernel packs what follows the addresses (as little-endian
 * words, which is what the hash function sees).
 */
export interface HashType {
  name: string;
  dimension: 1 | 2 | 3;
  features: number;
  /** Family neutral (hash:mac). */
  neutral?: boolean;
  first: 'ip' | 'net' | null;
  second: 'ip' | 'net' | null;
  /** Which part of the element is which: index of its direction. */
  port?: number;
  ether?: number;
  iface?: number;
  mark?: number;
  /** `netmask` and `bitmask` can be given. */
  maskable?: boolean;
  /** Prefix 0 can be stored. */
  zeroPrefix?: boolean;
  /** Error for an element whose (masked) first address is 0; 0: none. */
  zeroError?: number;
  /** Words and bytes of the kernel's element after the addresses, for each family. */
  tail: Readonly<Record<4 | 6, { words: number; hashed: number; bytes: number }>>;
  /** Alignment of the IPv4 element is that of a 64-bit number. */
  wide?: boolean;
  pack(words: Uint32Array, at: number, fields: ElementFields): void;
  unpack(words: Uint32Array, at: number, fields: ElementFields): void;
  /** Bit position of the prefix of network `n` in the first word after the addresses, and what is subtracted from it. */
  prefixes?: readonly { shift: number; mask: number; less: 0 | 1 }[];
}

/** A port in the first two bytes of a word, in network order. */
export function portBits(port: number): number {
  return (port >>> 8) | ((port & 0xff) << 8);
}

export function portOf(word: number): number {
  return ((word & 0xff) << 8) | ((word >>> 8) & 0xff);
}
