/** IPv6 packets (RFC 8200). */
import { writeUint16, writeUint32 } from './bytes.ts';

/** Header fields; what is left out has the value of a plain packet. */
export interface Ipv6Header {
  source: ArrayLike<number>;
  destination: ArrayLike<number>;
  nextHeader: number;
  trafficClass?: number;
  flowLabel?: number;
  /** Default 64. */
  hopLimit?: number;
  /** For packets that are wrong on purpose. */
  version?: number;
  payloadLength?: number;
}

/** The header and `payload`, extension headers included, behind it. */
export function buildIpv6(header: Ipv6Header, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(40 + payload.length);
  const first = ((header.version ?? 6) << 28) | ((header.trafficClass ?? 0) << 20) | (header.flowLabel ?? 0);
  writeUint32(bytes, 0, first >>> 0);
  writeUint16(bytes, 4, header.payloadLength ?? payload.length);
  bytes[6] = header.nextHeader;
  bytes[7] = header.hopLimit ?? 64;
  for (let i = 0; i < 4; i++) {
    writeUint32(bytes, 8 + 4 * i, header.source[i]!);
    writeUint32(bytes, 24 + 4 * i, header.destination[i]!);
  }
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
