/** TCP (RFC 9293): offsets, view, builder. */
import { readUint16, readUint32, writeUint16, writeUint32 } from './bytes.ts';
import { transportChecksum } from './checksum.ts';
import { Protocol } from './protocol.ts';

export const Tcp = {
  sourcePort: 0,
  destinationPort: 2,
  sequence: 4,
  acknowledgement: 8,
  dataOffset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
  urgent: 18,
  headerLength: 20,
} as const;

/** Bits of the octet at `Tcp.flags`. */
export const TcpFlag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ece: 64, cwr: 128 } as const;

export interface TcpHeader {
  sourcePort: number;
  destinationPort: number;
  sequence: number;
  acknowledgement: number;
  /** Header length in bytes as the data offset says. */
  headerLength: number;
  flags: number;
  window: number;
  checksum: number;
  urgent: number;
  /** Bytes between the fixed header and the data offset, as far as they are there. */
  options: Uint8Array;
}

/** The header at `offset`; null if its first 20 bytes are not all there. */
export function readTcp(bytes: Uint8Array, offset: number): TcpHeader | null {
  if (bytes.length < offset + 20) return null;
  const headerLength = (bytes[offset + Tcp.dataOffset]! >>> 4) << 2;
  return {
    sourcePort: readUint16(bytes, offset),
    destinationPort: readUint16(bytes, offset + Tcp.destinationPort),
    sequence: readUint32(bytes, offset + Tcp.sequence),
    acknowledgement: readUint32(bytes, offset + Tcp.acknowledgement),
    headerLength,
    flags: bytes[offset + Tcp.flags]!,
    window: readUint16(bytes, offset + Tcp.window),
    checksum: readUint16(bytes, offset + Tcp.checksum),
    urgent: readUint16(bytes, offset + Tcp.urgent),
    options: bytes.slice(offset + 20, Math.max(offset + headerLength, offset + 20)),
  };
}

/** A segment with its checksum for the addresses given (unless `checksum` is given). Options are padded with zeros. */
export function buildTcp(
  header: Partial<TcpHeader>,
  payload: Uint8Array,
  source: ArrayLike<number>,
  destination: ArrayLike<number>,
): Uint8Array {
  const options = header.options ?? new Uint8Array(0);
  const length = 20 + ((options.length + 3) & ~3);
  const bytes = new Uint8Array(length + payload.length);
  writeUint16(bytes, Tcp.sourcePort, header.sourcePort ?? 0);
  writeUint16(bytes, Tcp.destinationPort, header.destinationPort ?? 0);
  writeUint32(bytes, Tcp.sequence, header.sequence ?? 0);
  writeUint32(bytes, Tcp.acknowledgement, header.acknowledgement ?? 0);
  bytes[Tcp.dataOffset] = ((header.headerLength ?? length) >> 2) << 4;
  bytes[Tcp.flags] = header.flags ?? 0;
  writeUint16(bytes, Tcp.window, header.window ?? 0);
  writeUint16(bytes, Tcp.urgent, header.urgent ?? 0);
  bytes.set(options, 20);
  bytes.set(payload, length);
  writeUint16(
    bytes,
    Tcp.checksum,
    header.checksum ?? transportChecksum(bytes, 0, bytes.length, source, destination, Protocol.tcp),
  );
  return bytes;
}

/** A TCP option: kind, and its data without kind and length. */
export interface TcpOption {
  kind: number;
  /** Offset of its kind byte in the options. */
  offset: number;
  length: number;
}

/** The options of a header one by one (NOP and END included); ends at the first that is malformed. */
export function* tcpOptions(options: Uint8Array): Generator<TcpOption> {
  let offset = 0;
  while (offset < options.length) {
    const kind = options[offset]!;
    const length = kind < 2 ? 1 : (options[offset + 1] ?? 0);
    if (length === 0 || (kind >= 2 && length < 2) || offset + length > options.length) return;
    yield { kind, offset, length };
    if (kind === 0) return;
    offset += length;
  }
}
