import { formatAddress, parseAddress6 } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import { formatMaskSuffix } from '../ruleset/addresses.ts';
import { parseUnsigned } from '../syntax/numbers.ts';
import type { PrintContext } from './contract.ts';

/** An address with the mask under which it is compared; host bits are kept as they were given. */
export interface MaskedAddress {
  address: AddressWords;
  mask: AddressWords;
}

/** ` 10.0.0.0/8`, by name where one is known and names are wanted, ` anywhere` for the zero address. */
export function maskedAddressText({ address, mask }: MaskedAddress, context: PrintContext, numeric: boolean): string {
  const { family, names } = context;
  if (numeric) return ` ${formatAddress(family, address)}${formatMaskSuffix(mask, family)}`;
  if (address.every((word) => word === 0)) return ' anywhere';
  const name =
    names.hostByAddress(address, family) ??
    (family === 4 ? names.networkByAddress(address[0]) : null) ??
    formatAddress(family, address);
  return ` ${name}${formatMaskSuffix(mask, family)}`;
}

/**
 * A numeric address as `xtables_numeric_to_ipaddr`/`_ip6addr` read it: IPv4 bytes may be octal or hexadecimal and
 * missing ones are 0. Null if it is none.
 */
export function parseNumericAddress(text: string, family: Family): AddressWords | null {
  if (family === 6) return parseAddress6(text);
  let word = 0;
  let rest = text.slice(0, 19);
  for (let i = 0; i < 4; i++) {
    const dot = i < 3 ? rest.indexOf('.') : -1;
    const byte = parseUnsigned(dot < 0 ? rest : rest.slice(0, dot), 0, 255);
    if (byte === null) return null;
    word = (word | (byte << (24 - 8 * i))) >>> 0;
    if (dot < 0) break;
    rest = rest.slice(dot + 1);
  }
  return [word, 0, 0, 0];
}

/** -1, 0 or 1 for two addresses as big numbers. */
export function compareAddresses(a: ArrayLike<number>, b: ArrayLike<number>): number {
  for (let i = 0; i < 4; i++) {
    if (a[i] !== b[i]) return a[i]! < b[i]! ? -1 : 1;
  }
  return 0;
}

/** Whether the two are equal in all bits of the mask. */
export function equalUnderMask(a: ArrayLike<number>, b: ArrayLike<number>, mask: ArrayLike<number>): boolean {
  return (
    ((a[0]! ^ b[0]!) & mask[0]!) === 0 &&
    ((a[1]! ^ b[1]!) & mask[1]!) === 0 &&
    ((a[2]! ^ b[2]!) & mask[2]!) === 0 &&
    ((a[3]! ^ b[3]!) & mask[3]!) === 0
  );
}
