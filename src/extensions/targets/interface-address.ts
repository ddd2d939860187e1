import type { Device } from '../../host/device.ts';
import type { AddressWords, Family } from '../../packet/family.ts';

/**
 * The first address of an interface in the kernel's list that `usable` takes; null if there is none. IPv4 addresses stand
 * there in the order in which they were given, IPv6 addresses of one scope the latest first (`ipv6_link_dev_addr`).
 */
export function interfaceAddress(
  device: Device | null,
  family: Family,
  usable: (address: AddressWords) => boolean = () => true,
): AddressWords | null {
  const fits = (candidate: Device['addresses'][number]): boolean =>
    candidate.family === family && usable(candidate.address);
  const found = family === 4 ? device?.addresses.find(fits) : device?.addresses.findLast(fits);
  return found?.address ?? null;
}
