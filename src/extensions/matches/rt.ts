import { formatAddress6, parseAddress6 } from '../../packet/address-text.ts';
import { readUint32 } from '../../packet/bytes.ts';
import type { AddressWords } from '../../packet/family.ts';
import { Protocol } from '../../packet/protocol.ts';
import { defineMatch, type MatchFunction, UsageError } from '../contract.ts';
import { findExtensionHeader, TRUNCATED } from '../header-search.ts';
import { not, rangeText, rangeWords } from '../words.ts';

interface NumberTest {
  value: number;
  invert: boolean;
}

/** `struct ip6t_rt`. */
interface RtMatch {
  type: NumberTest | null;
  segmentsLeft: [number, number];
  invertSegmentsLeft: boolean;
  /** Bytes. */
  length: NumberTest | null;
  reserved: boolean;
  addresses: AddressWords[] | null;
  notStrict: boolean;
}

/** IP6T_RT_HOPS */
const MAX_ADDRESSES = 16;
/** Bytes before the addresses. */
const FIXED = 8;

function parseAddresses(text: string): AddressWords[] {
  const addresses: AddressWords[] = [];
  for (const part of text.split(',')) {
    if (addresses.length === MAX_ADDRESSES) throw new UsageError('too many addresses specified');
    const address = parseAddress6(part);
    if (address === null) throw new UsageError(`bad address: ${part}`);
    addresses.push(address);
  }
  return addresses;
}

const isAny = ([min, max]: readonly [number, number]): boolean => min === 0 && max === 0xffffffff;

const addressesText = (addresses: readonly AddressWords[]): string => addresses.map(formatAddress6).join(',');

function describe(data: RtMatch, stored: boolean): string {
  let text = '';
  if (data.type) text += `${not(data.type.invert)} --rt-type ${data.type.value}`;
  if (!isAny(data.segmentsLeft) || (stored && data.invertSegmentsLeft))
    text += `${not(data.invertSegmentsLeft)} --rt-segsleft ${rangeText(data.segmentsLeft)}`;
  if (data.length) text += `${not(data.length.invert)} --rt-len ${data.length.value}`;
  if (data.reserved) text += ' --rt-0-res';
  if (data.addresses) text += ` --rt-0-addrs ${addressesText(data.addresses)}`;
  return data.notStrict ? `${text} --rt-0-not-strict` : text;
}

const HELP = `rt match options:
[!] --rt-type type             match the type
[!] --rt-segsleft num[:num]    match the Segments Left field (range)
[!] --rt-len length            total length of this header
 --rt-0-res                    check the reserved field too (type 0)
 --rt-0-addrs ADDR[,ADDR...]   Type=0 addresses (list, max: 16)
 --rt-0-not-strict             List of Type=0 addresses not a strict list
`;

