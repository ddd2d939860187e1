import { defineMatch, UsageError } from '../contract.ts';
import { not } from '../words.ts';

/** `struct xt_string_info`; the pattern has one byte in each character. */
interface StringMatch {
  pattern: string;
  algorithm: string;
  from: number;
  to: number;
  invert: boolean;
  ignoreCase: boolean;
}

/** XT_STRING_MAX_PATTERN_SIZE */
const MAX_PATTERN = 128;
/** XT_STRING_MAX_ALGO_NAME_SIZE, less the final zero byte. */
const MAX_ALGORITHM = 15;

function tooLong(text: string): UsageError {
  return new UsageError(`STRING too long "${text}"`);
}

/** Text with `|`-enclosed blocks of hexadecimal digits; `\` takes the next character as it is. */
function parseHexString(text: string): string {
  if (text === '') throw new UsageError('STRING must contain at least one char');
  let pattern = '';
  let hex = false;
  for (let i = 0; i < text.length; ) {
    if (pattern.length >= MAX_PATTERN) throw tooLong(text);
    let literal = false;
    if (text[i] === '\\') {
      if (hex) throw new UsageError('Cannot include literals in hex data');
      literal = true;
    } else if (text[i] === '|') {
      hex = !hex;
      if (hex) while (text[i + 1] === ' ') i++;
      if (i + 1 >= text.length) break;
      i++;
    }
    if (literal) {
      if (i + 1 >= text.length) throw new UsageError('Bad literal placement at end of string');
      pattern += text[i + 1];
      i += 2;
    } else if (hex) {
      if (i + 1 >= text.length) throw new UsageError('Odd number of hex digits');
      if (i + 2 >= text.length) throw new UsageError('Invalid hex block');
      for (const digit of [text[i]!, text[i + 1]!])
        if (!/[0-9a-fA-F]/.test(digit)) throw new UsageError(`Invalid hex char '${digit}'`);
      pattern += String.fromCharCode(Number.parseInt(text.slice(i, i + 2), 16));
      i += text[i + 2] === ' ' ? 3 : 2;
    } else {
      pattern += text[i];
      i++;
    }
  }
  return pattern;
}

/** Whether the pattern has to be written in hexadecimal. */
function needsHex(pattern: string): boolean {
  return /[^\x20-\x7e]/.test(pattern) || pattern.endsWith('\\');
}

function patternText(pattern: string): string {
  if (!needsHex(pattern)) return ` "${pattern.replace(/["\\]/g, '\\$&')}"`;
  let digits = '';
  for (let i = 0; i < pattern.length; i++) digits += pattern.charCodeAt(i).toString(16).padStart(2, '0');
  return ` "|${digits}|"`;
}

const HELP = `string match options:
--from                       Offset to start searching from
--to                         Offset to stop searching
--algo                       Algorithm
--icase                      Ignore case (default: 0)
[!] --string string          Match a string in a packet
[!] --hex-string string      Match a hex string in a packet
`;

export const string = defineMatch<StringMatch>({
  name: 'string',
  families: [4, 6],
  options: [
    { name: 'from', type: 'uint16' },
    { name: 'to', type: 'uint16' },
    { name: 'algo', type: 'string', mandatory: true },
    { name: 'string', type: 'string', invert: true, excludes: ['hex-string'] },
    { name: 'hex-string', type: 'string', invert: true, excludes: ['string'] },
    { name: 'icase', type: 'none' },
  ],
  init: () => ({ pattern: '', algorithm: '', from: 0, to: 0xffff, invert: false, ignoreCase: false }),
  parse(data, option) {
    const { text } = option;
    switch (option.name) {
      case 'from':
        data.from = option.number;
        break;
      case 'to':
        data.to = option.number;
        break;
      case 'algo':
        data.algorithm = text.slice(0, MAX_ALGORITHM);
        break;
      case 'string':
        if (text.length > MAX_PATTERN) throw tooLong(text);
        data.pattern = text;
        if (option.invert) data.invert = true;
        break;
      case 'hex-string':
        data.pattern = parseHexString(text);
        if (option.invert) data.invert = true;
        break;
      case 'icase':
        data.ignoreCase = true;
        break;
    }
  },
  finish(_data, { seen }) {
    if (!seen.has('string') && !seen.has('hex-string'))
      throw new UsageError("STRING match: You must specify `--string' or `--hex-string'");
  },
  save(data) {
    let text = `${not(data.invert)} --${needsHex(data.pattern) ? 'hex-string' : 'string'}${patternText(data.pattern)}`;
    text += ` --algo ${data.algorithm}`;
    if (data.from !== 0) text += ` --from ${data.from}`;
    if (data.to !== 0xffff) text += ` --to ${data.to}`;
    return data.ignoreCase ? `${text} --icase` : text;
  },
  print(data) {
    let text = ` STRING match ${data.invert ? '!' : ''}${patternText(data.pattern)} ALGO name ${data.algorithm}`;
    if (data.from !== 0) text += ` FROM ${data.from}`;
    if (data.to !== 0xffff) text += ` TO ${data.to}`;
    return data.ignoreCase ? `${text} ICASE` : text;
  },
  help: () => HELP,
  check({ from, to, algorithm, pattern }) {
    if (from > to || pattern === '') return 'EINVAL';
    if (algorithm === 'bm' || algorithm === 'kmp') return null;
    return algorithm === 'fsm' ? 'EINVAL' : 'ENOENT';
  },
  explain: (data) =>
    `the packet ${data.invert ? 'does not contain' : 'contains'}${patternText(data.pattern)}${data.ignoreCase ? ' in any case' : ''}` +
    (data.from !== 0 || data.to !== 0xffff ? ` between bytes ${data.from} and ${data.to}` : ''),
  pure: true,
  looksAnywhere: true,
  // `string_mt` (net/netfilter/xt_string.c): the first place where it stands decides, from the IP header on.
  compile({ pattern, from, to, invert, ignoreCase }) {
    const wanted = Uint8Array.from(pattern, (character) => {
      const code = character.charCodeAt(0);
      return ignoreCase ? UPPER[code]! : code;
    });
    const fold = ignoreCase ? UPPER : SAME;
    return ({ bytes }) => {
      const at = indexOf(bytes, wanted, from, fold);
      return (at >= 0 && at + wanted.length <= to) !== invert;
    };
  },
});

const SAME = Uint8Array.from({ length: 256 }, (_value, i) => i);
/** Upper case of each byte as the kernel has it (lib/ctype.c): Latin-1. */
const UPPER = Uint8Array.from({ length: 256 }, (_value, i) =>
  (i >= 97 && i <= 122) || (i >= 0xdf && i !== 0xf7) ? i - 32 : i,
);

function indexOf(bytes: Uint8Array, wanted: Uint8Array, from: number, fold: Uint8Array): number {
  const last = bytes.length - wanted.length;
  const first = wanted[0]!;
  for (let i = from; i <= last; i++) {
    if (fold[bytes[i]!] !== first) continue;
    let j = 1;
    while (j < wanted.length && fold[bytes[i + j]!] === wanted[j]) j++;
    if (j === wanted.length) return i;
  }
  return -1;
}
