import { describe, expect, it } from 'vitest';
import { jhash, jhash1word, jhash2, jhash3words, reciprocalScale, swapBytes } from './jhash.ts';

/** Values of a C program that does the arithmetic of include/linux/jhash.h. */
const WORDS = [
  [0, 4041348455],
  [1, 574717940],
  [2, 1878188631],
  [3, 1676103573],
  [4, 3665992370],
  [5, 1527470382],
  [6, 1538757767],
  [7, 3387968363],
  [8, 644355503],
] as const;
const BYTES = [
  [0, 3735980525],
  [1, 3405918109],
  [2, 3764652693],
  [3, 2747685054],
  [4, 1953390623],
  [5, 2447697696],
  [6, 1957188462],
  [7, 3789882429],
  [8, 2898161007],
  [9, 3452730167],
  [10, 3291728957],
  [11, 4077507062],
  [12, 1146705290],
  [13, 631730344],
  [14, 2335113965],
  [15, 2502981967],
  [16, 1927098345],
  [17, 1012695583],
  [18, 181599573],
  [19, 3970115627],
  [20, 1218169256],
  [21, 1538642108],
  [22, 514751457],
  [23, 1927611628],
  [24, 1686750104],
  [25, 4227728310],
  [26, 1864554643],
  [27, 1481861343],
] as const;

describe('jhash', () => {
  const words = [1, 0x80000000, 3, 0xffffffff, 5, 6, 7, 8];
  const bytes = Uint8Array.from({ length: 40 }, (_, i) => i * 7 + 1);

  it.each(WORDS)('jhash2 of %i words', (length, value) => expect(jhash2(words, length, 0x12345678)).toBe(value));
  it.each(BYTES)('jhash of %i bytes', (length, value) => expect(jhash(bytes, 0xcafe, 0, length)).toBe(value));
  it('of one and three words is jhash2 with the same length', () => {
    expect(jhash1word(1, 0x12345678)).toBe(jhash2(words, 1, 0x12345678));
    expect(jhash3words(1, 0x80000000, 3, 0x12345678)).toBe(jhash2(words, 3, 0x12345678));
  });
  it('scales without division', () => {
    expect(reciprocalScale(0xffffffff, 10)).toBe(9);
    expect(reciprocalScale(0x80000000, 10)).toBe(5);
    expect(swapBytes(0x0a000001)).toBe(0x0100000a);
  });
});
