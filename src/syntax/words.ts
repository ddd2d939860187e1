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
  for (const { word } of splitQuotedWords(line)) pushWord(words, word, already);
  return words;
}

/** A word, and whether quotes ended it. */
export interface QuotedWord {
  word: string;
  quoted: boolean;
}

/** As splitWords, telling which words were quoted. Throws UsageError where a word is too long or one too many. */
export function quotedWords(line: string): QuotedWord[] {
  const words = splitQuotedWords(line);
  for (const [i, { word }] of words.entries()) checkWord(word, i);
  return words;
}

function splitQuotedWords(line: string): QuotedWord[] {
  const words: QuotedWord[] = [];
  let word = '';
  let open = false;
  let escaped = false;
  for (const character of line) {
    if (open) {
      if (escaped) {
        word += character;
        escaped = false;
      } else if (character === '\\') {
        escaped = true;
      } else if (character === '"') {
        // The end of the quotes ends the word too, even an empty one.
        open = false;
        words.push({ word, quoted: true });
        word = '';
      } else {
        word += character;
      }
    } else if (character === '"') {
      open = true;
    } else if (character === ' ' || character === '\t' || character === '\n') {
      if (word !== '') words.push({ word, quoted: false });
      word = '';
    } else {
      word += character;
    }
  }
  if (word !== '') words.push({ word, quoted: false });
  return words;
}

/** @param index how many words there are before it */
function checkWord(word: string, index: number): void {
  if (word.length > MAX_WORD) throw new UsageError('Parameter too long!');
  if (index >= MAX_WORDS) throw new UsageError('Parser cannot handle more arguments');
}

function pushWord(words: string[], word: string, already: number): void {
  checkWord(word, words.length + already);
  words.push(word);
}
