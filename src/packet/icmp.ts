/** ICMP (RFC 792) and ICMPv6 (RFC 4443): offsets, view, builders. */
import { readUint16, readUint32, writeUint16, writeUint32 } from './bytes.ts';
import { internetChecksum, transportChecksum } from './checksum.ts';
import { Protocol } from './protocol.ts';

export const Icmp = { type: 0, code: 1, checksum: 2, identifier: 4, sequence: 6, headerLength: 8 } as const;

export const IcmpType = {
  echoReply: 0,
  unreachable: 3,
  sourceQuench: 4,
  redirect: 5,
  echo: 8,
  timeExceeded: 11,
  parameterProblem: 12,
  timestamp: 13,
  timestampReply: 14,
  addressMask: 17,
  addressMaskReply: 18,
} as const;

export const Icmp6Type = {
  unreachable: 1,
  packetTooBig: 2,
  timeExceeded: 3,
  parameterProblem: 4,
  echo: 128,
  echoReply: 129,
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighbourSolicitation: 135,
  neighbourAdvertisement: 136,
  redirect: 137,
} as const;

export interface IcmpMessage {
  type: number;
  code: number;
  checksum: number;
  /** The second word: identifier and sequence number, MTU, gateway, pointer. */
  rest: number;
}

/** The first 8 bytes of the message at `offset`; null if they are not all there. */
export function readIcmp(bytes: Uint8Array, offset: number): IcmpMessage | null {
  if (bytes.length < offset + 8) return null;
  return {
    type: bytes[offset]!,
    code: bytes[offset + 1]!,
    checksum: readUint16(bytes, offset + 2),
    rest: readUint32(bytes, offset + 4),
  };
}

function message(header: Partial<IcmpMessage>, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + payload.length);
  bytes[0] = header.type ?? 0;
  bytes[1] = header.code ?? 0;
  writeUint32(bytes, 4, header.rest ?? 0);
  bytes.set(payload, 8);
  return bytes;
}

/** An ICMP message with its checksum (unless given). */
export function buildIcmp(header: Partial<IcmpMessage>, payload: Uint8Array): Uint8Array {
  const bytes = message(header, payload);
  writeUint16(bytes, 2, header.checksum ?? internetChecksum(bytes, 0, bytes.length));
  return bytes;
}

/** An ICMPv6 message with its checksum (unless given). */
export function buildIcmp6(
  header: Partial<IcmpMessage>,
  payload: Uint8Array,
  source: ArrayLike<number>,
  destination: ArrayLike<number>,
): Uint8Array {
  const bytes = message(header, payload);
  writeUint16(
    bytes,
    2,
    header.checksum ?? transportChecksum(bytes, 0, bytes.length, source, destination, Protocol.icmpv6),
  );
  return bytes;
}
