import { parseNumber } from './key.ts';

const FLAG_LETTERS: Readonly<Record<string, number>> = {
  F: 1,
  S: 2,
  R: 4,
  P: 8,
  A: 16,
  '.': 16,
  U: 32,
  E: 64,
  C: 128,
  W: 128,
};
const FLAG_NAMES: Readonly<Record<string, number>> = {
  FIN: 1,
  SYN: 2,
  RST: 4,
  PSH: 8,
  ACK: 16,
  URG: 32,
  ECE: 64,
  CWR: 128,
  NONE: 0,
  ALL: 63,
};

/** TCP flags as letters, names with commas, or a number; -1 if it is none. */
export function parseTcpFlags(text: string): number {
  if (/^[FSRPA.UECW]+$/.test(text)) return [...text].reduce((flags, letter) => flags | FLAG_LETTERS[letter]!, 0);
  let flags = 0;
  for (const name of text.toUpperCase().split(/[,+|]/)) {
    if (!Object.hasOwn(FLAG_NAMES, name)) return parseNumber(text, 255);
    flags |= FLAG_NAMES[name]!;
  }
  return flags;
}

/** TCP flags as letters in the order FSRPAUEC; `none` for no flag. */
export function formatTcpFlags(flags: number): string {
  let text = '';
  for (const letter of 'FSRPAUEC') if (flags & FLAG_LETTERS[letter]!) text += letter;
  return text === '' ? 'none' : text;
}
