import { readUint16, writeUint16, writeUint32 } from '../bytes.ts';
import { internetChecksum, sctpChecksum, transportChecksum } from '../checksum.ts';
import { buildIpv4 } from '../ipv4.ts';
import { buildFragmentHeader, buildIpv6 } from '../ipv6.ts';
import { Protocol } from '../protocol.ts';
import { buildTcp } from '../tcp.ts';
import type { ExtensionHeader, PacketDescription, WrongChecksum } from './description.ts';

/** What fields have that a description does not name. */
export const DEFAULTS = {
  ttl: 64,
  sourcePort: 40000,
  destinationPort: 80,
  destinationPortUdp: 53,
  tcpFlags: 2,
  sequence: 1,
  window: 64240,
  spi: 256,
} as const;

const SYN = 2;
const ACK = 16;

/** The bytes of a described packet from its IP header on; lengths and checksums are right unless it says otherwise. */
export function buildPacket(packet: PacketDescription): Uint8Array {
  if (packet.raw !== undefined) return packet.raw.slice();
  const transport = packet.fragmentOffset ? (packet.payload ?? EMPTY).slice() : buildTransport(packet);
  return packet.family === 4 ? ipv4(packet, transport) : ipv6(packet, transport);
}

const EMPTY = new Uint8Array(0);

function ipv4(packet: PacketDescription, payload: Uint8Array): Uint8Array {
  const bytes = buildIpv4(
    {
      ...packet,
      source: packet.source[0],
      destination: packet.destination[0],
      identification: packet.ipId,
      ttl: packet.ttl ?? DEFAULTS.ttl,
      options: padded(packet.ipOptions ?? EMPTY, 0),
    },
    payload,
  );
  if (packet.ipChecksum !== undefined) writeUint16(bytes, 10, chosen(packet.ipChecksum, readUint16(bytes, 10)));
  return bytes;
}

function ipv6(packet: PacketDescription, payload: Uint8Array): Uint8Array {
  const extensions = extensionsOf(packet);
  const length = extensions.reduce((sum, extension) => sum + 1 + extension.body.length, payload.length);
  const behind = new Uint8Array(length);
  let at = 0;
  extensions.forEach((extension, index) => {
    behind[at] = extensions[index + 1]?.kind ?? packet.protocol;
    behind.set(extension.body, at + 1);
    at += 1 + extension.body.length;
  });
  behind.set(payload, at);
  return buildIpv6(
    {
      ...packet,
      nextHeader: extensions[0]?.kind ?? packet.protocol,
      trafficClass: packet.tos,
      hopLimit: packet.ttl ?? DEFAULTS.ttl,
      payloadLength: packet.totalLength,
    },
    behind,
  );
}

/** The extension headers as they are written: a fragment header has its fields, and is there if they are. */
function extensionsOf(packet: PacketDescription): ExtensionHeader[] {
  const isFragment =
    packet.fragmentOffset !== undefined || packet.moreFragments !== undefined || packet.ipId !== undefined;
  const extensions = [...(packet.extensions ?? [])];
  if (!extensions.some((extension) => extension.kind === Protocol.fragment) && isFragment) {
    extensions.push({ kind: Protocol.fragment, body: new Uint8Array(7) });
  }
  return extensions.map((extension) => {
    if (extension.kind !== Protocol.fragment || !isFragment) return extension;
    const header = buildFragmentHeader(0, packet.fragmentOffset ?? 0, packet.moreFragments === true, packet.ipId ?? 0);
    return { kind: extension.kind, body: header.subarray(1) };
  });
}

function buildTransport(packet: PacketDescription): Uint8Array {
  const payload = packet.payload ?? EMPTY;
  switch (packet.protocol) {
    case Protocol.tcp:
      return tcp(packet, payload);
    case Protocol.udp:
    case Protocol.udplite:
      return udp(packet, payload);
    case Protocol.icmp:
    case Protocol.icmpv6:
      return icmp(packet, payload);
    case Protocol.sctp:
      return sctp(packet, payload);
    case Protocol.dccp:
      return dccp(packet, payload);
    case Protocol.esp:
    case Protocol.ah:
      return ipsec(packet, payload);
    default:
      return payload.slice();
  }
}

function writePorts(packet: PacketDescription, bytes: Uint8Array): void {
  const isUdp = packet.protocol === Protocol.udp || packet.protocol === Protocol.udplite;
  writeUint16(bytes, 0, packet.sourcePort ?? DEFAULTS.sourcePort);
  writeUint16(bytes, 2, packet.destinationPort ?? (isUdp ? DEFAULTS.destinationPortUdp : DEFAULTS.destinationPort));
}

