import { formatAddress, parseAddress4, parseAddress6 } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';

/** All-ones masks of both families. */
export const HOST_MASK_4: AddressWords = [0xffffffff, 0, 0, 0];
export const HOST_MASK_6: AddressWords = [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff];
export const ANY_ADDRESS: AddressWords = [0, 0, 0, 0];

export function hostMask(family: Family): AddressWords {
  return family === 4 ? HOST_MASK_4 : HOST_MASK_6;
}

export function maskAddress(a: AddressWords, mask: AddressWords): AddressWords {
  return [(a[0] & mask[0]) >>> 0, (a[1] & mask[1]) >>> 0, (a[2] & mask[2]) >>> 0, (a[3] & mask[3]) >>> 0];
}

/** The mask with `length` leading ones. */
export function prefixMask(length: number): AddressWords {
  let mask = PREFIX_MASKS[length];
  if (mask === undefined) {
    const word = (rest: number): number =>
      rest <= 0 ? 0 : rest >= 32 ? 0xffffffff : (0xffffffff << (32 - rest)) >>> 0;
    mask = [word(length), word(length - 32), word(length - 64), word(length - 96)];
    PREFIX_MASKS[length] = mask;
  }
  return mask;
}

/** Made once: every rule has two. */
const PREFIX_MASKS: AddressWords[] = [];

/** Length of a contiguous mask, or -1. */
export function prefixLength(mask: AddressWords, family: Family): number {
  let length = 0;
  const words = family === 4 ? 1 : 4;
  for (let i = 0; i < words; i++) {
    const word = mask[i as 0 | 1 | 2 | 3];
    if (word === 0xffffffff) {
      length += 32;
      continue;
    }
    const ones = Math.clz32(~word);
    if ((word << ones) >>> 0 !== 0 && ones < 32) return -1;
    length += ones;
    for (let j = i + 1; j < words; j++) if (mask[j as 0 | 1 | 2 | 3] !== 0) return -1;
    return length;
  }
  return length;
}

/** What `inet_aton` takes: one to four parts, decimal, octal or hexadecimal, the last one filling the rest. */
export function parseIpv4Loose(text: string): number | null {
  const parts = text.split('.');
  if (parts.length > 4) return null;
  const values: number[] = [];
  for (const part of parts) {
    let value: number;
    if (/^0[xX][0-9a-fA-F]+$/.test(part)) value = Number.parseInt(part.slice(2), 16);
    else if (/^0[0-7]*$/.test(part)) value = Number.parseInt(part, 8);
    else if (/^[1-9]\d*$/.test(part)) value = Number(part);
    else return null;
    if (value > 0xffffffff) return null;
    values.push(value);
  }
  const last = values.pop() as number;
  if (last >= 2 ** (8 * (4 - values.length)) || values.some((value) => value > 255)) return null;
  return values.reduce((word, byte, i) => word + byte * 2 ** (24 - 8 * i), last) >>> 0;
}

/** An address of the family in its strict text form. */
export function parseAddress(text: string, family: Family): AddressWords | null {
  if (family === 6) return parseAddress6(text);
  const word = parseAddress4(text);
  return word < 0 ? null : [word, 0, 0, 0];
}

/** The mask as listings write it: nothing for a host mask, `/24`, or `/255.0.255.0` where it is not contiguous. */
export function formatMaskSuffix(mask: AddressWords, family: Family): string {
  const length = prefixLength(mask, family);
  if (length === -1) return `/${formatAddress(family, mask)}`;
  return length === (family === 4 ? 32 : 128) ? '' : `/${length}`;
}
