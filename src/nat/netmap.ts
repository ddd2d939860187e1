import type { AddressWords } from '../packet/family.ts';

/** Network bits of the range's ends, host bits of the packet (xt_NETMAP). */
export function netmapAddress(own: ArrayLike<number>, min: AddressWords, max: AddressWords): AddressWords {
  const word = (i: number): number => {
    const mask = ~(min[i]! ^ max[i]!);
    return ((own[i]! & ~mask) | (min[i]! & mask)) >>> 0;
  };
  return [word(0), word(1), word(2), word(3)];
}
