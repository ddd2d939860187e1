import { type NameServices, type OptionDeclaration, type ParsedOption, UsageError } from '../extensions/contract.ts';
import { TOS_NAMES } from '../extensions/tos-names.ts';
import { parseAddress6 } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import {
  ANY_ADDRESS,
  HOST_MASK_6,
  maskAddress,
  parseIpv4Loose,
  prefixLength,
  prefixMask,
} from '../ruleset/addresses.ts';
import {
  MAX_8,
  MAX_16,
  MAX_32,
  MAX_64,
  parseDouble,
  parseUnsigned,
  parseUnsigned64,
  scanDecimal,
  scanUnsigned,
  scanUnsignedWithin,
} from './numbers.ts';
import { parseProtocol } from './protocols.ts';

/** What a value reader may ask. */
export interface ValueContext {
  family: Family;
  names: NameServices;
  /** Name of the extension, for messages. */
  extension: string;
}

/** The fields of an option besides its name, all empty. */
export function emptyOption(name: string, invert: boolean, text: string): ParsedOption {
  return {
    name,
    invert,
    text,
    number: 0,
    big: 0n,
    numbers: [],
    bigs: [],
    value: 0,
    mask: 0,
    address: ANY_ADDRESS,
    addressMask: ANY_ADDRESS,
    prefixLength: 0,
    mac: [],
  };
}

const TOS_VALUES: ReadonlyMap<string, number> = new Map(
  [...TOS_NAMES].map(([value, name]) => [name.toLowerCase(), value]),
);

const LOG_LEVELS: Readonly<Record<string, number>> = {
  alert: 1,
  crit: 2,
  debug: 7,
  emerg: 0,
  error: 3,
  info: 6,
  notice: 5,
  panic: 0,
  warning: 4,
};

const INTEGER_MAX = { uint8: MAX_8, uint16: MAX_16, uint32: MAX_32 } as const;
const RANGE_MAX: Readonly<Record<string, bigint>> = {
  'uint8-range': BigInt(MAX_8),
  'uint16-range': BigInt(MAX_16),
  'uint32-range': BigInt(MAX_32),
  'uint64-range': MAX_64,
};

/**
 * Reads an option's argument as the libxtables type of the same name does (libxtables/xtoptions.c) into `option`.
 * Throws UsageError with that type's text.
 */
export function readValue(option: ParsedOption, declaration: OptionDeclaration, context: ValueContext): void {
  switch (declaration.type) {
    case 'none':
      return;
    case 'uint8':
    case 'uint16':
    case 'uint32':
      option.number = readInteger(option.text, declaration, INTEGER_MAX[declaration.type], context);
      option.big = BigInt(option.number);
      return;
    case 'uint64': {
      const min = BigInt(declaration.min ?? 0);
      const max = declaration.max === undefined ? MAX_64 : BigInt(declaration.max);
      const value = parseUnsigned64(option.text, min, max);
      if (value === null) throw badValue(declaration, context, `${min}-${max}`);
      option.big = value;
      option.number = Number(value);
      return;
    }
    case 'uint8-range':
    case 'uint16-range':
    case 'uint32-range':
    case 'uint64-range':
      option.bigs = readRange(option.text, declaration, context);
      option.numbers = option.bigs.map(Number);
      return;
    case 'double': {
      const { min = 0, max = 0 } = declaration;
      const value = parseDouble(option.text);
      if (value === null || (min !== max && (value < min || value > max))) {
        throw badValue(declaration, context, `${min}-${max}`);
      }
      option.number = value;
      return;
    }
    case 'string':
      readString(option.text, declaration);
      return;
    case 'tos-mask':
      readTos(option, declaration);
      return;
    case 'mark-mask':
      readMark(option, declaration, context);
      return;
    case 'syslog-level': {
      const level = parseUnsigned(option.text, 0, 7) ?? LOG_LEVELS[option.text];
      if (level === undefined) throw new UsageError(`log level "${option.text}" unknown\n`);
      option.number = level;
      return;
    }
    case 'host':
      readHost(option, option.text, context);
      return;
    case 'host-mask': {
      const slash = option.text.indexOf('/');
      readHost(option, slash < 0 ? option.text : option.text.slice(0, slash), context);
      if (slash >= 0) readPrefix(option, option.text.slice(slash + 1), declaration, context);
      return;
    }
    case 'prefix-length':
    case 'prefix-mask':
      readPrefix(option, option.text, declaration, context);
      option.number = option.prefixLength;
      return;
    case 'protocol':
      option.number = parseProtocol(option.text, context.names);
      return;
    case 'port':
      option.number = readPort(option.text, context);
      return;
    case 'port-range':
      option.numbers = readPortRange(option.text, declaration, context);
      return;
    case 'ethernet':
      option.mac = readMac(option.text);
      return;
  }
}

