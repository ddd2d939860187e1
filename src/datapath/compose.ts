import { writeUint16, writeUint32 } from '../packet/bytes.ts';
import { internetChecksum, transportChecksum } from '../packet/checksum.ts';
import { decode } from '../packet/decode.ts';
import type { Family } from '../packet/family.ts';
import { Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';

/** Header fields of a packet that the machine makes; what is left out has the value that Linux gives its own answers. */
export interface HeaderFields {
  source: ArrayLike<number>;
  destination: ArrayLike<number>;
  protocol: number;
  tos?: number;
  /** Default 64. */
  ttl?: number;
  /** IPv4. */
  identification?: number;
  dontFragment?: boolean;
  /** IPv4 options, padded to a multiple of four bytes. */
  options?: Uint8Array;
}

/** A packet of the machine itself: header, `payload` behind it, checksums set (TCP, UDP, ICMP, ICMPv6). */
export function compose(family: Family, header: HeaderFields, payload: Uint8Array): Packet {
  const options = header.options ?? NONE;
  const start = family === 4 ? 20 + options.length : 40;
  const bytes = new Uint8Array(start + payload.length);
  bytes.set(payload, start);
  const { source, destination, protocol } = header;
  const tos = header.tos ?? 0;
  if (family === 4) {
    bytes[0] = 0x40 | (start >>> 2);
    bytes[1] = tos;
    writeUint16(bytes, 2, bytes.length);
    writeUint16(bytes, 4, header.identification ?? 0);
    writeUint16(bytes, 6, header.dontFragment ? 0x4000 : 0);
    bytes[8] = header.ttl ?? 64;
    bytes[9] = protocol;
    writeUint32(bytes, 12, source[0]!);
    writeUint32(bytes, 16, destination[0]!);
    bytes.set(options, 20);
    writeUint16(bytes, 10, internetChecksum(bytes, 0, start));
  } else {
    bytes[0] = 0x60 | (tos >>> 4);
    bytes[1] = (tos << 4) & 0xff;
    writeUint16(bytes, 4, payload.length);
    bytes[6] = protocol;
    bytes[7] = header.ttl ?? 64;
    for (let i = 0; i < 4; i++) {
      writeUint32(bytes, 8 + 4 * i, source[i]!);
      writeUint32(bytes, 24 + 4 * i, destination[i]!);
    }
  }
  const at = start + checksumAt(protocol);
  if (at > start) {
    writeUint16(bytes, at, 0);
    const sum =
      protocol === Protocol.icmp
        ? internetChecksum(bytes, start, bytes.length)
        : transportChecksum(
            bytes,
            start,
            bytes.length,
            wordsOf(family, source),
            wordsOf(family, destination),
            protocol,
          );
    writeUint16(bytes, at, sum);
  }
  const packet = new Packet(family, bytes);
  decode(packet);
  packet.local = true;
  packet.kernelMade = true;
  return packet;
}

const NONE = new Uint8Array(0);

function checksumAt(protocol: number): number {
  switch (protocol) {
    case Protocol.tcp:
      return 16;
    case Protocol.udp:
      return 6;
    case Protocol.icmp:
    case Protocol.icmpv6:
      return 2;
    default:
      return 0;
  }
}

function wordsOf(family: Family, address: ArrayLike<number>): ArrayLike<number> {
  return family === 4 ? [address[0]!, 0, 0, 0] : address;
}

/** The fields of a TCP segment without data. */
export interface SegmentFields {
  sourcePort: number;
  destinationPort: number;
  sequence: number;
  acknowledgement: number;
  /** FIN 1, SYN 2, RST 4, PSH 8, ACK 16. */
  flags: number;
  window?: number;
  options?: Uint8Array;
}

/** A TCP segment without data; the checksum is left to `compose`. */
export function segment(fields: SegmentFields): Uint8Array {
  const options = fields.options ?? NONE;
  const bytes = new Uint8Array(20 + options.length);
  writeUint16(bytes, 0, fields.sourcePort);
  writeUint16(bytes, 2, fields.destinationPort);
  writeUint32(bytes, 4, fields.sequence);
  writeUint32(bytes, 8, fields.acknowledgement);
  bytes[12] = (bytes.length >>> 2) << 4;
  bytes[13] = fields.flags;
  writeUint16(bytes, 14, fields.window ?? 0);
  bytes.set(options, 20);
  return bytes;
}
