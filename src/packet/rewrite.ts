/**
 * Changes header fields in place with incremental checksum updates (RFC 1624), as the kernel does it, and keeps the
 * decoded fields of `Packet` true. Nothing here allocates, but `resize`.
 */
import { readUint16, readUint32, writeUint16, writeUint32 } from './bytes.ts';
import { internetChecksum, replaceLong, replaceWord, sctpChecksum } from './checksum.ts';
import type { Family } from './family.ts';
import type { Packet } from './packet.ts';
import { Protocol } from './protocol.ts';

/** Sets one 16-bit word of the IPv4 header at `ip` and mends the header checksum. */
export function setIpv4Word(bytes: Uint8Array, ip: number, offset: number, value: number): void {
  const before = readUint16(bytes, ip + offset);
  if (before === value) return;
  writeUint16(bytes, ip + offset, value);
  writeUint16(bytes, ip + 10, replaceWord(readUint16(bytes, ip + 10), before, value));
}

/** The TOS octet of IPv4, the traffic class of IPv6: DSCP in the upper six bits, ECN in the lower two. */
export function tosOf(packet: Packet): number {
  const { bytes } = packet;
  return packet.family === 4 ? bytes[1]! : ((bytes[0]! << 4) | (bytes[1]! >>> 4)) & 0xff;
}

export function setTos(packet: Packet, tos: number): void {
  const { bytes } = packet;
  if (packet.family === 4) setIpv4Word(bytes, 0, 0, (bytes[0]! << 8) | tos);
  else {
    if (tos !== tosOf(packet)) packet.sharesBytes = false;
    bytes[0] = (bytes[0]! & 0xf0) | (tos >>> 4);
    bytes[1] = (bytes[1]! & 0x0f) | (tos << 4);
  }
}

/** Sets the DSCP (0 to 63) and keeps the ECN bits. */
export function setDscp(packet: Packet, dscp: number): void {
  setTos(packet, (tosOf(packet) & 3) | (dscp << 2));
}

/** Sets the two ECN bits and keeps the DSCP. */
export function setEcn(packet: Packet, ecn: number): void {
  setTos(packet, (tosOf(packet) & 0xfc) | ecn);
}

/** TTL of IPv4, hop limit of IPv6. */
export function ttlOf(packet: Packet): number {
  return packet.family === 4 ? packet.bytes[8]! : packet.bytes[7]!;
}

export function setTtl(packet: Packet, ttl: number): void {
  const { bytes } = packet;
  packet.sharesBytes = false;
  if (packet.family === 4) setIpv4Word(bytes, 0, 8, (ttl << 8) | bytes[9]!);
  else bytes[7] = ttl;
}

/** Sets or clears DF of an IPv4 packet. */
export function setDontFragment(packet: Packet, on: boolean): void {
  const field = readUint16(packet.bytes, 6);
  setIpv4Word(packet.bytes, 0, 6, on ? field | 0x4000 : field & ~0x4000);
}

/** Computes the checksum of an IPv4 header anew. */
export function sumHeader({ bytes, headerLength }: Packet): void {
  writeUint16(bytes, 10, 0);
  writeUint16(bytes, 10, internetChecksum(bytes, 0, headerLength));
}

/** Where a protocol's 16-bit checksum lies in its header; -1 if it has none of that kind. */
export function checksumOffset(family: Family, protocol: number): number {
  switch (protocol) {
    case Protocol.tcp:
      return 16;
    case Protocol.udp:
    case Protocol.udplite:
    case Protocol.dccp:
      return 6;
    case Protocol.icmp:
      return family === 4 ? 2 : -1;
    case Protocol.icmpv6:
      return family === 6 ? 2 : -1;
    default:
      return -1;
  }
}

/** True if the pseudo header, and with it the addresses, is part of the protocol's checksum. */
function coversAddresses(protocol: number): boolean {
  return protocol !== Protocol.icmp;
}

/** Stores a changed checksum: a UDP checksum that is in use is never written as 0. */
function storeChecksum(bytes: Uint8Array, at: number, protocol: number, value: number): void {
  const udp = protocol === Protocol.udp || protocol === Protocol.udplite;
  writeUint16(bytes, at, value === 0 && udp ? 0xffff : value);
}

