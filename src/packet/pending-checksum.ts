import { readUint16, writeUint16 } from './bytes.ts';
import { foldSum, sumWords } from './checksum.ts';
import type { Packet } from './packet.ts';
import { checksumOffset } from './rewrite.ts';

/** Where the checksum of a packet stands that is left to the device; -1 if there is none such. */
function pendingField(packet: Packet): number {
  if (!packet.checksumPending) return -1;
  const offset = checksumOffset(packet.family, packet.protocol);
  const field = packet.transport + offset;
  return offset < 0 || field + 2 > packet.bytes.length ? -1 : field;
}

/**
 * What stands in the field meanwhile (CHECKSUM_PARTIAL): the sum of the pseudo header. It is what is missing from the sum of the segment, so it
 * stays where a rule has changed an address behind its back.
 */
function pseudoSum({ bytes, transport, holdsPseudoSum }: Packet, field: number): number {
  const checksum = readUint16(bytes, field);
  if (holdsPseudoSum) return checksum;
  const rest = foldSum(sumWords(bytes, transport, bytes.length) - checksum);
  return foldSum((~checksum & 0xffff) + (~rest & 0xffff)) || 0xffff;
}

/** The bytes as they lie in the kernel's memory: instead of a checksum that is left to the device there is the sum of the pseudo header. */
export function bytesInMemory(packet: Packet): Uint8Array {
  const field = pendingField(packet);
  if (field < 0) return packet.bytes;
  const bytes = packet.bytes.slice();
  writeUint16(bytes, field, pseudoSum(packet, field));
  return bytes;
}

/** The same for a packet that no device will ever send: its bytes are changed. */
export function leaveChecksumPending(packet: Packet): void {
  const field = pendingField(packet);
  if (field < 0) return;
  writeUint16(packet.bytes, field, pseudoSum(packet, field));
  packet.holdsPseudoSum = true;
}

/** What the device, or the kernel before it cuts the packet into pieces, does about such a checksum (skb_checksum_help): from now on it is a real one. */
export function completeChecksum(packet: Packet): void {
  const field = pendingField(packet);
  packet.checksumPending = false;
  if (field < 0) return;
  const { bytes, transport } = packet;
  const sum = packet.holdsPseudoSum
    ? ~foldSum(sumWords(bytes, transport, bytes.length)) & 0xffff
    : readUint16(bytes, field);
  // Of the two forms of zero it is never that which means "none" in UDP (CSUM_MANGLED_0).
  writeUint16(bytes, field, sum || 0xffff);
  packet.holdsPseudoSum = false;
}
