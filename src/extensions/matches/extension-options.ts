import { scanUnsigned } from '../../syntax/numbers.ts';
import { defineMatch, type MatchExtension, type MatchFunction, UsageError } from '../contract.ts';
import { findExtensionHeader, TRUNCATED } from '../header-search.ts';
import { not } from '../words.ts';

/** `struct ip6t_opts`, for hop-by-hop and destination options alike. */
interface OptionsMatch {
  length: { bytes: number; invert: boolean } | null;
  /** Options that must stand at the start, in order; a length of 255 fits any. */
  options: [type: number, length: number][] | null;
}

/** IP6T_OPTS_OPTSNR */
const MAX_OPTIONS = 16;
const ANY_LENGTH = 0xff;

function parseNumber(text: string, what: string, match: string): number {
  const negative = /^\s*-(.*)$/.exec(text);
  const scanned = scanUnsigned(negative ? negative[1]! : text);
  if (scanned === null) throw new UsageError(`${match}: no valid digits in ${what} \`${text}'`);
  if (scanned.value === null) throw new UsageError(`${what} \`${text}' specified too big: would overflow`);
  if (scanned.end !== (negative ? negative[1]! : text).length)
    throw new UsageError(`${match}: error parsing ${what} \`${text}'`);
  const value = Number(scanned.value & 0xffn);
  return negative ? -value & 0xff : value;
}

function parseOptions(text: string, match: string): [number, number][] {
  const options: [number, number][] = [];
  for (const part of text.split(',')) {
    if (options.length === MAX_OPTIONS) throw new UsageError('too many addresses specified');
    const colon = part.indexOf(':');
    if (colon >= 0 && options.length === MAX_OPTIONS - 1) throw new UsageError('too many ports specified');
    const type = parseNumber(colon < 0 ? part : part.slice(0, colon), 'opt', match);
    if (colon >= 0 && type === 0)
      throw new UsageError(match === 'dst' ? "PAD0 hasn't got length" : 'PAD0 has not got length');
    options.push([type, colon < 0 ? ANY_LENGTH : parseNumber(part.slice(colon + 1), 'length', match)]);
  }
  return options;
}

function optionsText(options: readonly [number, number][]): string {
  return options.map(([type, length]) => (length === ANY_LENGTH ? String(type) : `${type}:${length}`)).join(',');
}

/** The matches `hbh` and `dst`: they differ in name and header only. */
export function defineOptionsMatch(name: 'hbh' | 'dst', header: number, help: string): MatchExtension {
  const what = name === 'hbh' ? 'hop-by-hop options' : 'destination options';
  return defineMatch<OptionsMatch>({
    name,
    families: [6],
    options: [
      { name: `${name}-len`, type: 'uint32', invert: true },
      { name: `${name}-opts`, type: 'string' },
    ],
    init: () => ({ length: null, options: null }),
    parse(data, option) {
      if (option.name === `${name}-len`) data.length = { bytes: option.number, invert: option.invert };
      else data.options = parseOptions(option.text, name);
    },
    save({ length, options }) {
      let text = '';
      if (length) text += `${not(length.invert)} --${name}-len ${length.bytes}`;
      if (options) text += ` --${name}-opts ${optionsText(options)}`;
      return text;
    },
    print({ length, options }) {
      let text = ` ${name}`;
      if (length) text += ` length:${length.invert ? '!' : ''}${length.bytes}`;
      if (options) text += ` opts ${optionsText(options)}`;
      return text;
    },
    help: () => help,
    explain({ length, options }) {
      const parts = [`the packet has ${what}`];
      if (length) parts.push(`${length.invert ? 'not ' : ''}${length.bytes} bytes long`);
      if (options) parts.push(`beginning with ${optionsText(options)}`);
      return parts.join(', ');
    },
    pure: true,
    compile: (data) => compileOptions(data, header),
  });
}

/** `hbh_mt6` (net/ipv6/netfilter/ip6t_hbh.c). */
function compileOptions({ length, options }: OptionsMatch, header: number): MatchFunction {
  return (packet) => {
    const { bytes } = packet;
    const start = findExtensionHeader(bytes, header);
    if (start < 0) {
      if (start === TRUNCATED) packet.hotdrop = true;
      return false;
    }
    const headerLength = (bytes[start + 1]! + 1) * 8;
    if (bytes.length - start < headerLength) return false;
    const lengthFits = length === null || (length.bytes === headerLength) !== length.invert;
    if (options === null) return lengthFits;
    return optionsFit(bytes, start + 2, headerLength - 2, options) && lengthFits;
  };
}

function optionsFit(bytes: Uint8Array, start: number, room: number, options: readonly [number, number][]): boolean {
  let at = start;
  let left = room;
  for (let i = 0; i < options.length; i++) {
    const [type, wantedLength] = options[i]!;
    if (left < 1 || bytes[at] !== type) return false;
    let size = 1;
    if (type !== 0) {
      if (left < 2 || at + 1 >= bytes.length) return false;
      const optionLength = bytes[at + 1]!;
      if (wantedLength !== ANY_LENGTH && wantedLength !== optionLength) return false;
      size = optionLength + 2;
    }
    if ((at > bytes.length - size || left < size) && i < options.length - 1) return false;
    at += size;
    left -= size;
  }
  return true;
}
