/** ICMP and ICMPv6 errors as the kernel makes them (`icmp_send`, `icmp6_send`), and when none may be sent. */
import { writeUint16, writeUint32 } from './bytes.ts';
import { checksumHolds, internetChecksum, transportChecksum } from './checksum.ts';
import { isExtensionHeader } from './decode.ts';
import type { AddressWords } from './family.ts';
import { buildIpv4 } from './ipv4.ts';
import { buildIpv6 } from './ipv6.ts';
import { type Packet, PacketType } from './packet.ts';
import { Protocol } from './protocol.ts';
import { tosOf } from './rewrite.ts';

/** ICMP types that are errors (`icmp_pointers[].error`). */
export function isIcmpError(type: number): boolean {
  return type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
}

/** Largest ICMP type the kernel knows (`NR_ICMP_TYPES`). */
const LAST_ICMP_TYPE = 18;

/** An IPv4 or ICMP error to be made. */
export interface IcmpError {
  type: number;
  code: number;
  /** The second word: MTU, pointer (IPv4: in its upper byte), gateway. */
  info: number;
}

/**
 * Whether the packet may be answered with an ICMP error: not if it came in a broadcast or multicast frame or was routed as such (`group`), not
 * for a later fragment, not for an ICMP error or an ICMP message of unknown type.
 */
export function mayAnswerWithError4(packet: Packet, group: boolean): boolean {
  const { bytes, transport } = packet;
  if (packet.packetType !== PacketType.host && packet.packetType !== PacketType.loopback && !packet.local) return false;
  if (group || packet.fragmentOffset !== 0) return false;
  if (packet.protocol === Protocol.icmp) {
    const type = bytes[transport];
    if (type === undefined || type > LAST_ICMP_TYPE || isIcmpError(type)) return false;
  }
  return true;
}

/**
 * The same for IPv6: no answer to an unspecified or multicast source, to an ICMPv6 error, nor to a multicast destination or frame
 * but for `packet too big` and for unknown options that ask for it.
 */
export function mayAnswerWithError6(packet: Packet, error: IcmpError): boolean {
  const { src, dst, bytes } = packet;
  const frame = packet.packetType === PacketType.host || packet.packetType === PacketType.loopback || packet.local;
  if (dst[0]! >>> 24 === 0xff || !frame) {
    const unknownOption = error.type === 4 && error.code === 2 && bytes[error.info]! >>> 6 === 2;
    if (error.type !== 2 && !unknownOption) return false;
  }
  if ((src[0]! | src[1]! | src[2]! | src[3]!) === 0 || src[0]! >>> 24 === 0xff) return false;
  if (packet.protocol !== Protocol.icmpv6) return true;
  if (packet.transport >= bytes.length) return packet.fragmentOffset !== 0;
  return (bytes[packet.transport]! & 0x80) !== 0;
}

/**
 * Whether REJECT answers as far as the transport checksum goes (`nf_reject_verify_csum`, `nf_ip_checksum`): packets with a wrong one
 * get nothing; protocols without a checksum over all of the payload are not checked. `local`: the machine's own packets, whose
 * checksum is not filled in yet, are not checked either.
 */
export function rejectChecksumHolds(packet: Packet): boolean {
  if (packet.local) return true;
  const { protocol, bytes, transport } = packet;
  if (packet.family === 6 && (protocol < 0 || transport >= bytes.length || packet.fragmentOffset !== 0)) return false;
  switch (protocol) {
    case Protocol.ah:
    case Protocol.esp:
    case Protocol.sctp:
    case Protocol.udplite:
    case Protocol.dccp:
    case Protocol.gre:
      return true;
    case Protocol.udp:
      if (transport + 8 <= bytes.length && bytes[transport + 6] === 0 && bytes[transport + 7] === 0) return true;
  }
  return checksumHolds(packet);
}

export interface IcmpErrorOptions {
  source: ArrayLike<number>;
  /** MTU of the way back; at most 576 (IPv6: 1280) bytes are sent. */
  mtu?: number;
  ttl?: number;
  /** IPv4 identification. */
  identification?: number;
}

/** Bytes of an ICMP message: type, code, checksum, second word, payload. */
function message(error: IcmpError, payload: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(8 + length);
  bytes[0] = error.type;
  bytes[1] = error.code;
  writeUint32(bytes, 4, error.info);
  bytes.set(payload.subarray(0, length), 8);
  return bytes;
}

/**
 * The ICMP error in answer to an IPv4 packet: quotes as much as fits in 576 bytes (or the MTU back), TOS
 * `(tos & 0x1e) | 0xc0`, DF off. It does not copy IP options of the packet.
 */
export function buildIcmpError4(packet: Packet, error: IcmpError, options: IcmpErrorOptions): Uint8Array {
  const room = Math.min(options.mtu ?? 576, 576) - 28;
  const icmp = message(error, packet.bytes, Math.min(packet.bytes.length, room));
  writeUint16(icmp, 2, internetChecksum(icmp, 0, icmp.length));
  return buildIpv4(
    {
      tos: (tosOf(packet) & 0x1e) | 0xc0,
      identification: options.identification ?? 0,
      ttl: options.ttl ?? 64,
      protocol: Protocol.icmp,
      source: options.source[0]!,
      destination: packet.src[0]!,
    },
    icmp,
  );
}

/** The ICMPv6 error in answer to an IPv6 packet: quotes as much as fits in 1280 bytes, traffic class 0. */
export function buildIcmpError6(packet: Packet, error: IcmpError, options: IcmpErrorOptions): Uint8Array {
  const icmp = message(error, packet.bytes, Math.min(packet.bytes.length, 1280 - 48));
  const destination = Array.from(packet.src) as unknown as AddressWords;
  writeUint16(icmp, 2, transportChecksum(icmp, 0, icmp.length, options.source, destination, Protocol.icmpv6));
  return buildIpv6(
    { hopLimit: options.ttl ?? 64, nextHeader: Protocol.icmpv6, source: options.source, destination },
    icmp,
  );
}

/**
 * Where the pointer of `parameter problem, unrecognized next header` goes for a packet whose transport protocol the machine does not know: the
 * offset of the next-header field that names it.
 */
export function nextHeaderOffset6(packet: Packet): number {
  const { bytes } = packet;
  let field = 6;
  let offset = 40;
  let next = bytes[6]!;
  while (isExtensionHeader(next) && next !== Protocol.noNextHeader && offset + 2 <= bytes.length) {
    field = offset;
    const length =
      next === Protocol.fragment
        ? 8
        : next === Protocol.ah
          ? (bytes[offset + 1]! + 2) << 2
          : (bytes[offset + 1]! + 1) << 3;
    next = bytes[offset]!;
    offset += length;
  }
  return field;
}
