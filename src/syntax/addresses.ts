import { type NameServices, UsageError } from '../extensions/contract.ts';
import { addressEquals, parseAddress6 } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import { ANY_ADDRESS, hostMask, maskAddress, prefixMask } from '../ruleset/addresses.ts';
import { parseUnsigned } from './numbers.ts';
import { resolveHost } from './option-values.ts';

/** One address of a `-s`/`-d` list with its mask, host bits masked off. */
export interface MaskedAddress {
  address: AddressWords;
  mask: AddressWords;
}

/**
 * A dotted address of up to four parts as iptables reads it: octal and hexadecimal count; in an address missing parts
 * are zeros on the right, a mask must have all four. Null if it is none.
 */
function numericIpv4(text: string, isMask: boolean): AddressWords | null {
  // The real reader copies 19 characters.
  const parts = text.slice(0, 19).split('.');
  if (isMask ? parts.length !== 4 : parts.length > 4) return null;
  let word = 0;
  for (let i = 0; i < parts.length; i++) {
    const byte = parseUnsigned(parts[i] as string, 0, 255);
    if (byte === null) return null;
    word += byte * 2 ** (24 - 8 * i);
  }
  return [word, 0, 0, 0];
}

/** The usual case without any allocation on the way: four decimal parts, then nothing or `/LENGTH`; else null. */
function plainIpv4(text: string): MaskedAddress | null {
  let word = 0;
  let part = 0;
  let digits = 0;
  let parts = 1;
  let i = 0;
  for (; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 48 && code <= 57) {
      // A leading zero means octal.
      if (digits > 0 && part === 0) return null;
      part = part * 10 + code - 48;
      if (++digits > 3 || part > 255) return null;
    } else if (code === 46 && digits > 0 && parts < 4) {
      word = word * 256 + part;
      part = 0;
      digits = 0;
      parts++;
    } else break;
  }
  if (parts !== 4 || digits === 0) return null;
  word = word * 256 + part;
  if (i === text.length) return { address: [word, 0, 0, 0], mask: hostMask(4) };
  if (text.charCodeAt(i) !== 47) return null;
  const length = text.slice(i + 1);
  if (!/^[1-9]\d?$/.test(length) || Number(length) > 32) return null;
  const mask = prefixMask(Number(length));
  return { address: [(word & mask[0]) >>> 0, 0, 0, 0], mask };
}

function parseMask(text: string, family: Family): AddressWords {
  const numeric = family === 4 ? numericIpv4(text, true) : parseAddress6(text);
  if (numeric !== null) return numeric;
  const bits = parseUnsigned(text, 0, family === 4 ? 32 : 128);
  if (bits === null) throw new UsageError(`invalid mask \`${text}' specified`);
  return prefixMask(bits);
}

function hostOrNetwork(text: string, family: Family, names: NameServices): readonly AddressWords[] {
  const numeric = family === 4 ? numericIpv4(text, false) : parseAddress6(text);
  if (numeric !== null) return [numeric];
  if (family === 4) {
    const network = names.networkByName(text);
    if (network !== null) return [[network >>> 0, 0, 0, 0]];
  }
  const hosts = resolveHost(text, family, names);
  if (hosts.length === 0) throw new UsageError(`host/network \`${text}' not found`);
  return hosts;
}

/** `ADDRESS[/MASK][,...]` of `-s` and `-d`: every address that it stands for, in order. Throws UsageError. */
export function parseAddressList(text: string, family: Family, names: NameServices): MaskedAddress[] {
  const plain = family === 4 ? plainIpv4(text) : null;
  if (plain !== null) return [plain];
  const list: MaskedAddress[] = [];
  for (const item of text.split(',')) {
    const trimmed = item.replace(/^[\t-\r ]+/, '');
    if (trimmed.length > 255) throw new UsageError('Hostname too long');
    const slash = trimmed.lastIndexOf('/');
    const mask = slash < 0 ? hostMask(family) : parseMask(trimmed.slice(slash + 1), family);
    // With a mask of zeros the name is not looked at, as in `any/0`.
    if (addressEquals(mask, ANY_ADDRESS)) {
      list.push({ address: ANY_ADDRESS, mask });
      continue;
    }
    const name = slash < 0 ? trimmed : trimmed.slice(0, slash);
    for (const address of hostOrNetwork(name, family, names)) {
      list.push({ address: maskAddress(address, mask), mask });
    }
  }
  return list;
}
