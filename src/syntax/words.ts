import { UsageError } from '../extensions/contract.ts';

/** Longest word that iptables-restore takes, and how many words a line may have (MAX_ARGC less the final null). */
const MAX_WORD = 1023;
const MAX_WORDS = 254;

/**
 * Splits a line as iptables-restore does: blanks, tabs and newlines separate; double quotes group (a backslash keeps
 * the next character inside them); everything else, `'` too, is literal. An unterminated quote is accepted.
 */
export function splitWords(line: string, already = 0): string[] {
  const words: string[] = [];
  if (!line.includes('"')) {
    // The usual case.
    let start = -1;
    const { length } = line;
    for (let i = 0; i <= length; i++) {
      const code = i === length ? 32 : line.charCodeAt(i);
      if (code === 32 || code === 9 || code === 10) {
        if (start >= 0) {
          pushWord(words, line.slice(start, i), already);
          start = -1;
        }
      } else if (start < 0) {
        start = i;
      }
    }
    return words;
  }
  let word = '';
  let quoted = false;
  let escaped = false;
  for (const character of line) {
    if (quoted) {
      if (escaped) {
        word += character;
        escaped = false;
        continue;
      }
      if (character === '\\') {
        escaped = true;
        continue;
      }
      if (character !== '"') {
        word += character;
        continue;
      }
      // The end of the quotes ends the word too, even an empty one.
      quoted = false;
      pushWord(words, word, already);
      word = '';
      continue;
    }
    if (character === '"') quoted = true;
    else if (character === ' ' || character === '\t' || character === '\n') {
      if (word !== '') pushWord(words, word, already);
      word = '';
    } else word += character;
  }
  if (word !== '') pushWord(words, word, already);
  return words;
}

function pushWord(words: string[], word: string, already: number): void {
  if (word.length > MAX_WORD) throw new UsageError('Parameter too long!');
  if (words.length + already >= MAX_WORDS) throw new UsageError('Parser cannot handle more arguments');
  words.push(word);
}

const BARE = /^[A-Za-z0-9_-]+$/;

/** A word as save texts write it: bare, or in double quotes with `"`, `\` and `'` escaped. */
export function quoteWord(word: string): string {
  return BARE.test(word) ? word : `"${word.replace(/["\\']/g, '\\$&')}"`;
}
