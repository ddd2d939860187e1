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
  cutWords(line, words, null);
  for (let i = 0; i < words.length; i++) checkWord(words[i]!, i + already);
  return words;
}

/** A word, and whether quotes ended it. */
export interface QuotedWord {
  word: string;
  quoted: boolean;
}

/** As splitWords, telling which words were quoted. Throws UsageError where a word is too long or one too many. */
export function quotedWords(line: string): QuotedWord[] {
  const words: string[] = [];
  const quoted: boolean[] = [];
  cutWords(line, words, quoted);
  return words.map((word, i) => {
    checkWord(word, i);
    return { word, quoted: quoted[i]! };
  });
}

const QUOTE = 34;
const BACKSLASH = 92;

function isBlank(code: number): boolean {
  return code === 32 || code === 9 || code === 10;
}

/** Cuts words out of the line as they stand there; only one with quotes inside, or a backslash, has to be put together. */
function cutWords(line: string, words: string[], quoted: boolean[] | null): void {
  const { length } = line;
  let i = 0;
  while (i < length) {
    let code = line.charCodeAt(i);
    if (isBlank(code)) {
      i++;
      continue;
    }
    let start = i;
    while (code !== QUOTE && !isBlank(code) && ++i < length) code = line.charCodeAt(i);
    let word = line.slice(start, i);
    let isQuoted = false;
    if (i < length && code === QUOTE) {
      start = ++i;
      // The end of the quotes ends the word too, even an empty one.
      for (; i < length && !isQuoted; i++) {
        code = line.charCodeAt(i);
        if (code !== QUOTE && code !== BACKSLASH) continue;
        word += line.slice(start, i);
        start = i + 1;
        if (code === QUOTE) isQuoted = true;
        else i++;
      }
      if (!isQuoted) word += line.slice(start, length);
    }
    if (word === '' && !isQuoted) continue;
    words.push(word);
    quoted?.push(isQuoted);
  }
}

/** @param index how many words there are before it */
function checkWord(word: string, index: number): void {
  if (word.length > MAX_WORD) throw new UsageError('Parameter too long!');
  if (index >= MAX_WORDS) throw new UsageError('Parser cannot handle more arguments');
}
