import { NotationError } from './error.ts';

/** A word of a description: bare, or `key=value`. */
export interface Word {
  /** Lower-case name before `=`; null for a bare word. */
  key: string | null;
  /** What stands after `=`, or the bare word; quotes and escapes resolved. */
  text: string;
  /** Column of the word, from 1. */
  column: number;
  /** Column of the value. */
  valueColumn: number;
}

/**
 * Splits a description at blanks. A value may be put in double quotes, within which `\n`, `\r`, `\t`, `\0`, `\xHH`, `\"`
 * and `\\` stand for characters. `>` is a word of its own wherever it stands outside quotes.
 */
export function splitWords(line: string): Word[] {
  const words: Word[] = [];
  let at = 0;
  while (at < line.length) {
    if (/\s/.test(line[at]!)) {
      at++;
      continue;
    }
    if (line[at] === '>') {
      words.push({ key: null, text: '>', column: at + 1, valueColumn: at + 1 });
      at++;
      continue;
    }
    const column = at + 1;
    let key: string | null = null;
    let text = '';
    let valueColumn = column;
    while (at < line.length && !/[\s>]/.test(line[at]!)) {
      if (line[at] === '"') {
        const quoted = readQuoted(line, at);
        text += quoted.text;
        at = quoted.end;
      } else if (line[at] === '=' && key === null && /^[A-Za-z][\w.-]*$/.test(text)) {
        key = text.toLowerCase();
        text = '';
        at++;
        valueColumn = at + 1;
      } else {
        text += line[at];
        at++;
      }
    }
    words.push({ key, text, column, valueColumn });
  }
  return words;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '0': '\0', '"': '"', '\\': '\\' };

function readQuoted(line: string, start: number): { text: string; end: number } {
  let text = '';
  let at = start + 1;
  while (at < line.length) {
    const character = line[at]!;
    if (character === '"') return { text, end: at + 1 };
    if (character !== '\\') {
      text += character;
      at++;
      continue;
    }
    const hex = /^x([0-9a-fA-F]{2})/.exec(line.slice(at + 1, at + 4));
    const simple = ESCAPES[line[at + 1] ?? ''];
    if (hex !== null) {
      const byte = Number.parseInt(hex[1]!, 16);
      text += String.fromCharCode(byte < 0x80 ? byte : BYTE + byte);
      at += 4;
    } else if (simple !== undefined) {
      text += simple;
      at += 2;
    } else {
      throw new NotationError(
        `unknown escape "${line.slice(at, at + 2)}": use \\n \\r \\t \\0 \\xHH \\" or \\\\`,
        at + 1,
      );
    }
  }
  throw new NotationError('a quote without an end', start + 1);
}

/** Bytes above 0x7f that an escape gave stand in the text as lone surrogates from here on (as in Python's surrogateescape). */
const BYTE = 0xdc00;

/** A value's text as bytes: UTF-8, escaped bytes as they are. */
export function textBytes(text: string): Uint8Array {
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (const character of text) {
    const code = character.charCodeAt(0);
    if (character.length === 1 && code >= BYTE + 0x80 && code <= BYTE + 0xff) bytes.push(code - BYTE);
    else bytes.push(...encoder.encode(character));
  }
  return Uint8Array.from(bytes);
}

/** Bytes as a text in double quotes that `splitWords` and `textBytes` read back. */
export function quoteBytes(bytes: Uint8Array): string {
  let quoted = '"';
  for (const code of bytes) {
    const character = String.fromCharCode(code);
    if (character === '"' || character === '\\') quoted += `\\${character}`;
    else if (character === '\n') quoted += '\\n';
    else if (character === '\r') quoted += '\\r';
    else if (character === '\t') quoted += '\\t';
    else if (code < 32 || code > 126) quoted += `\\x${code.toString(16).padStart(2, '0')}`;
    else quoted += character;
  }
  return `${quoted}"`;
}