export const rt = defineMatch<RtMatch>({
  name: 'rt',
  families: [6],
  options: [
    { name: 'rt-type', type: 'uint32', invert: true },
    { name: 'rt-segsleft', type: 'uint32-range', invert: true },
    { name: 'rt-len', type: 'uint32', invert: true },
    { name: 'rt-0-res', type: 'none' },
    { name: 'rt-0-addrs', type: 'string' },
    { name: 'rt-0-not-strict', type: 'none' },
  ],
  init: () => ({
    type: null,
    segmentsLeft: [0, 0xffffffff],
    invertSegmentsLeft: false,
    length: null,
    reserved: false,
    addresses: null,
    notStrict: false,
  }),
  parse(data, option) {
    const { number: value, invert } = option;
    const typeZero = data.type !== null && data.type.value === 0 && !data.type.invert;
    switch (option.name) {
      case 'rt-type':
        data.type = { value, invert };
        break;
      case 'rt-segsleft':
        data.segmentsLeft = [option.numbers[0]!, option.numbers[1] ?? option.numbers[0]!];
        data.invertSegmentsLeft = invert;
        break;
      case 'rt-len':
        data.length = { value, invert };
        break;
      case 'rt-0-res':
        if (!typeZero) throw new UsageError("`--rt-type 0' required before `--rt-0-res'");
        data.reserved = true;
        break;
      case 'rt-0-addrs':
        if (!typeZero) throw new UsageError("`--rt-type 0' required before `--rt-0-addrs'");
        data.addresses = parseAddresses(option.text);
        break;
      case 'rt-0-not-strict':
        if (data.addresses === null) throw new UsageError("`--rt-0-addr ...' required before `--rt-0-not-strict'");
        data.notStrict = true;
        break;
    }
  },
  save: (data) => describe(data, false),
  // An inverted test for any number is listed, but not saved.
  store: (data) => describe(data, true),
  print(data) {
    const [min, max] = data.segmentsLeft;
    let text = ' rt';
    if (data.type) text += ` type:${data.type.invert ? '!' : ''}${data.type.value | 0}`;
    if (!isAny(data.segmentsLeft) || data.invertSegmentsLeft)
      text += ` segsleft${min === max ? '' : 's'}:${data.invertSegmentsLeft ? '!' : ''}${min === max ? min : `${min}:${max}`}`;
    if (data.length) text += ` length:${data.length.invert ? '!' : ''}${data.length.value}`;
    if (data.reserved) text += ' reserved';
    if (data.addresses) text += ` 0-addrs ${addressesText(data.addresses)}`;
    return data.notStrict ? `${text} 0-not-strict` : text;
  },
  help: () => HELP,
  explain(data) {
    const parts: string[] = [];
    const test = ({ value, invert }: NumberTest) => `${invert ? 'not ' : ''}${value}`;
    if (data.type) parts.push(`type ${test(data.type)}`);
    if (!isAny(data.segmentsLeft))
      parts.push(`${data.invertSegmentsLeft ? 'not ' : ''}${rangeWords(data.segmentsLeft)} segments left`);
    if (data.length) parts.push(`length ${test(data.length)}`);
    if (data.reserved) parts.push('reserved field 0');
    if (data.addresses)
      parts.push(`the addresses ${addressesText(data.addresses)}${data.notStrict ? ' among others' : ''}`);
    return `the packet has a routing header${parts.length > 0 ? ` with ${parts.join(', ')}` : ''}`;
  },
  pure: true,
  compile: compileRouting,
});

/** `rt_mt6` (net/ipv6/netfilter/ip6t_rt.c). */
function compileRouting(data: RtMatch): MatchFunction {
  const [min, max] = data.segmentsLeft;
  const { type, length, reserved, addresses, notStrict } = data;
  return (packet) => {
    const { bytes } = packet;
    const start = findExtensionHeader(bytes, Protocol.routing);
    if (start < 0 || start + 4 > bytes.length) {
      if (start === TRUNCATED || start >= 0) packet.hotdrop = true;
      return false;
    }
    const headerLength = (bytes[start + 1]! + 1) * 8;
    if (bytes.length - start < headerLength) return false;
    const left = bytes[start + 3]!;
    if ((left >= min && left <= max) === data.invertSegmentsLeft) return false;
    if (length !== null && (length.value === headerLength) === length.invert) return false;
    if (type !== null && (type.value === bytes[start + 2]) === type.invert) return false;
    if (reserved && readUint32(bytes, start + 4) !== 0) return false;
    if (addresses === null) return true;
    const count = Math.floor((headerLength - FIXED) / 16);
    if (addresses.length > count) return false;
    return notStrict
      ? containsInOrder(bytes, start + FIXED, count, addresses)
      : addresses.length === count && addresses.every((address, i) => isAt(bytes, start + FIXED + 16 * i, address));
  };
}

function containsInOrder(bytes: Uint8Array, start: number, count: number, addresses: readonly AddressWords[]): boolean {
  let found = 0;
  for (let i = 0; i < count && found < addresses.length; i++)
    if (isAt(bytes, start + 16 * i, addresses[found]!)) found++;
  return found === addresses.length;
}

function isAt(bytes: Uint8Array, offset: number, address: AddressWords): boolean {
  return address.every((word, i) => readUint32(bytes, offset + 4 * i) === word);
}
