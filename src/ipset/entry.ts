/** An address in host byte order: one word for IPv4, four for IPv6. */
export type SetAddress = readonly number[];

/**
 * What a command says of one element: the attributes of a netlink message to the kernel. A field that is undefined
 * was not given.
 */
export interface Entry {
  ip?: SetAddress;
  ipTo?: SetAddress;
  cidr?: number;
  mark?: number;
  port?: number;
  portTo?: number;
  /** Seconds. */
  timeout?: number;
  /** Microseconds beyond the seconds of `timeout`; only of elements that are listed. */
  fraction?: number;
  ether?: readonly number[];
  name?: string;
  nameref?: string;
  ip2?: SetAddress;
  cidr2?: number;
  ip2To?: SetAddress;
  proto?: number;
  iface?: string;
  before?: boolean;
  physdev?: boolean;
  nomatch?: boolean;
  wildcard?: boolean;
  packets?: bigint;
  bytes?: bigint;
  comment?: string;
  /** Mark in the upper, mask in the lower 32 bits. */
  skbmark?: readonly [number, number];
  skbprio?: number;
  skbqueue?: number;
}

/** What `create` says beside the type and the family. */
export interface CreateOptions {
  ip?: SetAddress;
  ipTo?: SetAddress;
  cidr?: number;
  port?: number;
  portTo?: number;
  timeout?: number;
  hashsize?: number;
  maxelem?: number;
  markmask?: number;
  netmask?: number;
  bitmask?: SetAddress;
  bucketsize?: number;
  initval?: number;
  size?: number;
  counters?: boolean;
  comment?: boolean;
  skbinfo?: boolean;
  forceadd?: boolean;
}

/** Every field that an option or a part of an element can set. */
export type EntryField = keyof Entry | keyof CreateOptions | 'family' | 'gc' | 'probes' | 'resize';

/** First `prefix` bits set, as an unsigned number. */
export function netmask4(prefix: number): number {
  return prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
}

/** Word `index` (0 to 3) of an IPv6 netmask. */
export function netmask6(prefix: number, index: number): number {
  const bits = prefix - 32 * index;
  return bits >= 32 ? 0xffffffff : bits <= 0 ? 0 : netmask4(bits);
}

/** Exchanges the byte order of a word. */
export function swapBytes(value: number): number {
  return (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}

/** A range split from its lower end: the last address and the prefix of the largest network that fits. */
export interface RangePart {
  last: number;
  cidr: number;
}

/** The largest network that begins at `from` and ends at or before `to` (ip_set_range_to_cidr). */
export function rangeToCidr(from: number, to: number, part: RangePart): RangePart {
  for (let prefix = 1; prefix < 32; prefix++) {
    const mask = netmask4(prefix);
    if ((from & mask) >>> 0 !== from) continue;
    const last = (from | ~mask) >>> 0;
    // The kernel compares modulo 2^32 (after()).
    if (((to - last) | 0) >= 0) {
      part.last = last;
      part.cidr = prefix;
      return part;
    }
  }
  part.last = from;
  part.cidr = 32;
  return part;
}
