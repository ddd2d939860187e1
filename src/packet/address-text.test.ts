import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatAddress6,
  inPrefix,
  maskLength4,
  parseAddress,
  parseAddress4,
  parseAddress6,
  prefixMask,
} from './address-text.ts';

const word = fc.oneof(fc.constant(0), fc.constant(0xffff), fc.integer({ min: 0, max: 0xffffffff }));

describe('IPv6 text', () => {
  // What glibc's inet_ntop prints.
  it.each([
    ['::', [0, 0, 0, 0]],
    ['::1', [0, 0, 0, 1]],
    ['::0.1.0.0', [0, 0, 0, 0x10000]],
    ['::ffff:192.0.2.1', [0, 0, 0xffff, 0xc0000201]],
    ['2001:db8::1', [0x20010db8, 0, 0, 1]],
    ['2001:db8:0:1:1:1:1:1', [0x20010db8, 1, 0x10001, 0x10001]],
    ['2001:0:0:1::1', [0x20010000, 1, 0, 1]],
    ['1::', [0x10000, 0, 0, 0]],
    ['fe80::1:0:0:0', [0xfe800000, 0, 0x10000, 0]],
  ])('%s', (text, words) => {
    expect(formatAddress6(words)).toBe(text);
    expect(parseAddress6(text)).toEqual(words);
  });

  it('prints what it reads', () => {
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), (words) => {
        const text = formatAddress6(words);
        expect(parseAddress6(text)).toEqual(words);
      }),
    );
  });

  it.each(['', ':', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '12345::', 'g::', '1:2:3:4:5:6:7::8'])(
    'refuses %j',
    (text) => expect(parseAddress6(text)).toBeNull(),
  );
});

describe('IPv4 text', () => {
  it.each(['', '1.2.3', '1.2.3.4.5', '256.0.0.1', '01.2.3.4', '1..2.3', '1.2.3.4 '])('refuses %j', (text) =>
    expect(parseAddress4(text)).toBe(-1),
  );
  it('reads', () => {
    expect(parseAddress4('192.0.2.1')).toBe(0xc0000201);
    expect(parseAddress4('0.0.0.0')).toBe(0);
    expect(parseAddress('10.0.0.1')).toEqual({ family: 4, words: [0x0a000001, 0, 0, 0] });
  });
});

it('prefixes', () => {
  expect(prefixMask(6, 65)).toEqual([0xffffffff, 0xffffffff, 0x80000000, 0]);
  expect(maskLength4(0xffffff00)).toBe(24);
  expect(maskLength4(0)).toBe(0);
  expect(maskLength4(0xff00ff00)).toBe(-1);
  expect(inPrefix(4, [0x0a0000ff], [0x0a000000], 24)).toBe(true);
  expect(inPrefix(4, [0x0a0001ff], [0x0a000000], 24)).toBe(false);
  expect(inPrefix(6, [1, 2, 3, 5], [1, 2, 3, 6], 127)).toBe(false);
  expect(inPrefix(6, [1, 2, 3, 5], [1, 2, 3, 6], 126)).toBe(true);
});
