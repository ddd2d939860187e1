import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quoteWord, splitWords } from './words.ts';

describe('words of a restore line', () => {
  it('groups with double quotes only, and ends a word at the closing one', () => {
    expect(splitWords(`a "b c" 'd e'`)).toEqual(['a', 'b c', "'d", "e'"]);
    expect(splitWords('a"b"c ""')).toEqual(['ab', 'c', '']);
    expect(splitWords('"a\\"b\\\\c"')).toEqual(['a"b\\c']);
    expect(splitWords('open "till the end')).toEqual(['open', 'till the end']);
  });

  it('gives back what save texts quote', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[\x20-\x7e\t]{1,20}$/)), (words) => {
        expect(splitWords(words.map(quoteWord).join(' '))).toEqual(words);
      }),
    );
  });

  it('quotes unless all characters are letters, digits, _ or -', () => {
    expect(quoteWord('a_b-1')).toBe('a_b-1');
    expect(quoteWord('a b')).toBe('"a b"');
    expect(quoteWord(`it's`)).toBe(`"it\\'s"`);
    expect(quoteWord('')).toBe('""');
  });
});
