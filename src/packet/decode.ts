import { readUint16, readUint32 } from './bytes.ts';
import type { Packet } from './packet.ts';
import { Protocol } from './protocol.ts';

/** Headers that `ipv6_ext_hdr` (net/ipv6/exthdrs_core.c) takes for extension headers: ESP and mobility are none. */
export function isExtensionHeader(nextHeader: number): boolean {
  switch (nextHeader) {
    case Protocol.hopByHop:
    case Protocol.routing:
    case Protocol.fragment:
    case Protocol.ah:
    case Protocol.noNextHeader:
    case Protocol.destinationOptions:
      return true;
    default:
      return false;
  }
}

/** Length in bytes of the IPv6 extension header at `offset` whose type is `kind`. */
export function extensionHeaderLength(bytes: Uint8Array, offset: number, kind: number): number {
  if (kind === Protocol.fragment) return 8;
  if (kind === Protocol.ah) return (bytes[offset + 1]! + 2) << 2;
  return (bytes[offset + 1]! + 1) << 3;
}

/**
 * Fills the fields of `packet` that say what its bytes are. Safe with any bytes: what is not there reads as 0.
 * IPv6 follows the extension headers as `ipv6_find_hdr` does without a target, which is what ip6tables asks: past hop-by-hop,
 * routing, destination options, AH and a fragment header with offset 0; it ends at ESP and at `no next header`. A chain that cannot
 * be followed leaves `protocol` at -1 (any rule with `-p` then drops the packet at once).
 */
export function decode(packet: Packet): void {
  if (packet.family === 4) decode4(packet);
  else decode6(packet);
}

function decode4(packet: Packet): void {
  const { bytes, src, dst } = packet;
  const fragment = readUint16(bytes, 6);
  packet.headerLength = (bytes[0]! & 15) << 2;
  packet.transport = packet.headerLength;
  packet.protocol = bytes.length > 9 ? bytes[9]! : 0;
  packet.fragmentOffset = (fragment & 0x1fff) << 3;
  packet.moreFragments = (fragment & 0x2000) !== 0;
  packet.fragmentHeader = 0;
  packet.authHeader = 0;
  src[0] = readUint32(bytes, 12);
  dst[0] = readUint32(bytes, 16);
  src[1] = src[2] = src[3] = 0;
  dst[1] = dst[2] = dst[3] = 0;
}

function decode6(packet: Packet): void {
  const { bytes, src, dst } = packet;
  for (let i = 0; i < 4; i++) {
    src[i] = readUint32(bytes, 8 + 4 * i);
    dst[i] = readUint32(bytes, 24 + 4 * i);
  }
  packet.headerLength = 40;
  packet.fragmentOffset = 0;
  packet.moreFragments = false;
  packet.fragmentHeader = 0;
  packet.authHeader = 0;

  const end = bytes.length;
  let offset = 40;
  let next = bytes.length > 6 ? bytes[6]! : Protocol.noNextHeader;
  while (isExtensionHeader(next) && next !== Protocol.noNextHeader) {
    if (offset + 2 > end) {
      next = -1;
      break;
    }
    if (next === Protocol.fragment) {
      if (offset + 4 > end) {
        next = -1;
        break;
      }
      const field = readUint16(bytes, offset + 2);
      if (packet.fragmentHeader === 0) packet.fragmentHeader = offset;
      packet.fragmentOffset = field & 0xfff8;
      packet.moreFragments = (field & 1) !== 0;
      if (packet.fragmentOffset !== 0) {
        const inner = bytes[offset]!;
        offset += 8;
        next = isExtensionHeader(inner) && inner !== Protocol.noNextHeader ? -1 : inner;
        break;
      }
    } else if (next === Protocol.ah && packet.authHeader === 0) {
      packet.authHeader = offset;
    }
    const length = extensionHeaderLength(bytes, offset, next);
    next = bytes[offset]!;
    offset += length;
  }
  packet.protocol = next;
  packet.transport = offset;
}

/**
 * Offset of the IPv6 header of kind `target` in the chain, as `ipv6_find_hdr` with a target finds it (no fragment header with an offset
 * is passed, unless it is the target itself); -1 if it is not there.
 */
export function findHeader6(bytes: Uint8Array, target: number, ipOffset = 0): number {
  const end = bytes.length;
  let offset = ipOffset + 40;
  let next = bytes[ipOffset + 6]!;
  for (;;) {
    if (!isExtensionHeader(next) || next === Protocol.noNextHeader) return next === target ? offset : -1;
    if (offset + 2 > end) return -1;
    if (next === Protocol.fragment && offset + 4 > end) return -1;
    if (next === target) return offset;
    if (next === Protocol.fragment && (readUint16(bytes, offset + 2) & 0xfff8) !== 0) return -1;
    const length = extensionHeaderLength(bytes, offset, next);
    next = bytes[offset]!;
    offset += length;
  }
}
