/** IPv4 (RFC 791): offsets, view, builder. */
import { readUint16, readUint32, writeUint16, writeUint32 } from './bytes.ts';
import { internetChecksum } from './checksum.ts';

export const Ipv4 = {
  tos: 1,
  totalLength: 2,
  identification: 4,
  fragment: 6,
  ttl: 8,
  protocol: 9,
  checksum: 10,
  source: 12,
  destination: 16,
  /** Bits of the word at `fragment`. */
  dontFragment: 0x4000,
  moreFragments: 0x2000,
  offsetMask: 0x1fff,
} as const;

export interface Ipv4Header {
  tos: number;
  totalLength: number;
  identification: number;
  dontFragment: boolean;
  moreFragments: boolean;
  /** Bytes. */
  fragmentOffset: number;
  ttl: number;
  protocol: number;
  checksum: number;
  source: number;
  destination: number;
  /** Padded to a multiple of 4 bytes. */
  options: Uint8Array;
}

/** The header at `offset`; null if it is not all there. */
export function readIpv4(bytes: Uint8Array, offset = 0): Ipv4Header | null {
  if (bytes.length < offset + 20) return null;
  const length = (bytes[offset]! & 15) * 4;
  if (length < 20 || bytes.length < offset + length) return null;
  const fragment = readUint16(bytes, offset + Ipv4.fragment);
  return {
    tos: bytes[offset + Ipv4.tos]!,
    totalLength: readUint16(bytes, offset + Ipv4.totalLength),
    identification: readUint16(bytes, offset + Ipv4.identification),
    dontFragment: (fragment & Ipv4.dontFragment) !== 0,
    moreFragments: (fragment & Ipv4.moreFragments) !== 0,
    fragmentOffset: (fragment & Ipv4.offsetMask) << 3,
    ttl: bytes[offset + Ipv4.ttl]!,
    protocol: bytes[offset + Ipv4.protocol]!,
    checksum: readUint16(bytes, offset + Ipv4.checksum),
    source: readUint32(bytes, offset + Ipv4.source),
    destination: readUint32(bytes, offset + Ipv4.destination),
    options: bytes.slice(offset + 20, offset + length),
  };
}

/** A packet with `payload`; total length and checksum are made unless they are given. */
export function buildIpv4(
  header: Partial<Ipv4Header> & Pick<Ipv4Header, 'source' | 'destination' | 'protocol'>,
  payload: Uint8Array,
): Uint8Array {
  const options = header.options ?? new Uint8Array(0);
  const length = 20 + ((options.length + 3) & ~3);
  const bytes = new Uint8Array(length + payload.length);
  bytes[0] = 0x40 | (length >> 2);
  bytes[Ipv4.tos] = header.tos ?? 0;
  writeUint16(bytes, Ipv4.totalLength, header.totalLength ?? bytes.length);
  writeUint16(bytes, Ipv4.identification, header.identification ?? 0);
  const flags = (header.dontFragment ? Ipv4.dontFragment : 0) | (header.moreFragments ? Ipv4.moreFragments : 0);
  writeUint16(bytes, Ipv4.fragment, flags | ((header.fragmentOffset ?? 0) >> 3));
  bytes[Ipv4.ttl] = header.ttl ?? 64;
  bytes[Ipv4.protocol] = header.protocol;
  writeUint32(bytes, Ipv4.source, header.source);
  writeUint32(bytes, Ipv4.destination, header.destination);
  bytes.set(options, 20);
  writeUint16(bytes, Ipv4.checksum, header.checksum ?? internetChecksum(bytes, 0, length));
  bytes.set(payload, length);
  return bytes;
}
