/** Bob Jenkins' lookup3 hash as the kernel has it (include/linux/jhash.h); all values are unsigned 32-bit. */

const GOLDEN = 0xdeadbeef;

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** `__jhash_final` on a, b, c; gives c. */
function final(a0: number, b0: number, c0: number): number {
  let a = a0;
  let b = b0;
  let c = c0;
  c = ((c ^ b) - rotate(b, 14)) | 0;
  a = ((a ^ c) - rotate(c, 11)) | 0;
  b = ((b ^ a) - rotate(a, 25)) | 0;
  c = ((c ^ b) - rotate(b, 16)) | 0;
  a = ((a ^ c) - rotate(c, 4)) | 0;
  b = ((b ^ a) - rotate(a, 14)) | 0;
  c = ((c ^ b) - rotate(b, 24)) | 0;
  return c >>> 0;
}

/** `jhash2(k, length, initval)`: the hash of `length` 32-bit words from `base` on. */
export function jhash2(words: ArrayLike<number>, length: number, initval: number, base = 0): number {
  let a = (GOLDEN + (length << 2) + initval) | 0;
  let b = a;
  let c = a;
  let i = base;
  let rest = length;
  while (rest > 3) {
    a = (a + words[i]!) | 0;
    b = (b + words[i + 1]!) | 0;
    c = (c + words[i + 2]!) | 0;
    a = ((a - c) ^ rotate(c, 4)) | 0;
    c = (c + b) | 0;
    b = ((b - a) ^ rotate(a, 6)) | 0;
    a = (a + c) | 0;
    c = ((c - b) ^ rotate(b, 8)) | 0;
    b = (b + a) | 0;
    a = ((a - c) ^ rotate(c, 16)) | 0;
    c = (c + b) | 0;
    b = ((b - a) ^ rotate(a, 19)) | 0;
    a = (a + c) | 0;
    c = ((c - b) ^ rotate(b, 4)) | 0;
    b = (b + a) | 0;
    i += 3;
    rest -= 3;
  }
  if (rest === 0) return c >>> 0;
  if (rest === 3) c = (c + words[i + 2]!) | 0;
  if (rest >= 2) b = (b + words[i + 1]!) | 0;
  a = (a + words[i]!) | 0;
  return final(a, b, c);
}

/** `jhash(key, length, initval)`: the hash of bytes; words are little-endian, as on x86 and ARM. */
export function jhash(bytes: Uint8Array, initval: number, start = 0, end = bytes.length): number {
  const length = end - start;
  const words = new Uint32Array(Math.ceil(length / 12) * 3);
  for (let i = 0; i < length; i++) words[i >> 2] = words[i >> 2]! | (bytes[start + i]! << ((i & 3) << 3));
  if (length === 0) return (GOLDEN + initval) >>> 0;
  // Missing bytes add nothing, so that a last block with zeros in their place mixes alike.
  return jhashWords(words, Math.ceil(length / 12), length, initval);
}

function jhashWords(words: Uint32Array, blocks: number, length: number, initval: number): number {
  // jhash2 starts from its own byte count: the difference goes into initval.
  const counted = blocks * 3;
  return jhash2(words, counted, initval + length - (counted << 2));
}

/** `jhash_3words`. */
export function jhash3words(a: number, b: number, c: number, initval: number): number {
  const start = (GOLDEN + 12 + initval) | 0;
  return final((a + start) | 0, (b + start) | 0, (c + start) | 0);
}

/** `jhash_1word`. */
export function jhash1word(a: number, initval: number): number {
  const start = (GOLDEN + 4 + initval) | 0;
  return final((a + start) | 0, start, start);
}

/** A number spread over `0..size-1` without division (`reciprocal_scale`). */
export function reciprocalScale(value: number, size: number): number {
  return Number((BigInt(value >>> 0) * BigInt(size >>> 0)) >> 32n);
}

/** A 32-bit value with its bytes reversed: what a little-endian machine reads where the network order value is `value`. */
export function swapBytes(value: number): number {
  return (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}
