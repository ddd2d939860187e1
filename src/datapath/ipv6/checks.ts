import { readUint16 } from '../../packet/bytes.ts';
import { decode } from '../../packet/decode.ts';
import { type Packet, PacketType } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';

/** What is wrong with a packet; with a pointer an ICMPv6 parameter problem 2 comes back. */
export interface Ipv6Problem {
  reason: string;
  pointer: number;
}

/** The checks of ip6_rcv_core; cuts off what follows the payload length and decodes. `loopback`: it came over `lo`. null: all is well. */
export function checkIpv6(packet: Packet, loopback: boolean): Ipv6Problem | null {
  const { bytes } = packet;
  const wrong = (reason: string): Ipv6Problem => ({ reason, pointer: -1 });
  if (bytes.length < 40) return wrong('shorter than an IPv6 header');
  if (bytes[0]! >>> 4 !== 6) return wrong('the version is not 6');
  decode(packet);
  const { src, dst } = packet;
  if (!loopback && (isLoopback(src) || isLoopback(dst))) return wrong('the loopback address from outside');
  const toGroup = dst[0]! >>> 24 === 0xff;
  const scope = (dst[0]! >>> 16) & 15;
  if (toGroup && !loopback && packet.packetType !== PacketType.loopback && scope === 1)
    return wrong('interface-local multicast from outside');
  if (toGroup && scope === 0) return wrong('multicast with scope 0');
  if (src[0]! >>> 24 === 0xff) return wrong('a multicast address as source');
  const payload = readUint16(bytes, 4);
  const next = bytes[6]!;
  if (payload !== 0 || next !== Protocol.hopByHop) {
    if (payload + 40 > bytes.length) return wrong('shorter than its payload length says');
    if (payload + 40 < bytes.length) {
      packet.bytes = bytes.subarray(0, payload + 40);
      decode(packet);
    }
  }
  return next === Protocol.hopByHop ? checkHopByHop(packet, toGroup) : null;
}

function isLoopback(address: Uint32Array): boolean {
  return address[0] === 0 && address[1] === 0 && address[2] === 0 && address[3] === 1;
}

/** The options of a hop-by-hop header (ip6_parse_tlv). */
function checkHopByHop(packet: Packet, toGroup: boolean): Ipv6Problem | null {
  const { bytes } = packet;
  const bad: Ipv6Problem = { reason: 'malformed hop-by-hop options', pointer: -1 };
  if (bytes.length < 48) return bad;
  const end = 40 + (bytes[41]! + 1) * 8;
  if (end > bytes.length) return bad;
  let padding = 0;
  for (let at = 42; at < end; ) {
    const kind = bytes[at]!;
    if (kind === 0) {
      if (++padding > 7) return bad;
      at++;
      continue;
    }
    if (at + 2 > end) return bad;
    const length = bytes[at + 1]! + 2;
    if (at + length > end) return bad;
    if (kind === 1) {
      padding += length;
      if (padding > 7) return bad;
      for (let i = at + 2; i < at + length; i++) if (bytes[i] !== 0) return bad;
    } else {
      padding = 0;
      if (kind === 5) {
        if (length !== 4) return bad;
      } else {
        const reason = `unknown hop-by-hop option ${kind}`;
        switch (kind >>> 6) {
          case 1:
            return { reason, pointer: -1 };
          case 2:
            return { reason, pointer: at };
          case 3:
            return { reason, pointer: toGroup ? -1 : at };
        }
      }
    }
    at += length;
  }
  return null;
}
