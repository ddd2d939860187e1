import { readUint16 } from '../../packet/bytes.ts';
import { ipv4HeaderChecksumHolds } from '../../packet/checksum.ts';
import { decode } from '../../packet/decode.ts';
import type { Packet } from '../../packet/packet.ts';

/** The checks of ip_rcv; cuts off what follows the total length and decodes. null: all is well, else what is wrong. */
export function checkIpv4(packet: Packet): string | null {
  const { bytes } = packet;
  if (bytes.length < 20) return 'shorter than an IP header';
  const header = (bytes[0]! & 15) * 4;
  if (bytes[0]! >>> 4 !== 4 || header < 20) return 'version or header length is wrong';
  if (bytes.length < header) return 'shorter than its IP header says';
  if (!ipv4HeaderChecksumHolds(bytes)) return 'wrong IP header checksum';
  const total = readUint16(bytes, 2);
  if (bytes.length < total) return 'shorter than its total length says';
  if (total < header) return 'total length below the header length';
  if (total < bytes.length) packet.bytes = bytes.subarray(0, total);
  decode(packet);
  return null;
}
