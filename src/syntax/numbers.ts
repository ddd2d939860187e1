/** Largest values of C's unsigned types. */
export const MAX_8 = 0xff;
export const MAX_16 = 0xffff;
export const MAX_32 = 0xffffffff;
export const MAX_64 = 0xffffffffffffffffn;

const isSpace = (code: number): boolean => code === 32 || (code >= 9 && code <= 13);

function digitValue(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 97 && code <= 122) return code - 87;
  if (code >= 65 && code <= 90) return code - 55;
  return 99;
}

/**
 * `strtoul` with a leading minus refused: leading blanks, `+`, `0x` for hexadecimal, a leading 0 for octal (base 0).
 * Returns null where no digits stand at the start; `value` is null on overflow of 64 bits.
 */
export function scanUnsigned(text: string, base = 0): { value: bigint | null; end: number } | null {
  let i = 0;
  while (isSpace(text.charCodeAt(i))) i++;
  if (text.charCodeAt(i) === 45) return null;
  if (text.charCodeAt(i) === 43) i++;
  let radix = base;
  if (text.charCodeAt(i) === 48 && (base === 0 || base === 16)) {
    const x = text.charCodeAt(i + 1) | 32;
    if (x === 120 && digitValue(text.charCodeAt(i + 2)) < 16) {
      radix = 16;
      i += 2;
    } else if (base === 0) {
      radix = 8;
    }
  } else if (base === 0) {
    radix = 10;
  }
  const start = i;
  let small = 0;
  for (let digit = digitValue(text.charCodeAt(i)); digit < radix; digit = digitValue(text.charCodeAt(++i))) {
    small = small * radix + digit;
  }
  if (i === start) return null;
  if (small <= Number.MAX_SAFE_INTEGER) return { value: BigInt(small), end: i };
  let big = 0n;
  for (let j = start; j < i; j++) big = big * BigInt(radix) + BigInt(digitValue(text.charCodeAt(j)));
  return { value: big > MAX_64 ? null : big, end: i };
}

/** The whole text as an unsigned number within `min`..`max`, or null (`xtables_strtoul` without an end pointer). A `max` of 0 sets no limit. */
export function parseUnsigned64(text: string, min: bigint, max: bigint): bigint | null {
  const scanned = scanUnsigned(text);
  if (scanned === null || scanned.value === null || scanned.end !== text.length) return null;
  return scanned.value >= min && (max === 0n || scanned.value <= max) ? scanned.value : null;
}

/** As `parseUnsigned64`, for numbers that fit a double. */
export function parseUnsigned(text: string, min: number, max: number): number | null {
  const length = text.length;
  // The usual case, plain decimal digits, without a bigint.
  if (length > 0 && length <= 9 && text.charCodeAt(0) !== 48) {
    let value = 0;
    let i = 0;
    for (; i < length; i++) {
      const digit = text.charCodeAt(i) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (i === length) return value >= min && (max === 0 || value <= max) ? value : null;
  }
  const value = parseUnsigned64(text, BigInt(min), BigInt(max));
  return value === null ? null : Number(value);
}

/**
 * A number at the start of the text within `min`..`max` and the index after it (`xtables_strtoui` with an end
 * pointer), or null.
 */
export function scanUnsignedWithin(text: string, min: number, max: number): { value: number; end: number } | null {
  const scanned = scanUnsigned(text);
  if (scanned === null || scanned.value === null) return null;
  if (scanned.value < BigInt(min) || (max !== 0 && scanned.value > BigInt(max))) return null;
  return { value: Number(scanned.value), end: scanned.end };
}

const DOUBLE =
  /^[\t-\r ]*([+-]?)(?:0x(?=\.?[\da-f])([\da-f]*)(?:\.([\da-f]*))?(?:p([+-]?\d+))?|((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)|(inf(?:inity)?)|nan(?:\(\w*\))?)/i;

/** The number at the start of the text as `strtod` reads it and the index after it, or null. */
export function scanDouble(text: string): { value: number; end: number } | null {
  const match = DOUBLE.exec(text);
  if (match === null) return null;
  const [all, sign, whole, fraction = '', exponent = '0', decimal, infinity] = match;
  let value = Number.NaN;
  if (whole !== undefined) {
    value = Number.parseInt(`0${whole}${fraction}`, 16) * 2 ** (Number(exponent) - 4 * fraction.length);
  } else if (decimal !== undefined) value = Number(decimal);
  else if (infinity !== undefined) value = Number.POSITIVE_INFINITY;
  return { value: sign === '-' ? -value : value, end: all.length };
}

/** The whole text as `strtod` reads it, or null. */
export function parseDouble(text: string): number | null {
  const scanned = scanDouble(text);
  return scanned !== null && scanned.end === text.length ? scanned.value : null;
}

/** C's `sscanf("%llu")`/`atoi` kind of reading: the decimal digits at the start, wrapped to 64 bits; null if there are none. */
export function scanDecimal(text: string): bigint | null {
  // Most counters; and they are all the same zero.
  if (text === '0') return 0n;
  const match = /^[\t-\r ]*([+-]?)(\d+)/.exec(text);
  if (match === null) return null;
  const magnitude = BigInt(match[2] as string);
  const clamped = magnitude > MAX_64 ? MAX_64 : magnitude;
  return match[1] === '-' ? BigInt.asUintN(64, -clamped) : clamped;
}
