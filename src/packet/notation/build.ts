import { writeUint16, writeUint32 } from '../bytes.ts';
import { internetChecksum, sctpChecksum, transportChecksum } from '../checksum.ts';
import { Protocol } from '../protocol.ts';
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
  return packet.family === 4 ? buildIpv4(packet, transport) : buildIpv6(packet, transport);
}

const EMPTY = new Uint8Array(0);

function buildIpv4(packet: PacketDescription, payload: Uint8Array): Uint8Array {
  const options = padded(packet.ipOptions ?? EMPTY, 0);
  const headerLength = 20 + options.length;
  const bytes = new Uint8Array(headerLength + payload.length);
  bytes[0] = ((packet.version ?? 4) << 4) | (packet.headerWords ?? headerLength / 4);
  bytes[1] = packet.tos ?? 0;
  writeUint16(bytes, 2, packet.totalLength ?? bytes.length);
  writeUint16(bytes, 4, packet.ipId ?? 0);
  const fragment = (packet.fragmentOffset ?? 0) >> 3;
  writeUint16(bytes, 6, (packet.dontFragment ? 0x4000 : 0) | (packet.moreFragments ? 0x2000 : 0) | fragment);
  bytes[8] = packet.ttl ?? DEFAULTS.ttl;
  bytes[9] = packet.protocol;
  writeUint32(bytes, 12, packet.source[0]);
  writeUint32(bytes, 16, packet.destination[0]);
  bytes.set(options, 20);
  const right = internetChecksum(bytes, 0, headerLength);
  writeUint16(bytes, 10, chosen(packet.ipChecksum, right));
  bytes.set(payload, headerLength);
  return bytes;
}

function buildIpv6(packet: PacketDescription, payload: Uint8Array): Uint8Array {
  const extensions = extensionsOf(packet);
  const length = extensions.reduce((sum, extension) => sum + 1 + extension.body.length, payload.length);
  const bytes = new Uint8Array(40 + length);
  const word = ((packet.version ?? 6) << 28) | ((packet.tos ?? 0) << 20) | (packet.flowLabel ?? 0);
  writeUint32(bytes, 0, word >>> 0);
  writeUint16(bytes, 4, packet.totalLength ?? length);
  bytes[6] = extensions[0]?.kind ?? packet.protocol;
  bytes[7] = packet.ttl ?? DEFAULTS.ttl;
  for (let i = 0; i < 4; i++) {
    writeUint32(bytes, 8 + 4 * i, packet.source[i]!);
    writeUint32(bytes, 24 + 4 * i, packet.destination[i]!);
  }
  let at = 40;
  extensions.forEach((extension, index) => {
    bytes[at] = extensions[index + 1]?.kind ?? packet.protocol;
    bytes.set(extension.body, at + 1);
    at += 1 + extension.body.length;
  });
  bytes.set(payload, at);
  return bytes;
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
    const body = new Uint8Array(7);
    writeUint16(body, 1, (packet.fragmentOffset ?? 0) | (packet.moreFragments ? 1 : 0));
    writeUint32(body, 3, packet.ipId ?? 0);
    return { kind: extension.kind, body };
  });
}

function buildTransport(packet: PacketDescription): Uint8Array {
  const payload = packet.payload ?? EMPTY;
  switch (packet.protocol) {
    case Protocol.tcp:
      return buildTcp(packet, payload);
    case Protocol.udp:
    case Protocol.udplite:
      return buildUdp(packet, payload);
    case Protocol.icmp:
    case Protocol.icmpv6:
      return buildIcmp(packet, payload);
    case Protocol.sctp:
      return buildSctp(packet, payload);
    case Protocol.dccp:
      return buildDccp(packet, payload);
    case Protocol.esp:
    case Protocol.ah:
      return buildIpsec(packet, payload);
    default:
      return payload.slice();
  }
}

function writePorts(packet: PacketDescription, bytes: Uint8Array): void {
  const isUdp = packet.protocol === Protocol.udp || packet.protocol === Protocol.udplite;
  writeUint16(bytes, 0, packet.sourcePort ?? DEFAULTS.sourcePort);
  writeUint16(bytes, 2, packet.destinationPort ?? (isUdp ? DEFAULTS.destinationPortUdp : DEFAULTS.destinationPort));
}

function buildTcp(packet: PacketDescription, payload: Uint8Array): Uint8Array {
  const options = padded(packet.tcpOptions ?? EMPTY, 1);
  const headerLength = 20 + options.length;
  const bytes = new Uint8Array(headerLength + payload.length);
  const flags = packet.tcpFlags ?? SYN;
  writePorts(packet, bytes);
  writeUint32(bytes, 4, packet.sequence ?? DEFAULTS.sequence);
  writeUint32(bytes, 8, packet.acknowledgement ?? (flags & ACK ? 1 : 0));
  bytes[12] = ((packet.dataOffset ?? headerLength / 4) & 15) << 4;
  bytes[13] = flags;
  writeUint16(bytes, 14, packet.window ?? DEFAULTS.window);
  writeUint16(bytes, 18, packet.urgent ?? 0);
  bytes.set(options, 20);
  bytes.set(payload, headerLength);
  writeUint16(bytes, 16, chosen(packet.checksum, pseudoSum(packet, bytes, bytes.length)));
  return bytes;
}

function buildUdp(packet: PacketDescription, payload: Uint8Array): Uint8Array {
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

function buildIcmp(packet: PacketDescription, payload: Uint8Array): Uint8Array {
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

function buildSctp(packet: PacketDescription, payload: Uint8Array): Uint8Array {
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
function buildDccp(packet: PacketDescription, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(20 + payload.length);
  writePorts(packet, bytes);
  bytes[4] = 5;
  bytes[8] = 1;
  bytes.set(payload, 20);
  writeUint16(bytes, 6, chosen(packet.checksum, pseudoSum(packet, bytes, bytes.length)));
  return bytes;
}

function buildIpsec(packet: PacketDescription, payload: Uint8Array): Uint8Array {
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