/**
 * Sets the 16-bit word at `offset` (even) of the packet's transport header or payload, and mends the checksum. A UDP checksum of 0
 * (not used) stays 0; SCTP gets a new CRC. Later fragments have no transport header: callers ask first.
 */
export function setTransportWord(packet: Packet, offset: number, value: number): void {
  const { bytes, transport } = packet;
  const at = transport + offset;
  const before = readUint16(bytes, at);
  if (before === value) return;
  writeUint16(bytes, at, value);
  mendTransport(packet, before, value);
}

/** Sets one byte at any offset of the transport header or payload. */
export function setTransportByte(packet: Packet, offset: number, value: number): void {
  const { bytes, transport } = packet;
  const at = transport + offset;
  const before = bytes[at]!;
  bytes[at] = value;
  // A word's upper byte at even offsets; a last odd byte is summed as if a zero followed it.
  const shift = offset & 1 ? 0 : 8;
  mendTransport(packet, before << shift, value << shift);
}

/** Mends the transport checksum after a word of the segment changed. */
function mendTransport(packet: Packet, before: number, after: number): void {
  const { bytes, transport, protocol } = packet;
  if (protocol === Protocol.sctp) {
    if (transport + 12 <= bytes.length) writeUint32(bytes, transport + 8, sctpChecksum(bytes, transport, bytes.length));
    return;
  }
  const field = checksumOffset(packet.family, protocol);
  if (field < 0 || transport + field + 2 > bytes.length) return;
  const checksum = readUint16(bytes, transport + field);
  if (checksum === 0 && protocol === Protocol.udp) return;
  storeChecksum(bytes, transport + field, protocol, replaceWord(checksum, before, after));
}

/** Which end of a packet a rewriting changes (`enum nf_nat_manip_type`). */
export type End = 'source' | 'destination';

/** Byte offset of an end's address from the start of the IP header. */
export function addressOffset(family: Family, end: End): number {
  if (family === 4) return end === 'source' ? 12 : 16;
  return end === 'source' ? 8 : 24;
}

/** Changes an address of the IP header at `ip` (IPv4 with its checksum); transport checksums stay as they are. */
export function writeAddress(
  bytes: Uint8Array,
  family: Family,
  ip: number,
  end: End,
  address: ArrayLike<number>,
): void {
  const at = ip + addressOffset(family, end);
  if (family === 6) {
    for (let i = 0; i < 4; i++) writeUint32(bytes, at + 4 * i, address[i]!);
    return;
  }
  const before = readUint32(bytes, at);
  const after = address[0]!;
  if (before === after) return;
  writeUint32(bytes, at, after);
  writeUint16(bytes, ip + 10, replaceLong(readUint16(bytes, ip + 10), before, after));
}

/** `checksum` after an end's address in the header at `ip` is replaced by `address`. */
function checksumForAddress(
  checksum: number,
  bytes: Uint8Array,
  family: Family,
  ip: number,
  end: End,
  address: ArrayLike<number>,
): number {
  const at = ip + addressOffset(family, end);
  if (family === 4) return replaceLong(checksum, readUint32(bytes, at), address[0]!);
  let sum = checksum;
  for (let i = 0; i < 4; i++) sum = replaceLong(sum, readUint32(bytes, at + 4 * i), address[i]!);
  return sum;
}

/**
 * Changes one end of the packet whose IP header is at `ip` and whose transport header is at `transport` (of the whole packet or of the
 * one quoted in an ICMP error), as `nf_nat_manip_pkt` does: `address` in the IP header, `port` (port, ICMP identifier, PPTP call id; -1: as
 * it is) in the transport header, checksums mended as far as the header is there. `bytesEnd` is where the packet ends.
 * False if the transport header is too short for it; the packet is then unchanged.
 */
export function rewriteEnd(
  bytes: Uint8Array,
  family: Family,
  ip: number,
  transport: number,
  bytesEnd: number,
  protocol: number,
  end: End,
  address: ArrayLike<number>,
  port: number,
): boolean {
  if (!rewriteTransport(bytes, family, ip, transport, bytesEnd, protocol, end, address, port)) return false;
  writeAddress(bytes, family, ip, end, address);
  return true;
}

