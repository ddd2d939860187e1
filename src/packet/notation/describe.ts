import { readUint16, readUint32 } from '../bytes.ts';
import { isExtensionHeader } from '../decode.ts';
import type { AddressWords, Family } from '../family.ts';
import { Protocol } from '../protocol.ts';
import { buildPacket } from './build.ts';
import type { ExtensionHeader, PacketDescription } from './description.ts';

/**
 * Describes a packet so that `buildPacket` makes the same bytes again. What the notation has no words for
 * (cut-off headers, odd padding) is described as `raw`.
 */
export function describePacket(bytes: Uint8Array): PacketDescription {
  const first = (bytes[0] ?? 0) >> 4;
  const described = first === 4 ? describe4(bytes) : first === 6 ? describe6(bytes) : null;
  if (described !== null) {
    settleChecksums(described, bytes);
    if (sameBytes(buildPacket(described), bytes)) return described;
  }
  const none: AddressWords = [0, 0, 0, 0];
  const family: Family = first === 6 ? 6 : 4;
  return { family, protocol: 0, source: none, destination: none, raw: bytes.slice() };
}

function describe4(bytes: Uint8Array): PacketDescription | null {
  const headerLength = (bytes[0]! & 15) * 4;
  if (headerLength < 20 || bytes.length < headerLength) return null;
  const fragment = readUint16(bytes, 6);
  const packet: PacketDescription = {
    family: 4,
    protocol: bytes[9]!,
    source: [readUint32(bytes, 12), 0, 0, 0],
    destination: [readUint32(bytes, 16), 0, 0, 0],
    ttl: bytes[8]!,
  };
  if (bytes[1] !== 0) packet.tos = bytes[1]!;
  if (readUint16(bytes, 4) !== 0) packet.ipId = readUint16(bytes, 4);
  if (fragment & 0x4000) packet.dontFragment = true;
  if (fragment & 0x2000) packet.moreFragments = true;
  if (fragment & 0x1fff) packet.fragmentOffset = (fragment & 0x1fff) * 8;
  if (readUint16(bytes, 2) !== bytes.length) packet.totalLength = readUint16(bytes, 2);
  if (headerLength > 20) packet.ipOptions = bytes.slice(20, headerLength);
  packet.ipChecksum = readUint16(bytes, 10);
  return describeTransport(packet, bytes, headerLength) ? packet : null;
}

function describe6(bytes: Uint8Array): PacketDescription | null {
  if (bytes.length < 40) return null;
  const address = (at: number): AddressWords => [
    readUint32(bytes, at),
    readUint32(bytes, at + 4),
    readUint32(bytes, at + 8),
    readUint32(bytes, at + 12),
  ];
  const word = readUint32(bytes, 0);
  const packet: PacketDescription = {
    family: 6,
    protocol: bytes[6]!,
    source: address(8),
    destination: address(24),
    ttl: bytes[7]!,
  };
  if ((word >>> 20) & 255) packet.tos = (word >>> 20) & 255;
  if (word & 0xfffff) packet.flowLabel = word & 0xfffff;
  if (readUint16(bytes, 4) !== bytes.length - 40) packet.totalLength = readUint16(bytes, 4);
  const at = describeExtensions(packet, bytes);
  return at >= 0 && describeTransport(packet, bytes, at) ? packet : null;
}

/** Reads the chain of extension headers; offset of what follows it, -1 if it cannot be followed. */
function describeExtensions(packet: PacketDescription, bytes: Uint8Array): number {
  const extensions: ExtensionHeader[] = [];
  let at = 40;
  // AH as the last header before the payload is read as an extension, so that what it protects is described.
  while (isExtensionHeader(packet.protocol) && packet.protocol !== Protocol.noNextHeader) {
    const kind: number = packet.protocol;
    if (at + 8 > bytes.length) return -1;
    const length =
      kind === Protocol.fragment ? 8 : kind === Protocol.ah ? (bytes[at + 1]! + 2) * 4 : (bytes[at + 1]! + 1) * 8;
    if (at + length > bytes.length) return -1;
    extensions.push({ kind, body: bytes.slice(at + 1, at + length) });
    if (kind === Protocol.fragment) {
      const field = readUint16(bytes, at + 2);
      packet.fragmentOffset = field & 0xfff8;
      packet.moreFragments = (field & 1) !== 0;
      packet.ipId = readUint32(bytes, at + 4);
    }
    packet.protocol = bytes[at]!;
    at += length;
    if (packet.fragmentOffset) break;
  }
  // A fragment header at the end is understood from frag, mf and ipid.
  if (extensions.at(-1)?.kind === Protocol.fragment) extensions.pop();
  if (extensions.length > 0) packet.extensions = extensions;
  return at;
}

