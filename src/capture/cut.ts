import { readUint16, writeUint16 } from '../packet/bytes.ts';
import { internetChecksum, transportChecksum } from '../packet/checksum.ts';
import { decode } from '../packet/decode.ts';
import { Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';

/** Where the checksum stands in the transport header. */
const CHECKSUM_AT: ReadonlyMap<number, number> = new Map([
  [Protocol.tcp, 16],
  [Protocol.udp, 6],
  [Protocol.icmp, 2],
  [Protocol.icmpv6, 2],
]);

/**
 * Fills up a packet of which the capture kept only the beginning (snap length): zeros for what is missing, and a transport checksum
 * that fits them, as the packet on the wire had a right one.
 *
 * @param bytes from the IP header, as far as they were kept
 * @param missing how many bytes the capture left away
 * @returns the whole packet, or null if nothing of it is missing (or its header is cut)
 */
export function fillUp(bytes: Uint8Array, missing: number): Uint8Array | null {
  const version = (bytes[0] ?? 0) >> 4;
  if (bytes.length < (version === 6 ? 40 : 20)) return null;
  const length = version === 6 ? 40 + readUint16(bytes, 4) : readUint16(bytes, 2);
  if (length <= bytes.length || length > bytes.length + missing) return null;
  const whole = new Uint8Array(length);
  whole.set(bytes);
  const packet = new Packet(version === 6 ? 6 : 4, whole);
  decode(packet);
  const { protocol, transport, fragmentOffset, moreFragments } = packet;
  const at = CHECKSUM_AT.get(protocol);
  if (at === undefined || fragmentOffset > 0 || moreFragments || transport + at + 2 > length) return whole;
  const field = transport + at;
  // A UDP checksum of 0 is none.
  if (protocol === Protocol.udp && field + 2 <= bytes.length && readUint16(whole, field) === 0) return whole;
  writeUint16(whole, field, 0);
  const sum =
    protocol === Protocol.icmp
      ? internetChecksum(whole, transport, length)
      : transportChecksum(whole, transport, length, packet.src, packet.dst, protocol);
  writeUint16(whole, field, sum === 0 && protocol === Protocol.udp ? 0xffff : sum);
  return whole;
}