function rewriteTransport(
  bytes: Uint8Array,
  family: Family,
  ip: number,
  transport: number,
  bytesEnd: number,
  protocol: number,
  end: End,
  address: ArrayLike<number>,
  port: number,
): boolean {
  const length = bytesEnd - transport;
  switch (protocol) {
    case Protocol.tcp:
    case Protocol.udp:
    case Protocol.udplite: {
      if (length < 8) return false;
      const field = checksumOffset(family, protocol);
      const at = transport + (end === 'source' ? 0 : 2);
      const before = readUint16(bytes, at);
      if (port >= 0) writeUint16(bytes, at, port);
      // A packet quoted by an ICMP error may end before the checksum.
      if (length < (protocol === Protocol.tcp ? 20 : 8)) return true;
      let checksum = readUint16(bytes, transport + field);
      if (protocol === Protocol.udp && checksum === 0) return true;
      checksum = checksumForAddress(checksum, bytes, family, ip, end, address);
      if (port >= 0) checksum = replaceWord(checksum, before, port);
      storeChecksum(bytes, transport + field, protocol, checksum);
      return true;
    }
    case Protocol.sctp:
      if (length < 8) return false;
      if (port >= 0) writeUint16(bytes, transport + (end === 'source' ? 0 : 2), port);
      if (length >= 12) writeUint32(bytes, transport + 8, sctpChecksum(bytes, transport, bytesEnd));
      return true;
    case Protocol.icmp:
    case Protocol.icmpv6: {
      if (length < 8) return false;
      if ((protocol === Protocol.icmp) !== (family === 4)) return true;
      let checksum = readUint16(bytes, transport + 2);
      if (coversAddresses(protocol)) checksum = checksumForAddress(checksum, bytes, family, ip, end, address);
      if (port >= 0 && hasIdentifier(family, bytes[transport]!)) {
        checksum = replaceWord(checksum, readUint16(bytes, transport + 4), port);
        writeUint16(bytes, transport + 4, port);
      }
      writeUint16(bytes, transport + 2, checksum);
      return true;
    }
    case Protocol.gre:
      if (length < 4) return false;
      // Only PPTP's GRE (version 1) has a call id, and only the destination's is in the packet.
      if (end === 'destination') {
        const version = bytes[transport + 1]! & 7;
        // Versions that nobody knows are not translated, and so dropped (gre_manip_pkt).
        if (version > 1) return false;
        if (version === 1 && port >= 0) {
          if (length < 8) return false;
          writeUint16(bytes, transport + 6, port);
        }
      }
      return true;
    default:
      return true;
  }
}

/** ICMP types with an identifier (queries and their answers). */
function hasIdentifier(family: Family, type: number): boolean {
  if (family === 6) return type === 128 || type === 129;
  return type === 0 || type === 8 || (type >= 13 && type <= 18);
}

/** Changes an end of the packet itself: address, and port or identifier unless `port` is -1. A later fragment gets only the address. */
export function setEnd(packet: Packet, end: End, address: ArrayLike<number>, port = -1): boolean {
  const { bytes, family, transport } = packet;
  packet.sharesBytes = false;
  if (packet.fragmentOffset !== 0 || packet.protocol < 0) writeAddress(bytes, family, 0, end, address);
  else if (!rewriteEnd(bytes, family, 0, transport, bytes.length, packet.protocol, end, address, port)) return false;
  keepAddress(packet, end, address);
  return true;
}

/** Changes an address in the IP header alone; the transport checksum stays as it is. */
export function setAddressOnly(packet: Packet, end: End, address: ArrayLike<number>): void {
  writeAddress(packet.bytes, packet.family, 0, end, address);
  keepAddress(packet, end, address);
}

function keepAddress(packet: Packet, end: End, address: ArrayLike<number>): void {
  const words = end === 'source' ? packet.src : packet.dst;
  for (let i = 0; i < 4; i++) words[i] = address[i]!;
}

/**
 * Gives the packet a new length: its bytes are copied to a new buffer (cut, or followed by zeros), the IP length fields and the IPv4
 * header checksum follow; one that came in fragments is cut anew when it leaves. Transport lengths and checksums are the caller's.
 */
export function resize(packet: Packet, length: number): void {
  const bytes = new Uint8Array(length);
  bytes.set(length < packet.bytes.length ? packet.bytes.subarray(0, length) : packet.bytes);
  packet.bytes = bytes;
  packet.sharesBytes = false;
  packet.fragmentSizes = null;
  if (packet.family === 4) setIpv4Word(bytes, 0, 2, length);
  else writeUint16(bytes, 4, length - 40);
}