/** False if the transport header is cut off or otherwise not as the builder makes it. */
function describeTransport(packet: PacketDescription, bytes: Uint8Array, at: number): boolean {
  const length = bytes.length - at;
  const payload = (from: number): boolean => {
    if (from > bytes.length) return false;
    if (from < bytes.length) packet.payload = bytes.slice(from);
    return true;
  };
  if (packet.fragmentOffset) return payload(at);
  switch (packet.protocol) {
    case Protocol.tcp: {
      if (length < 20) return false;
      describePorts(packet, bytes, at);
      packet.tcpFlags = bytes[at + 13]!;
      packet.sequence = readUint32(bytes, at + 4);
      packet.acknowledgement = readUint32(bytes, at + 8);
      packet.window = readUint16(bytes, at + 14);
      packet.checksum = readUint16(bytes, at + 16);
      if (readUint16(bytes, at + 18) !== 0) packet.urgent = readUint16(bytes, at + 18);
      const offset = bytes[at + 12]! >> 4;
      const fits = offset >= 5 && offset * 4 <= length;
      if (!fits) packet.dataOffset = offset;
      else if (offset > 5) packet.tcpOptions = bytes.slice(at + 20, at + offset * 4);
      return payload(at + (fits ? offset * 4 : 20));
    }
    case Protocol.udp:
    case Protocol.udplite:
      if (length < 8) return false;
      describePorts(packet, bytes, at);
      if (readUint16(bytes, at + 4) !== length) packet.udpLength = readUint16(bytes, at + 4);
      packet.checksum = readUint16(bytes, at + 6);
      return payload(at + 8);
    case Protocol.icmp:
    case Protocol.icmpv6:
      if (length < 8) return false;
      packet.icmpType = bytes[at]!;
      packet.icmpCode = bytes[at + 1]!;
      packet.checksum = readUint16(bytes, at + 2);
      packet.icmpRest = readUint32(bytes, at + 4);
      return payload(at + 8);
    case Protocol.sctp:
      if (length < 12) return false;
      describePorts(packet, bytes, at);
      packet.verificationTag = readUint32(bytes, at + 4);
      packet.checksum = readUint32(bytes, at + 8);
      return payload(at + 12);
    case Protocol.dccp:
      if (length < 20) return false;
      describePorts(packet, bytes, at);
      packet.checksum = readUint16(bytes, at + 6);
      return payload(at + 20);
    case Protocol.esp:
      if (length < 8) return false;
      packet.spi = readUint32(bytes, at);
      return payload(at + 8);
    case Protocol.ah:
      if (length < 24) return false;
      packet.spi = readUint32(bytes, at + 4);
      return payload(at + 24);
    default:
      return payload(at);
  }
}

function describePorts(packet: PacketDescription, bytes: Uint8Array, at: number): void {
  packet.sourcePort = readUint16(bytes, at);
  packet.destinationPort = readUint16(bytes, at + 2);
}

/** Checksums that are right need no words; a wrong one that `bad` would make is called so. */
function settleChecksums(packet: PacketDescription, bytes: Uint8Array): void {
  for (const field of ['ipChecksum', 'checksum'] as const) {
    const found = packet[field];
    if (found === undefined) continue;
    delete packet[field];
    if (sameBytes(buildPacket(packet), bytes)) return;
    packet[field] = 'bad';
    if (sameBytes(buildPacket(packet), bytes)) return;
    packet[field] = found;
    if (field === 'checksum') continue;
    // Both may be unusual: keep this one only if it is wrong by itself.
    const rebuilt = buildPacket({ ...packet, ipChecksum: undefined } as PacketDescription);
    if (readUint16(rebuilt, 10) === found) delete packet[field];
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
