/** `0x1f`: a 32-bit value as `%x` prints it, with its prefix. */
export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}

/** `0x01`: at least `digits` digits, as `%02x` prints it. */
export function paddedHex(value: number, digits: number): string {
  return `0x${(value >>> 0).toString(16).padStart(digits, '0')}`;
}
