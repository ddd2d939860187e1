/** TCP segments (RFC 9293). */
import { writeUint16, writeUint32 } from './bytes.ts';

/** Header fields. */
export interface TcpHeader {
  sourcePort: number;
  destinationPort: number;
  sequence: number;
  acknowledgement: number;
  /** FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128. */
  flags: number;
  window?: number;
  urgent?: number;
  /** Padded to a multiple of four bytes. */
  options?: Uint8Array;
  /** In words; for segments that are wrong on purpose. */
  dataOffset?: number;
}

/** The header and `payload` behind it; the checksum is left at 0. */
export function buildTcp(header: TcpHeader, payload?: Uint8Array): Uint8Array {
  const length = 20 + (header.options?.length ?? 0);
  const bytes = new Uint8Array(length + (payload?.length ?? 0));
  writeUint16(bytes, 0, header.sourcePort);
  writeUint16(bytes, 2, header.destinationPort);
  writeUint32(bytes, 4, header.sequence);
  writeUint32(bytes, 8, header.acknowledgement);
  bytes[12] = ((header.dataOffset ?? length >>> 2) & 15) << 4;
  bytes[13] = header.flags;
  writeUint16(bytes, 14, header.window ?? 0);
  writeUint16(bytes, 18, header.urgent ?? 0);
  if (header.options) bytes.set(header.options, 20);
  if (payload) bytes.set(payload, length);
  return bytes;
}
