/** IPv6 source address selection (RFC 6724 section 5, as `ipv6_dev_get_saddr` does it for addresses without lifetimes or temporary ones). */
import { addressEquals, inPrefix } from '../packet/address-text.ts';
import type { AddressWords } from '../packet/family.ts';
import type { Device } from './device.ts';

/** Scope of an address: 1 interface, 2 link, 5 site, 14 global (RFC 4007); multicast addresses carry their own. */
export function scope6(address: ArrayLike<number>): number {
  const first = address[0]! >>> 24;
  if (first === 0xff) return (address[0]! >>> 16) & 15;
  if ((address[0]! & 0xffc00000) >>> 0 === 0xfe800000) return 2;
  if ((address[0]! & 0xffc00000) >>> 0 === 0xfec00000) return 5;
  if (address[0] === 0 && address[1] === 0 && address[2] === 0 && address[3] === 1) return 2;
  return 14;
}

/** Labels of the policy table (net/ipv6/addrlabel.c). */
const LABELS: readonly { prefix: AddressWords; length: number; label: number }[] = [
  { prefix: [0, 0, 0, 1], length: 128, label: 0 },
  { prefix: [0, 0, 0xffff, 0], length: 96, label: 4 },
  { prefix: [0, 0, 0, 0], length: 96, label: 3 },
  { prefix: [0x20010000, 0, 0, 0], length: 32, label: 6 },
  { prefix: [0x20010010, 0, 0, 0], length: 28, label: 7 },
  { prefix: [0x3ffe0000, 0, 0, 0], length: 16, label: 12 },
  { prefix: [0x20020000, 0, 0, 0], length: 16, label: 2 },
  { prefix: [0xfec00000, 0, 0, 0], length: 10, label: 11 },
  { prefix: [0xfc000000, 0, 0, 0], length: 7, label: 5 },
];

function labelOf(address: ArrayLike<number>): number {
  for (const { prefix, length, label } of LABELS) if (inPrefix(6, address, prefix, length)) return label;
  return 1;
}

function commonBits(a: ArrayLike<number>, b: ArrayLike<number>): number {
  for (let i = 0; i < 4; i++) {
    const difference = (a[i]! ^ b[i]!) >>> 0;
    if (difference !== 0) return 32 * i + Math.clz32(difference);
  }
  return 128;
}

/**
 * The address from which the machine speaks to `destination` over `device`, out of the addresses of all interfaces (for link-local and
 * multicast destinations of this one only); null if there is none.
 */
export function selectSource6(
  devices: readonly Device[],
  device: Device | null,
  destination: ArrayLike<number>,
): AddressWords | null {
  const scope = scope6(destination);
  const onlyDevice = scope <= 2 || destination[0]! >>> 24 === 0xff;
  const label = labelOf(destination);
  let best: AddressWords | null = null;
  let bestRank: number[] = [];
  for (const each of devices) {
    if (onlyDevice && device !== null && each !== device) continue;
    for (const { family, address, prefixLength } of addressesInOrder6(each)) {
      if (family !== 6) continue;
      const own = scope6(address);
      const rank = [
        Number(addressEquals(address, destination)),
        // The smallest scope that is large enough; else the largest.
        own >= scope ? 32 - own : own - 32,
        Number(device === null || each === device),
        Number(labelOf(address) === label),
        Math.min(commonBits(address, destination), prefixLength),
      ];
      if (best === null || better(rank, bestRank)) {
        best = address;
        bestRank = rank;
      }
    }
  }
  return best;
}

function better(rank: readonly number[], than: readonly number[]): boolean {
  for (let i = 0; i < rank.length; i++) if (rank[i] !== than[i]) return rank[i]! > than[i]!;
  return false;
}

/** IPv6 addresses of a device as the kernel lists them: by scope, and within one the last that was added first. */
export function addressesInOrder6(device: Device): Device['addresses'] {
  const six = device.addresses.filter((each) => each.family === 6).reverse();
  return six.sort((a, b) => scope6(b.address) - scope6(a.address));
}