function badValue(declaration: OptionDeclaration, context: ValueContext, range: string): UsageError {
  return new UsageError(
    `${context.extension}: bad value for option "--${declaration.name}", or out of range (${range}).\n`,
  );
}

function readInteger(text: string, declaration: OptionDeclaration, typeMax: number, context: ValueContext): number {
  const min = declaration.min ?? 0;
  const max = declaration.max === undefined || declaration.max === 0 ? typeMax : declaration.max;
  const value = parseUnsigned(text, min, max);
  if (value === null) throw badValue(declaration, context, `${min}-${max}`);
  return value;
}

function readRange(text: string, declaration: OptionDeclaration, context: ValueContext): bigint[] {
  const limit = RANGE_MAX[declaration.type] as bigint;
  const values: bigint[] = [];
  const { extension } = context;
  for (let at = 0; ; ) {
    if (values.length === 2) {
      throw new UsageError(`${extension}: Too many components for option "--${declaration.name}" (max: 2)\n`);
    }
    let end = at;
    if (at === text.length || text[at] === ':') {
      values.push(values.length === 1 ? limit : 0n);
    } else {
      const rest = text.slice(at);
      const scanned = scanUnsigned(rest);
      if (scanned === null || scanned.value === null || scanned.value > limit) {
        throw new UsageError(
          `${extension}: bad value for option "--${declaration.name}" near "${rest}", or out of range (0-${limit}).\n`,
        );
      }
      end = at + scanned.end;
      if (end < text.length && text[end] !== ':') {
        throw new UsageError(
          `${extension}: Argument to "--${declaration.name}" has unexpected characters near "${text.slice(end)}".\n`,
        );
      }
      values.push(scanned.value);
    }
    if (end >= text.length) return values;
    at = end + 1;
  }
}

function readString(text: string, declaration: OptionDeclaration): void {
  // Texts hold one byte in each character.
  const { length } = text;
  const { min = 0, max = 0 } = declaration;
  if (min !== 0 && length < min) throw new UsageError(`Argument must have a minimum length of ${min} characters\n`);
  if (max !== 0 && length > max) throw new UsageError(`Argument must have a maximum length of ${max} characters\n`);
}

function readTos(option: ParsedOption, declaration: OptionDeclaration): void {
  const { text } = option;
  const number = scanUnsignedWithin(text, 0, MAX_8);
  if (number === null) {
    const named = TOS_VALUES.get(text.toLowerCase());
    if (named === undefined) throw new UsageError(`Symbolic name "${text}" is unknown`);
    option.value = named;
    option.mask = declaration.max ?? 0;
    return;
  }
  option.value = number.value;
  option.mask = MAX_8;
  let { end } = number;
  if (text[end] === '/') {
    const mask = scanUnsignedWithin(text.slice(end + 1), 0, MAX_8);
    if (mask === null) throw new UsageError(`Illegal value: "${text}"`);
    option.mask = mask.value;
    end += 1 + mask.end;
  }
  if (end !== text.length) throw new UsageError(`Illegal value: "${text}"`);
}

function readMark(option: ParsedOption, declaration: OptionDeclaration, context: ValueContext): void {
  const { text } = option;
  const bad = (what: string): UsageError => new UsageError(`${context.extension}: ${what}\n`);
  const badInteger = `bad integer value for option "--${declaration.name}", or out of range.`;
  const garbage = `trailing garbage after value for option "--${declaration.name}".`;
  const value = scanUnsignedWithin(text, 0, MAX_32);
  if (value === null) throw bad(badInteger);
  option.value = value.value;
  option.mask = MAX_32;
  if (value.end === text.length) return;
  if (text[value.end] !== '/') throw bad(garbage);
  const rest = text.slice(value.end + 1);
  const mask = scanUnsignedWithin(rest, 0, MAX_32);
  if (mask === null) throw bad(badInteger);
  if (mask.end !== rest.length) throw bad(garbage);
  option.mask = mask.value;
}

