import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { saveString } from '../extensions/words.ts';
import { splitWords } from './words.ts';

describe('words of a restore line', () => {
  it('groups with double quotes only, and ends a word at the closing one', () => {
    expect(splitWords(`a "b c" 'd e'`)).toEqual(['a', 'b c', "'d", "e'"]);
    expect(splitWords('a"b"c ""')).toEqual(['ab', 'c', '']);
    expect(splitWords('"a\\"b\\\\c"')).toEqual(['a"b\\c']);
    expect(splitWords('open "till the end')).toEqual(['open', 'till the end']);
    expect(splitWords('"till \\')).toEqual(['till ']);
    expect(splitWords('a\\ "b\\""\t"c"d\n')).toEqual(['a\\', 'b"', 'c', 'd']);
  });

  it('gives back what save texts quote', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[\x20-\x7e\t]{1,20}$/)), (words) => {
        expect(splitWords(words.map(saveString).join(''))).toEqual(words);
      }),
    );
  });

  it('quotes unless all characters are letters, digits, _ or -', () => {
    expect(saveString('a_b-1')).toBe(' a_b-1');
    expect(saveString('a b')).toBe(' "a b"');
    expect(saveString(`it's`)).toBe(` "it\\'s"`);
    expect(saveString('')).toBe(' ""');
  });
});
