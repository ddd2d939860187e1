import { readUint16, readUint32 } from './bytes.ts';
import { type Packet, Summed } from './packet.ts';
import { Protocol } from './protocol.ts';

/**
 * Adds the big-endian 16-bit words of `bytes[start..end)` to `initial` (an odd last byte counts as the upper half
 * of a word). The result is not folded; it stays below 2^32 for everything that fits an IP packet.
 */
export function sumWords(bytes: Uint8Array, start: number, end: number, initial = 0): number {
  let sum = initial;
  let i = start;
  for (const last = end - 7; i < last; i += 8) {
    sum +=
      ((bytes[i]! + bytes[i + 2]! + bytes[i + 4]! + bytes[i + 6]!) << 8) +
      bytes[i + 1]! +
      bytes[i + 3]! +
      bytes[i + 5]! +
      bytes[i + 7]!;
  }
  for (; i + 1 < end; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  if (i < end) sum += bytes[i]! << 8;
  return sum;
}

/** Folds a sum (below 2^32) to 16 bits with end-around carry (RFC 1071). */
export function foldSum(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** The Internet checksum of a range, RFC 1071. */
export function internetChecksum(bytes: Uint8Array, start: number, end: number, initial = 0): number {
  return ~foldSum(sumWords(bytes, start, end, initial)) & 0xffff;
}

/** `checksum` after one 16-bit word under it changed (RFC 1624, as `csum_replace2`). */
export function replaceWord(checksum: number, before: number, after: number): number {
  return ~foldSum((~checksum & 0xffff) + (~before & 0xffff) + after) & 0xffff;
}

/** `checksum` after one 32-bit word under it changed (as `csum_replace4`). */
export function replaceLong(checksum: number, before: number, after: number): number {
  return (
    ~foldSum(
      (~checksum & 0xffff) + (~before & 0xffff) + (~(before >>> 16) & 0xffff) + (after & 0xffff) + (after >>> 16),
    ) & 0xffff
  );
}

/** Sum of a pseudo header (RFC 793, RFC 8200 8.1) whose addresses are the 32-bit words given. */
export function pseudoHeaderSum(
  src: ArrayLike<number>,
  dst: ArrayLike<number>,
  protocol: number,
  length: number,
): number {
  let sum = protocol + (length & 0xffff) + (length >>> 16);
  for (let i = 0; i < 4; i++) {
    const s = src[i]!;
    const d = dst[i]!;
    sum += (s >>> 16) + (s & 0xffff) + (d >>> 16) + (d & 0xffff);
  }
  return sum;
}

function wordSum(word: number): number {
  return (word >>> 16) + (word & 0xffff);
}

/** Full checksum of a transport segment `bytes[start..end)` with its pseudo header; the checksum field must hold 0. */
export function transportChecksum(
  bytes: Uint8Array,
  start: number,
  end: number,
  src: ArrayLike<number>,
  dst: ArrayLike<number>,
  protocol: number,
): number {
  return internetChecksum(bytes, start, end, pseudoHeaderSum(src, dst, protocol, end - start));
}

/**
 * Whether the packet's checksum is right as `nf_checksum` asks it (net/netfilter/utils.c): in IPv6 always with a pseudo header of the length that is
 * there, in IPv4 only for TCP and UDP; any other protocol is summed without. The IPv4 header is summed as well, and spoils it where
 * its own checksum is wrong (options that were filled in on the way). The caller deals with a UDP checksum of 0, and with SCTP.
 */
export function checksumHolds(packet: Packet, protocol: number = packet.protocol): boolean {
  const { bytes, transport } = packet;
  const { length } = bytes;
  if (packet.family === 6) {
    const initial = pseudoHeaderSum(packet.src, packet.dst, protocol, length - transport);
    return foldSum(sumWords(bytes, transport, length, initial)) === 0xffff;
  }
  const pseudo = protocol === Protocol.tcp || protocol === Protocol.udp;
  const initial = pseudo ? wordSum(packet.src[0]!) + wordSum(packet.dst[0]!) + protocol + length - transport : 0;
  return foldSum(sumWords(bytes, 0, length, initial)) === 0xffff;
}

/** Whether the checksum of the segment behind the IP header is right, as the protocol itself asks it (ICMP of IPv4 has no pseudo header). */
export function segmentChecksumHolds(packet: Packet, protocol: number = packet.protocol): boolean {
  const { bytes, transport } = packet;
  const initial =
    protocol === Protocol.icmp ? 0 : pseudoHeaderSum(packet.src, packet.dst, protocol, bytes.length - transport);
  return foldSum(sumWords(bytes, transport, bytes.length, initial)) === 0xffff;
}

/** The same over only the first `coverage` bytes of the segment (`nf_checksum_partial`; UDPlite, DCCP). */
export function partialChecksumHolds(packet: Packet, coverage: number, protocol: number = packet.protocol): boolean {
  const { bytes, transport } = packet;
  const sum = pseudoHeaderSum(packet.src, packet.dst, protocol, bytes.length - transport);
  return foldSum(sumWords(bytes, transport, transport + coverage, sum)) === 0xffff;
}

/** Whether the checksum of the IPv4 header at `offset` is right. */
export function ipv4HeaderChecksumHolds(bytes: Uint8Array, offset = 0): boolean {
  const length = (bytes[offset]! & 15) * 4;
  return foldSum(sumWords(bytes, offset, offset + length)) === 0xffff;
}

const CRC32C = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  let value = i;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  CRC32C[i] = value;
}

function crcStep(crc: number, byte: number): number {
  return CRC32C[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
}

/** CRC32c of an SCTP packet (RFC 9260 appendix A) with its checksum field (bytes 8 to 11) taken as 0, as stored: first byte is the lowest. */
export function sctpChecksum(bytes: Uint8Array, start: number, end: number): number {
  let crc = ~0;
  for (let i = start; i < end; i++) crc = crcStep(crc, i - start >= 8 && i - start < 12 ? 0 : bytes[i]!);
  crc = ~crc;
  return (((crc & 0xff) << 24) | ((crc & 0xff00) << 8) | ((crc >>> 8) & 0xff00) | ((crc >>> 24) & 0xff)) >>> 0;
}

/** Whether the CRC32c of the SCTP packet at `start` is right. */
export function sctpChecksumHolds(bytes: Uint8Array, start: number, end: number): boolean {
  const stored = (readUint16(bytes, start + 8) * 0x10000 + readUint16(bytes, start + 10)) >>> 0;
  return sctpChecksum(bytes, start, end) === stored;
}

/** The parts of an IPv6 header that rules change without the sum's knowing. */
export function summedHeader({ bytes }: Packet): number {
  return readUint32(bytes, 0) * 256 + bytes[7]!;
}

/** A packet that is forwarded: its sum is no longer known (`skb_forward_csum`). */
export function forgetSum(packet: Packet): void {
  if (packet.summed === Summed.complete) packet.summed = Summed.no;
}

/** Whether the sum by which the checksum was found right (`Packet.summedHeader`) no longer fits the IPv6 header. */
export function headerChanged(packet: Packet): boolean {
  return packet.summedHeader >= 0 && packet.summedHeader !== summedHeader(packet);
}

/**
 * Whether the checksum of the content is right, or was found so before: on the way in as long as the header still fits, and from then on always
 * (nf_ip_checksum, nf_ip6_checksum). `arriving`: in PREROUTING or INPUT.
 */
export function sumHolds(packet: Packet, arriving: boolean, protocol: number): boolean {
  if (packet.summed === Summed.unnecessary) return true;
  if (packet.summed === Summed.complete) {
    if (!arriving) return true;
    if (!headerChanged(packet)) {
      packet.summed = Summed.unnecessary;
      return true;
    }
  }
  packet.verified = checksumHolds(packet, protocol);
  packet.summed = packet.verified ? Summed.complete : Summed.no;
  if (packet.family === 6) packet.summedHeader = summedHeader(packet);
  return packet.verified;
}
