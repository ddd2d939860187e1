function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** The last mixing. */
function finish(x: number, y: number, z: number): number {
  let a = x;
  let b = y;
  let c = z;
  c = ((c ^ b) - ((b << 14) | (b >>> 18))) | 0;
  a = ((a ^ c) - ((c << 11) | (c >>> 21))) | 0;
  b = ((b ^ a) - ((a << 25) | (a >>> 7))) | 0;
  c = ((c ^ b) - ((b << 16) | (b >>> 16))) | 0;
  a = ((a ^ c) - ((c << 4) | (c >>> 28))) | 0;
  b = ((b ^ a) - ((a << 14) | (a >>> 18))) | 0;
  c = ((c ^ b) - ((b << 24) | (b >>> 8))) | 0;
  return c >>> 0;
}

/**
 * Bob Jenkins' hash over `length` 32-bit words from `base`, as the kernel's jhash2() computes it (include/linux/jhash.h).
 * The order in which hash sets are listed follows from it. Unsigned result.
 */
export function jhash2(words: Uint32Array, base: number, length: number, initval: number): number {
  let a = (0xdeadbeef + (length << 2) + initval) | 0;
  let b = a;
  let c = a;
  if (length <= 2) {
    // Addresses and networks: nothing to mix before the end.
    return finish((a + words[base]!) | 0, length === 2 ? (b + words[base + 1]!) | 0 : b, c);
  }
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
  return finish(a, b, c);
}
