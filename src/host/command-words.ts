/** The words of an `ip` command, read one after the other. */
import { parseNumber } from './numbers.ts';
import { parseTable } from './tables.ts';

export class CommandWords {
  readonly words: readonly string[];
  at = 0;

  constructor(text: string) {
    this.words = text.trim().split(/\s+/);
  }

  get word(): string | undefined {
    return this.words[this.at];
  }

  /** Passes over the current word if it is one of these; the word, or null. */
  skip(...words: string[]): string | null {
    if (this.word === undefined || !words.includes(this.word)) return null;
    return this.words[this.at++]!;
  }

  /** Goes on to the argument of the current word. Throws where there is none. */
  argument(): string {
    const word = this.words[++this.at];
    if (word === undefined) throw new Error(`"${this.words[this.at - 1]}" needs an argument`);
    return word;
  }

  /** The current word's argument as a number in C notation. Throws where it is none within these bounds. */
  number(min: number, max: number): number {
    const name = this.word!;
    const word = this.argument();
    const value = parseNumber(word, min, max);
    if (value < 0) throw new Error(`"${name} ${word}": a number from ${min} to ${max} is needed`);
    return value;
  }

  /** TOS in hexadecimal, with or without `0x`. */
  tos(): number {
    const name = this.word!;
    const word = this.argument();
    const value = /^[0-9a-fA-F]{1,2}$/.test(word) ? Number.parseInt(word, 16) : parseNumber(word, 0, 255);
    if (value < 0) throw new Error(`"${name} ${word}": a number from 0 to 0xff is needed`);
    return value;
  }

  /** `REALM` or `FROM/TO`, 16 bits each. */
  realm(): number {
    const name = this.word!;
    const word = this.argument();
    const parts = word.split('/').map((part) => parseNumber(part, 0, 0xffff));
    if (parts.length > 2 || parts.includes(-1))
      throw new Error(`"${name} ${word}": numbers from 0 to 65535 are needed`);
    return parts.length === 2 ? parts[0]! * 0x10000 + parts[1]! : parts[0]!;
  }

  /** A table by name or number. */
  table(): number {
    const name = this.word!;
    const word = this.argument();
    const table = parseTable(word);
    if (table < 0) throw new Error(`"${name} ${word}": a number or one of local, main, default is needed`);
    return table;
  }
}
