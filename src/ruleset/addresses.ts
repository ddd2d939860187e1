import type { AddressWords, Family } from '../packet/family.ts';

/** All-ones masks of both families. */
export const HOST_MASK_4: AddressWords = [0xffffffff, 0, 0, 0];
export const HOST_MASK_6: AddressWords = [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff];
export const ANY_ADDRESS: AddressWords = [0, 0, 0, 0];

export function hostMask(family: Family): AddressWords {
  return family === 4 ? HOST_MASK_4 : HOST_MASK_6;
}

export function sameAddress(a: AddressWords, b: AddressWords): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3];
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

/** `a.b.c.d`. */
export function formatIpv4(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;
}

/** As `inet_ntop(AF_INET6)` of glibc prints it: lower case, the longest run of zeros as `::`, mapped addresses dotted. */
export function formatIpv6(address: AddressWords): string {
  const groups: number[] = [];
  for (const word of address) groups.push(word >>> 16, word & 0xffff);
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; ) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > bestLength) {
      best = i;
      bestLength = length;
    }
    i += length === 0 ? 1 : length;
  }
  let text = '';
  for (let i = 0; i < 8; i++) {
    if (i === best) {
      text += '::';
      i += bestLength - 1;
      continue;
    }
    if (text !== '' && !text.endsWith('::')) text += ':';
    if (i === 6 && best === 0 && (bestLength === 6 || (bestLength === 5 && groups[5] === 0xffff))) {
      return text + formatIpv4(address[3]);
    }
    text += (groups[i] as number).toString(16);
  }
  return text;
}

export function formatAddress(address: AddressWords, family: Family): string {
  return family === 4 ? formatIpv4(address[0]) : formatIpv6(address);
}

/** Strict dotted quad, as `inet_pton(AF_INET)` takes it; null if it is none. */
export function parseIpv4(text: string): number | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return null;
  let word = 0;
  for (let i = 1; i <= 4; i++) {
    const part = match[i] as string;
    const byte = Number(part);
    if (byte > 255 || (part.length > 1 && part.startsWith('0'))) return null;
    word = (word << 8) | byte;
  }
  return word >>> 0;
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

/** As `inet_pton(AF_INET6)`; null if it is no IPv6 address. */
export function parseIpv6(text: string): AddressWords | null {
  let rest = text;
  const tail: number[] = [];
  const dot = rest.indexOf('.');
  if (dot >= 0) {
    const colon = rest.lastIndexOf(':');
    const quad = parseIpv4(rest.slice(colon + 1));
    if (colon < 0 || quad === null) return null;
    tail.push(quad >>> 16, quad & 0xffff);
    rest = rest.slice(0, colon + 1);
    // What stands before the quad ends in one colon of its own, unless that is the end of `::`.
    if (!rest.endsWith('::')) rest = rest.slice(0, -1);
  }
  const double = rest.indexOf('::');
  const read = (part: string): number[] | null => {
    if (part === '') return [];
    const groups: number[] = [];
    for (const group of part.split(':')) {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return null;
      groups.push(Number.parseInt(group, 16));
    }
    return groups;
  };
  let groups: number[];
  if (double >= 0) {
    const before = read(rest.slice(0, double));
    const after = read(rest.slice(double + 2));
    if (before === null || after === null) return null;
    const missing = 8 - before.length - after.length - tail.length;
    if (missing < 1) return null;
    groups = [...before, ...new Array<number>(missing).fill(0), ...after, ...tail];
  } else {
    const all = read(rest);
    if (all === null || all.length + tail.length !== 8) return null;
    groups = [...all, ...tail];
  }
  const word = (i: number): number => (((groups[i] as number) << 16) | (groups[i + 1] as number)) >>> 0;
  return [word(0), word(2), word(4), word(6)];
}

/** An address of the family in its strict text form. */
export function parseAddress(text: string, family: Family): AddressWords | null {
  if (family === 6) return parseIpv6(text);
  const word = parseIpv4(text);
  return word === null ? null : [word, 0, 0, 0];
}

/** The mask as listings write it: nothing for a host mask, `/24`, or `/255.0.255.0` where it is not contiguous. */
export function formatMaskSuffix(mask: AddressWords, family: Family): string {
  const length = prefixLength(mask, family);
  if (length === -1) return `/${formatAddress(mask, family)}`;
  return length === (family === 4 ? 32 : 128) ? '' : `/${length}`;
}
