/** IPv6 (RFC 8200): offsets, view, builder, fragment header. */
import { readUint16, readUint32, writeUint16, writeUint32 } from './bytes.ts';
import type { AddressWords } from './family.ts';

export const Ipv6 = {
  payloadLength: 4,
  nextHeader: 6,
  hopLimit: 7,
  source: 8,
  destination: 24,
  headerLength: 40,
} as const;

export interface Ipv6Header {
  trafficClass: number;
  flowLabel: number;
  payloadLength: number;
  nextHeader: number;
  hopLimit: number;
  source: AddressWords;
  destination: AddressWords;
}

export function readWords(bytes: Uint8Array, offset: number): AddressWords {
  return [
    readUint32(bytes, offset),
    readUint32(bytes, offset + 4),
    readUint32(bytes, offset + 8),
    readUint32(bytes, offset + 12),
  ];
}

export function writeWords(bytes: Uint8Array, offset: number, words: ArrayLike<number>): void {
  for (let i = 0; i < 4; i++) writeUint32(bytes, offset + 4 * i, words[i]!);
}

/** The header at `offset`; null if it is not all there. */
export function readIpv6(bytes: Uint8Array, offset = 0): Ipv6Header | null {
  if (bytes.length < offset + 40) return null;
  const first = readUint32(bytes, offset);
  return {
    trafficClass: (first >>> 20) & 0xff,
    flowLabel: first & 0xfffff,
    payloadLength: readUint16(bytes, offset + Ipv6.payloadLength),
    nextHeader: bytes[offset + Ipv6.nextHeader]!,
    hopLimit: bytes[offset + Ipv6.hopLimit]!,
    source: readWords(bytes, offset + Ipv6.source),
    destination: readWords(bytes, offset + Ipv6.destination),
  };
}

/** A packet with `payload` (extension headers included); the payload length is made unless it is given. */
export function buildIpv6(
  header: Partial<Omit<Ipv6Header, 'source' | 'destination'>> & {
    source: ArrayLike<number>;
    destination: ArrayLike<number>;
    nextHeader: number;
  },
  payload: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(40 + payload.length);
  writeUint32(bytes, 0, 0x60000000 + (header.trafficClass ?? 0) * 0x100000 + (header.flowLabel ?? 0));
  writeUint16(bytes, Ipv6.payloadLength, header.payloadLength ?? payload.length);
  bytes[Ipv6.nextHeader] = header.nextHeader;
  bytes[Ipv6.hopLimit] = header.hopLimit ?? 64;
  writeWords(bytes, Ipv6.source, header.source);
  writeWords(bytes, Ipv6.destination, header.destination);
  bytes.set(payload, 40);
  return bytes;
}

/** The fragment extension header, 8 bytes. `offset` in bytes. */
export function buildFragmentHeader(nextHeader: number, offset: number, more: boolean, id: number): Uint8Array {
  const bytes = new Uint8Array(8);
  bytes[0] = nextHeader;
  writeUint16(bytes, 2, (offset & 0xfff8) | (more ? 1 : 0));
  writeUint32(bytes, 4, id);
  return bytes;
}