function tcp(packet: PacketDescription, payload: Uint8Array): Uint8Array {
  const flags = packet.tcpFlags ?? SYN;
  const bytes = buildTcp(
    {
      sourcePort: packet.sourcePort ?? DEFAULTS.sourcePort,
      destinationPort: packet.destinationPort ?? DEFAULTS.destinationPort,
      sequence: packet.sequence ?? DEFAULTS.sequence,
      acknowledgement: packet.acknowledgement ?? (flags & ACK ? 1 : 0),
      flags,
      window: packet.window ?? DEFAULTS.window,
      urgent: packet.urgent,
      options: padded(packet.tcpOptions ?? EMPTY, 1),
      dataOffset: packet.dataOffset,
    },
    payload,
  );
  writeUint16(bytes, 16, chosen(packet.checksum, pseudoSum(packet, bytes, bytes.length)));
  return bytes;
}

function udp(packet: PacketDescription, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + payload.length);
  writePorts(packet, bytes);
  writeUint16(bytes, 4, packet.udpLength ?? bytes.length);
  bytes.set(payload, 8);
  // UDPlite: the checksum covers so many bytes, 0 for all (RFC 3828).
  const coverage = packet.protocol === Protocol.udplite && packet.udpLength ? packet.udpLength : bytes.length;
  const covered = pseudoSum(packet, bytes, Math.min(coverage, bytes.length));
  writeUint16(bytes, 6, chosen(packet.checksum, covered === 0 ? 0xffff : covered));
  return bytes;
}

function icmp(packet: PacketDescription, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + payload.length);
  bytes[0] = packet.icmpType ?? (packet.protocol === Protocol.icmp ? 8 : 128);
  bytes[1] = packet.icmpCode ?? 0;
  writeUint32(bytes, 4, packet.icmpRest ?? 0);
  bytes.set(payload, 8);
  const right =
    packet.protocol === Protocol.icmp
      ? internetChecksum(bytes, 0, bytes.length)
      : pseudoSum(packet, bytes, bytes.length);
  writeUint16(bytes, 2, chosen(packet.checksum, right));
  return bytes;
}

function sctp(packet: PacketDescription, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + payload.length);
  writePorts(packet, bytes);
  writeUint32(bytes, 4, packet.verificationTag ?? 0);
  bytes.set(payload, 12);
  const right = sctpChecksum(bytes, 0, bytes.length);
  const { checksum } = packet;
  writeUint32(bytes, 8, checksum === 'bad' ? (right ^ SPOILT) >>> 0 : (checksum ?? right));
  return bytes;
}

/** A DCCP request (RFC 4340 5.1: long sequence numbers, type 0) before the payload. */
function dccp(packet: PacketDescription, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(20 + payload.length);
  writePorts(packet, bytes);
  bytes[4] = 5;
  bytes[8] = 1;
  bytes.set(payload, 20);
  writeUint16(bytes, 6, chosen(packet.checksum, pseudoSum(packet, bytes, bytes.length)));
  return bytes;
}

function ipsec(packet: PacketDescription, payload: Uint8Array): Uint8Array {
  const isAh = packet.protocol === Protocol.ah;
  // AH (RFC 4302): no next header, 96 bits of authentication; ESP (RFC 4303): SPI and sequence number.
  const header = isAh ? 24 : 8;
  const bytes = new Uint8Array(header + payload.length);
  if (isAh) {
    bytes[0] = Protocol.noNextHeader;
    bytes[1] = 4;
  }
  writeUint32(bytes, isAh ? 4 : 0, packet.spi ?? DEFAULTS.spi);
  writeUint32(bytes, isAh ? 8 : 4, 1);
  bytes.set(payload, header);
  return bytes;
}

function pseudoSum(packet: PacketDescription, segment: Uint8Array, coverage: number): number {
  // What is not covered counts as zeros.
  const covered = segment.slice();
  covered.fill(0, coverage);
  return transportChecksum(covered, 0, covered.length, packet.source, packet.destination, packet.protocol);
}

const SPOILT = 0x5555;

function chosen(wanted: WrongChecksum | undefined, right: number): number {
  return wanted === 'bad' ? right ^ SPOILT : (wanted ?? right) & 0xffff;
}

/** Options filled up to whole words: with NOP (1) or end of list (0). */
function padded(options: Uint8Array, filler: number): Uint8Array {
  const bytes = new Uint8Array((options.length + 3) & ~3).fill(filler);
  bytes.set(options);
  return bytes;
}
