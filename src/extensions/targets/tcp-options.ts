const NOP = 1;

/** Length of the TCP option at an offset of the bytes, at least 1: a length of 0 counts as one byte. */
export function optionLength(bytes: Uint8Array, offset: number): number {
  return bytes[offset]! <= NOP ? 1 : bytes[offset + 1]! || 1;
}
