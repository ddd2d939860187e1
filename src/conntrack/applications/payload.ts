import { readUint32, writeUint16 } from '../../packet/bytes.ts';
import { transportChecksum } from '../../packet/checksum.ts';
import { Protocol } from '../../packet/protocol.ts';
import { resize } from '../../packet/rewrite.ts';
import { addShift } from '../sequence.ts';
import type { Sighting } from './application.ts';

/** Where the data of a TCP segment begins; -1 if there is none. */
export function tcpData(sighting: Sighting): number {
  const { bytes, transport } = sighting.packet;
  if (transport + 20 > bytes.length) return -1;
  const data = transport + (bytes[transport + 12]! >>> 4) * 4;
  return data < bytes.length ? data : -1;
}

/** Bytes as a string of characters 0 to 255. */
export function latin1(bytes: Uint8Array, start: number, end = bytes.length): string {
  let text = '';
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}

/**
 * Puts `text` in place of `length` bytes of the packet from `start` on, mends lengths and checksums, and notes for TCP by how much
 * later sequence numbers shift (nf_nat_mangle_tcp_packet, nf_nat_mangle_udp_packet), unless the caller does. False if the packet would be too large.
 */
export function replacePayload(
  sighting: Sighting,
  start: number,
  length: number,
  text: string,
  noteShift = true,
): boolean {
  const { packet, entry, direction, conntrack } = sighting;
  const { transport } = packet;
  // By the connection's protocol: a helper gets to see ICMP errors about its connection too, and takes them for its own.
  const { protocol } = entry;
  const grown = text.length - length;
  if (packet.bytes.length + grown > 0xffff) return false;
  const tail = packet.bytes.slice(start + length);
  resize(packet, packet.bytes.length + grown);
  const { bytes } = packet;
  for (let i = 0; i < text.length; i++) bytes[start + i] = text.charCodeAt(i);
  bytes.set(tail, start + text.length);
  if (protocol === Protocol.udp) {
    writeUint16(bytes, transport + 4, bytes.length - transport);
    if (bytes[transport + 6] === 0 && bytes[transport + 7] === 0) return true;
  }
  const field = transport + (protocol === Protocol.udp ? 6 : 16);
  writeUint16(bytes, field, 0);
  const sum = transportChecksum(bytes, transport, bytes.length, packet.src, packet.dst, protocol);
  writeUint16(bytes, field, sum === 0 && protocol === Protocol.udp ? 0xffff : sum);
  // From now on the sum is the device's business (nf_nat_csum_recalc).
  packet.checksumPending = true;
  packet.holdsPseudoSum = false;
  if (protocol === Protocol.tcp && noteShift) {
    addShift(entry, conntrack.sidelines, direction, readUint32(bytes, transport + 4), grown);
  }
  return true;
}
