/** IPv4 packets (RFC 791). */
import { writeUint16, writeUint32 } from './bytes.ts';
import { internetChecksum } from './checksum.ts';

/** Header fields; what is left out has the value of a plain packet. */
export interface Ipv4Header {
  source: number;
  destination: number;
  protocol: number;
  tos?: number;
  identification?: number;
  dontFragment?: boolean;
  moreFragments?: boolean;
  /** Bytes. */
  fragmentOffset?: number;
  /** Default 64. */
  ttl?: number;
  /** Padded to a multiple of four bytes. */
  options?: Uint8Array;
  /** For packets that are wrong on purpose. */
  version?: number;
  headerWords?: number;
  totalLength?: number;
}

/** The header, its checksum set, and `payload` behind it. */
export function buildIpv4(header: Ipv4Header, payload: Uint8Array): Uint8Array {
  const length = 20 + (header.options?.length ?? 0);
  const bytes = new Uint8Array(length + payload.length);
  bytes[0] = ((header.version ?? 4) << 4) | (header.headerWords ?? length >>> 2);
  bytes[1] = header.tos ?? 0;
  writeUint16(bytes, 2, header.totalLength ?? bytes.length);
  writeUint16(bytes, 4, header.identification ?? 0);
  const flags = (header.dontFragment ? 0x4000 : 0) | (header.moreFragments ? 0x2000 : 0);
  writeUint16(bytes, 6, flags | ((header.fragmentOffset ?? 0) >> 3));
  bytes[8] = header.ttl ?? 64;
  bytes[9] = header.protocol;
  writeUint32(bytes, 12, header.source);
  writeUint32(bytes, 16, header.destination);
  if (header.options) bytes.set(header.options, 20);
  writeUint16(bytes, 10, internetChecksum(bytes, 0, length));
  bytes.set(payload, length);
  return bytes;
}
