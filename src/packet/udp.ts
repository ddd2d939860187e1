/** UDP (RFC 768) and UDP-Lite (RFC 3828): offsets, view, builder. */
import { readUint16, writeUint16 } from './bytes.ts';
import { internetChecksum, pseudoHeaderSum } from './checksum.ts';
import { Protocol } from './protocol.ts';

export const Udp = { sourcePort: 0, destinationPort: 2, length: 4, checksum: 6, headerLength: 8 } as const;

export interface UdpHeader {
  sourcePort: number;
  destinationPort: number;
  /** Length of header and data; for UDP-Lite how much the checksum covers (0: all). */
  length: number;
  checksum: number;
}

/** The header at `offset`; null if it is not all there. */
export function readUdp(bytes: Uint8Array, offset: number): UdpHeader | null {
  if (bytes.length < offset + 8) return null;
  return {
    sourcePort: readUint16(bytes, offset),
    destinationPort: readUint16(bytes, offset + Udp.destinationPort),
    length: readUint16(bytes, offset + Udp.length),
    checksum: readUint16(bytes, offset + Udp.checksum),
  };
}

/** A datagram with length and checksum, unless they are given (a checksum of 0 means none). */
export function buildUdp(
  header: Partial<UdpHeader>,
  payload: Uint8Array,
  source: ArrayLike<number>,
  destination: ArrayLike<number>,
  protocol: number = Protocol.udp,
): Uint8Array {
  const bytes = new Uint8Array(8 + payload.length);
  const length = header.length ?? (protocol === Protocol.udplite ? 0 : bytes.length);
  writeUint16(bytes, Udp.sourcePort, header.sourcePort ?? 0);
  writeUint16(bytes, Udp.destinationPort, header.destinationPort ?? 0);
  writeUint16(bytes, Udp.length, length);
  bytes.set(payload, 8);
  let { checksum } = header;
  if (checksum === undefined) {
    const covered = protocol === Protocol.udplite && length > 0 ? Math.min(length, bytes.length) : bytes.length;
    checksum =
      internetChecksum(bytes, 0, covered, pseudoHeaderSum(source, destination, protocol, bytes.length)) || 0xffff;
  }
  writeUint16(bytes, Udp.checksum, checksum);
  return bytes;
}
