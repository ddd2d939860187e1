import { readUint16 } from '../packet/bytes.ts';
import { extensionHeaderLength, isExtensionHeader } from '../packet/decode.ts';
import { Protocol } from '../packet/protocol.ts';

/** The packet has no such header (-ENOENT). */
export const NOT_FOUND = -1;
/** The chain of headers is cut off before it (-EBADMSG): matches drop such packets. */
export const TRUNCATED = -2;

/** Offset of the IPv6 extension header of kind `target`, as `ipv6_find_hdr` (net/ipv6/exthdrs_core.c) finds it. */
export function findExtensionHeader(bytes: Uint8Array, target: number): number {
  const end = bytes.length;
  let offset = 40;
  let next = bytes[6]!;
  for (;;) {
    const found = next === target;
    if (!isExtensionHeader(next) || next === Protocol.noNextHeader) return found ? offset : NOT_FOUND;
    if (offset + 2 > end) return TRUNCATED;
    if (next === Protocol.fragment) {
      if (offset + 4 > end) return TRUNCATED;
      if (!found && (readUint16(bytes, offset + 2) & 0xfff8) !== 0) return NOT_FOUND;
    }
    if (found) return offset;
    const length = extensionHeaderLength(bytes, offset, next);
    next = bytes[offset]!;
    offset += length;
  }
}
