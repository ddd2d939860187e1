import { Status } from '../../conntrack/connection.ts';
import { parseAddress } from '../../packet/address-text.ts';
import type { AddressWords, Family } from '../../packet/family.ts';
import { ConntrackProblem } from './problem.ts';

/** The word at the beginning of `rest`, abbreviated at will in any case; the first that fits counts. */
function readWord(
  rest: string,
  words: readonly string[],
  take: (index: number) => void,
  warnings: string[],
): { next: string | null } {
  const comma = rest.indexOf(',');
  const word = comma < 0 ? rest : rest.slice(0, comma);
  const upper = word.toUpperCase();
  const nat = word !== '' && ['SRC_NAT', 'DST_NAT'].find((name) => name.startsWith(upper));
  const index = words.findIndex((candidate) => candidate.toUpperCase().startsWith(upper));
  if (word === '' || (!nat && index < 0)) throw new ConntrackProblem(`Bad parameter \`${rest}'`);
  if (nat) warnings.push(`WARNING: ignoring ${nat}, use --${nat === 'SRC_NAT' ? 'src' : 'dst'}-nat instead\n`);
  else take(index);
  return { next: comma < 0 ? null : rest.slice(comma + 1) };
}

/** Words parted by commas. */
export function readWords(
  text: string,
  words: readonly string[],
  take: (index: number) => void,
  warnings: string[],
): void {
  for (let rest: string | null = text; rest !== null; ) rest = readWord(rest, words, take, warnings).next;
}

const STATUS_WORDS: readonly (readonly [string, number])[] = [
  ['ASSURED', Status.assured],
  ['SEEN_REPLY', Status.seenReply],
  ['UNSET', 0],
  ['FIXED_TIMEOUT', Status.fixedTimeout],
  ['EXPECTED', Status.expected],
  ['OFFLOAD', 1 << 14],
  ['HW_OFFLOAD', 1 << 15],
];
const UNREPLIED = 'UNREPLIED';

/**
 * The words of `-u`: bits that are to be set, and bits that are looked at (`!WORD`, UNREPLIED). What earlier ones have said stays;
 * if nothing at all is to be looked at, it is what is to be set.
 */
export function readStatus(text: string, into: { value: number; mask: number }, warnings: string[]): void {
  const words = STATUS_WORDS.map(([word]) => word);
  for (let rest: string | null = text; rest !== null; ) {
    const negated: boolean = rest.startsWith('!');
    if (negated) rest = rest.slice(1);
    if (!negated && rest.startsWith(UNREPLIED)) {
      into.mask |= Status.seenReply;
      const comma: number = rest.indexOf(',');
      rest = comma < 0 ? null : rest.slice(comma + 1);
      continue;
    }
    const take = (index: number): void => {
      if (negated) into.mask |= STATUS_WORDS[index]![1];
      else into.value |= STATUS_WORDS[index]![1];
    };
    rest = readWord(rest, words, take, warnings).next;
  }
  if (into.mask === 0) into.mask = into.value;
}

/** strtoul with base 0, cut to 32 bits; `rest` is what follows. */
export function readNumber(text: string): { value: number; rest: string } {
  const match = /^\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)/.exec(text);
  if (match === null) return { value: 0, rest: text };
  const digits = match[2]!;
  const octal = /^0[0-7]+$/.test(digits);
  const value = octal ? BigInt(`0o${digits.slice(1)}`) : BigInt(digits);
  return { value: Number(BigInt.asUintN(32, match[1] === '-' ? -value : value)), rest: text.slice(match[0].length) };
}

/** As inet_aton and inet_pton read it. */
export function readAddress(text: string): { family: Family; words: AddressWords } | null {
  const plain = parseAddress(text);
  if (plain !== null) return plain;
  const parts = text
    .split('.')
    .map((part) => (/^(0[xX][0-9a-fA-F]+|[0-9]+)$/.test(part) ? readNumber(part).value : -1));
  if (parts.length > 4 || parts.some((part, i) => part < 0 || (i < parts.length - 1 && part > 255))) return null;
  const last = parts.pop()!;
  if (last >= 2 ** (8 * (4 - parts.length))) return null;
  const high = parts.reduce((sum, part, i) => sum + part * 2 ** (8 * (3 - i)), 0);
  return { family: 4, words: [high + last, 0, 0, 0] };
}

/** A prefix length as strtol reads it (nothing is 0); null if it is none. */
export function readPrefix(text: string, family: Family): number | null {
  if (!/^(\s*\+?[0-9]+)?$/.test(text)) return null;
  const prefix = Number(text);
  return prefix <= (family === 4 ? 32 : 128) ? prefix : null;
}

/** The first `prefix` bits. */
export function prefixMask(prefix: number): AddressWords {
  const word = (i: number) => {
    const left = Math.min(32, Math.max(0, prefix - 32 * i));
    return left === 0 ? 0 : (0xffffffff << (32 - left)) >>> 0;
  };
  return [word(0), word(1), word(2), word(3)];
}

/** ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT taken apart; brackets without a port behind them stay. */
export function splitPlace(text: string): { host: string; port: string | null } {
  const open = text.indexOf('[');
  if (open < 0) {
    const colon = text.indexOf(':');
    if (colon < 0 || text.includes(':', colon + 1)) return { host: text, port: null };
    return { host: text.slice(0, colon), port: text.slice(colon + 1) };
  }
  const close = text.indexOf(']', open + 1);
  if (close === open + 1) throw new ConntrackProblem('No IPv6 address specified');
  if (close < 0) throw new ConntrackProblem("No closing ']' around IPv6 address");
  const colon = text.indexOf(':', close);
  if (colon < 0) return { host: text, port: null };
  return { host: text.slice(open + 1, close), port: text.slice(colon + 1) };
}
