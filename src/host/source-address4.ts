/** IPv4 source address selection (`inet_select_addr`, net/ipv4/devinet.c). */
import { inPrefix } from '../packet/address-text.ts';
import type { AddressWords } from '../packet/family.ts';
import type { Device } from './device.ts';
import { isSecondary } from './devices.ts';
import { Scope } from './route-text.ts';

/**
 * The first primary address of `device` whose prefix holds `destination`, else its first, else the first of another
 * interface; of a scope no narrower than `scope`. Null if there is none.
 */
export function selectSource4(
  devices: readonly Device[],
  device: Device,
  destination: ArrayLike<number> | null,
  scope: number,
): AddressWords | null {
  let first: AddressWords | null = null;
  for (const each of device.addresses) {
    if (each.family !== 4 || each.scope > scope || isSecondary(device, each)) continue;
    if (destination === null || destination[0] === 0 || inPrefix(4, destination, each.address, each.prefixLength)) {
      return each.address;
    }
    first ??= each.address;
  }
  if (first !== null) return first;
  for (const other of devices) {
    for (const each of other.addresses) {
      // Addresses for one link are not borrowed by another.
      if (each.family !== 4 || each.scope > scope || each.scope === Scope.link) continue;
      if (!isSecondary(other, each)) return each.address;
    }
  }
  return null;
}
