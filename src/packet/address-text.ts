import type { AddressWords, Family } from './family.ts';

/** A 32-bit IPv4 address as dotted quad. */
export function formatAddress4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** An IPv6 address as `inet_ntop` prints it (RFC 5952; the last 32 bits dotted for `::a.b.c.d` and `::ffff:a.b.c.d`). */
export function formatAddress6(words: ArrayLike<number>): string {
  const groups: number[] = [];
  for (let i = 0; i < 4; i++) groups.push(words[i]! >>> 16, words[i]! & 0xffff);
  let bestStart = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; ) {
    if (groups[i] !== 0) {
      i++;
      continue;
    }
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > bestLength) {
      bestStart = i;
      bestLength = end - i;
    }
    i = end;
  }
  const dotted = bestStart === 0 && (bestLength === 6 || (bestLength === 5 && groups[5] === 0xffff));
  let text = '';
  for (let i = 0; i < 8; i++) {
    if (i >= bestStart && i < bestStart + bestLength && bestStart >= 0) {
      if (i === bestStart) text += ':';
      continue;
    }
    if (i > 0) text += ':';
    if (i === 6 && dotted) return text + formatAddress4(words[3]!);
    text += groups[i]!.toString(16);
  }
  return bestStart >= 0 && bestStart + bestLength === 8 ? `${text}:` : text;
}

export function formatAddress(family: Family, words: ArrayLike<number>): string {
  return family === 4 ? formatAddress4(words[0]!) : formatAddress6(words);
}

/** A dotted quad as `inet_pton(AF_INET)` reads it: four decimal numbers to 255 without leading zeros; -1 if it is none. */
/** IPv6 with all digits of all groups, as the kernel prints `%pI6`. */
export function wholeAddress6(words: ArrayLike<number>): string {
  return Array.from({ length: 4 }, (_, i) => {
    const digits = words[i]!.toString(16).padStart(8, '0');
    return `${digits.slice(0, 4)}:${digits.slice(4)}`;
  }).join(':');
}

/** An address as the kernel prints it without shortening. */
export function wholeAddress(family: Family, words: ArrayLike<number>): string {
  return family === 4 ? formatAddress4(words[0]!) : wholeAddress6(words);
}

export function parseAddress4(text: string): number {
  let address = 0;
  let parts = 0;
  let value = -1;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 46;
    if (code === 46) {
      if (value < 0 || parts === 4) return -1;
      address = address * 256 + value;
      parts++;
      value = -1;
    } else if (code >= 48 && code <= 57) {
      if (value === 0) return -1;
      value = (value < 0 ? 0 : value * 10) + code - 48;
      if (value > 255) return -1;
    } else return -1;
  }
  return parts === 4 ? address : -1;
}

/** An IPv6 address as `inet_pton(AF_INET6)` reads it, as four words; null if it is none. */
export function parseAddress6(text: string): [number, number, number, number] | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (head === null || tail === null) return null;
  if (halves.length === 1 ? head.length !== 8 : head.length + tail.length > 7) return null;
  const groups = [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
  const word = (i: number): number => groups[i]! * 0x10000 + groups[i + 1]!;
  return [word(0), word(2), word(4), word(6)];
}

function parseGroups(text: string, last: boolean): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (last && i === parts.length - 1 && part.includes('.')) {
      const address = parseAddress4(part);
      if (address < 0) return null;
      groups.push(address >>> 16, address & 0xffff);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return null;
  }
  return groups;
}

/** An address of either family; null if it is none. */
export function parseAddress(text: string): { family: Family; words: AddressWords } | null {
  if (text.includes(':')) {
    const words = parseAddress6(text);
    return words && { family: 6, words };
  }
  const address = parseAddress4(text);
  return address < 0 ? null : { family: 4, words: [address, 0, 0, 0] };
}

/** The mask of a prefix length as address words (IPv4 in word 0). */
export function prefixMask(family: Family, length: number): [number, number, number, number] {
  const word = (bits: number): number => (bits <= 0 ? 0 : bits >= 32 ? 0xffffffff : (0xffffffff << (32 - bits)) >>> 0);
  return family === 4
    ? [word(length), 0, 0, 0]
    : [word(length), word(length - 32), word(length - 64), word(length - 96)];
}

/** Prefix length of a contiguous IPv4 mask; -1 if it is not contiguous. */
export function maskLength4(mask: number): number {
  const inverted = ~mask >>> 0;
  return (inverted & (inverted + 1)) === 0 ? Math.clz32(inverted) : -1;
}

/** True if `address` lies in `network`/`length`. */
export function inPrefix(
  family: Family,
  address: ArrayLike<number>,
  network: ArrayLike<number>,
  length: number,
): boolean {
  const words = family === 4 ? 1 : 4;
  for (let i = 0, rest = length; i < words && rest > 0; i++, rest -= 32) {
    const difference = (address[i]! ^ network[i]!) >>> 0;
    if (rest >= 32 ? difference !== 0 : difference >>> (32 - rest) !== 0) return false;
  }
  return true;
}

export function addressEquals(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3];
}

/** A MAC as six bytes; null if the text is none. */
export function parseMac(text: string): Uint8Array | null {
  if (!/^[0-9a-fA-F]{1,2}([:-][0-9a-fA-F]{1,2}){5}$/.test(text)) return null;
  return Uint8Array.from(text.split(/[:-]/), (part) => Number.parseInt(part, 16));
}

/** A MAC in lower-case hexadecimal with colons. */
export function formatMac(mac: ArrayLike<number>, offset = 0): string {
  const parts: string[] = [];
  for (let i = 0; i < 6; i++) parts.push(mac[offset + i]!.toString(16).padStart(2, '0'));
  return parts.join(':');
}