/** The IPv4 address in an IPv4-mapped one (`::ffff:1.2.3.4`); null if the text is none. */
function mappedIpv4(text: string): number | null {
  const address = parseAddress6(text);
  return address !== null && address[0] === 0 && address[1] === 0 && address[2] === 0xffff ? address[3] : null;
}

/** All addresses that `getaddrinfo` would give for a name or a numeric address (IPv4 in all forms of `inet_aton`). */
export function resolveHost(text: string, family: Family, names: NameServices): readonly AddressWords[] {
  if (family === 4) {
    const word = parseIpv4Loose(text) ?? mappedIpv4(text);
    if (word !== null) return [[word, 0, 0, 0]];
  } else {
    const address = parseAddress6(text);
    if (address !== null) return [address];
  }
  return names.hostByName(text, family);
}

function readHost(option: ParsedOption, text: string, context: ValueContext): void {
  const { family } = context;
  const found = resolveHost(text, family, context.names);
  const first = found[0];
  if (first === undefined) {
    const other = family === 4 ? parseAddress6(text) : parseIpv4Loose(text);
    const reason = other === null ? 'Name or service not known' : 'Address family for hostname not supported';
    throw new UsageError(`getaddrinfo: ${reason}\n`);
  }
  if (found.some((address) => address.some((word, i) => word !== first[i]))) {
    throw new UsageError(`${text} resolves to more than one address\n`);
  }
  option.address = first;
  option.addressMask = family === 4 ? [MAX_32, 0, 0, 0] : HOST_MASK_6;
  option.prefixLength = family === 4 ? 32 : 128;
}

function readPrefix(option: ParsedOption, text: string, declaration: OptionDeclaration, context: ValueContext): void {
  const bits = context.family === 4 ? 32 : 128;
  const length = parseUnsigned(text, 0, bits);
  if (length !== null) {
    option.prefixLength = length;
    option.addressMask = prefixMask(length);
  } else {
    const mask = resolveNumeric(text, context.family);
    if (mask === null) {
      throw new UsageError(
        `${context.extension}: bad value for option "--${declaration.name}", neither a valid network mask nor valid CIDR (0-${bits}).\n`,
      );
    }
    option.prefixLength = prefixLength(mask, context.family);
    // A mask with holes has no length (-1); the real reader then leaves all ones.
    option.addressMask = option.prefixLength === -1 ? prefixMask(bits) : prefixMask(option.prefixLength);
  }
  option.addressMask = maskAddress(option.addressMask, HOST_MASK_6);
}

function resolveNumeric(text: string, family: Family): AddressWords | null {
  if (family === 6) return parseAddress6(text);
  const word = parseIpv4Loose(text);
  return word === null ? null : [word, 0, 0, 0];
}

/** A port as `getaddrinfo` reads a service: a decimal number (an int that is not negative, cut to 16 bits), a name, or nothing (port 0). */
function portByName(text: string, context: ValueContext): number | null {
  if (text === '') return 0;
  if (!/^[\t-\r ]*[+-]?\d+$/.test(text)) return context.names.serviceByName(text, null);
  const number = Number(BigInt.asIntN(32, scanDecimal(text) ?? 0n));
  return number < 0 ? null : number & MAX_16;
}

function readPort(text: string, context: ValueContext): number {
  const port = portByName(text, context);
  if (port === null) throw new UsageError(`Port "${text}" does not resolve to anything.\n`);
  return port;
}

function readPortRange(text: string, declaration: OptionDeclaration, context: ValueContext): number[] {
  const range: [number, number] = [0, MAX_16];
  const parts = text.split(':');
  parts.forEach((part, i) => {
    if (i === 2) {
      throw new UsageError(`${context.extension}: Too many components for option "--${declaration.name}" (max: 2)\n`);
    }
    if (part !== '') range[i as 0 | 1] = readPort(part, context);
  });
  if (parts.length === 1) range[1] = range[0];
  return range;
}

function readMac(text: string): number[] {
  const parts = text.split(':');
  const mac = parts.map((part) => (/^[0-9a-fA-F]{0,2}$/.test(part) ? Number.parseInt(part || '0', 16) : NaN));
  if (parts.length !== 6 || mac.some(Number.isNaN)) throw new UsageError('Invalid MAC address specified.');
  return mac;
}
