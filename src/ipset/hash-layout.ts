import type { ElementLayout, ElementPrefixes } from './element-layout.ts';
import { netmask6, swapBytes } from './entry.ts';
import type { HashType } from './hash-type.ts';

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

/** Bytes of the kernel's `struct htype` for a type (ip_set_hash_gen.h), as x86-64 lays it out. */
function setStructureSize(type: HashType, family: 4 | 6, element: number): number {
  // Pointer to the table, garbage collection work; then maxelem and initval.
  let at = 112 + 8;
  if (type.mark !== undefined) at += 4;
  at += 1; // bucketsize
  if (type.maskable) at = roundUp(at + 1, 4) + 16; // netmask, bitmask
  at = roundUp(at, 8) + 16; // list head
  at = roundUp(at, type.wide && family === 4 ? 8 : 4) + element;
  if (type.prefixes !== undefined) {
    const lengths = (family === 4 ? 32 : 128) + (type.iface !== undefined ? 1 : 0);
    at += lengths * (type.prefixes.length === 2 ? 12 : 8);
  }
  return roundUp(at, 8);
}

/** Four words of netmask for each IPv6 prefix, in network byte order; an IPv4 netmask is the first word of its prefix. */
const NETMASKS = new Uint32Array(4 * 129);
for (let prefix = 0; prefix <= 128; prefix++) {
  for (let i = 0; i < 4; i++) NETMASKS[4 * prefix + i] = swapBytes(netmask6(prefix, i));
}

/** Cuts the address at `at` to a prefix; addresses lie in network byte order. */
export function maskAddress(element: Uint32Array, at: number, family: 4 | 6, prefix: number): void {
  const base = 4 * prefix;
  element[at] = element[at]! & NETMASKS[base]!;
  if (family === 4) return;
  for (let i = 1; i < 4; i++) element[at + i] = element[at + i]! & NETMASKS[base + i]!;
}

function prefixAccess(type: HashType, family: 4 | 6, tailAt: number): ElementPrefixes | undefined {
  const places = type.prefixes;
  if (places === undefined) return undefined;
  const host = family === 4 ? 32 : 128;
  const length = family === 4 ? 1 : 4;
  // A lone network that is the second address lies behind the first.
  const addresses = places.map((_, n) => (places.length === 1 && type.first === 'ip' ? length : n * length));
  return {
    count: places.length as 1 | 2,
    host,
    get(words, base, n) {
      const { shift, mask, less } = places[n]!;
      return ((words[base + tailAt]! >>> shift) & mask) + less;
    },
    mask(element, prefix, n) {
      const { shift, mask, less } = places[n]!;
      maskAddress(element, addresses[n]!, family, prefix);
      element[tailAt] = (element[tailAt]! & ~(mask << shift)) | ((prefix - less) << shift);
    },
  };
}

/** The memory layout of a type's elements in one family. */
export function layoutOf(
  type: HashType,
  family: 4 | 6,
  equal?: (words: Uint32Array, stored: number, probe: Uint32Array) => boolean,
): ElementLayout {
  const addresses = (type.first !== null ? 1 : 0) + (type.second !== null ? 1 : 0);
  const tailAt = addresses * (family === 4 ? 1 : 4);
  const tail = type.tail[family];
  const size = 4 * tailAt + tail.bytes;
  const layout: ElementLayout = {
    width: tailAt + tail.words,
    hashed: tailAt + tail.hashed,
    size,
    setSize: setStructureSize(type, family, size),
  };
  const prefixes = prefixAccess(type, family, tailAt);
  if (prefixes !== undefined) layout.prefixes = prefixes;
  if (equal !== undefined) layout.equal = equal;
  return layout;
}
