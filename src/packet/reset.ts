/** TCP resets as nf_reject makes them (`nf_send_reset`, `nf_send_reset6`) and as the TCP stack does for a segment without socket. */
import { readUint16, readUint32 } from './bytes.ts';
import { checksumHolds } from './checksum.ts';
import { buildIpv4 } from './ipv4.ts';
import { buildIpv6 } from './ipv6.ts';
import type { Packet } from './packet.ts';
import { Protocol } from './protocol.ts';
import { buildTcp, TcpFlag } from './tcp.ts';

/**
 * Whether a reset may answer the packet: a whole TCP header of a first or only fragment, no RST itself, a right checksum (not asked of the machine's own
 * packets), and for IPv6 unicast addresses at both ends. Broadcast routes are the caller's to know.
 */
export function mayReset(packet: Packet): boolean {
  const { bytes, transport, src, dst } = packet;
  if (packet.protocol !== Protocol.tcp || packet.fragmentOffset !== 0 || transport + 20 > bytes.length) return false;
  if ((bytes[transport + 13]! & TcpFlag.rst) !== 0) return false;
  if (packet.family === 6) {
    const unspecified = (words: Uint32Array): boolean => (words[0]! | words[1]! | words[2]! | words[3]!) === 0;
    if (src[0]! >>> 24 === 0xff || dst[0]! >>> 24 === 0xff || unspecified(src) || unspecified(dst)) return false;
  }
  return packet.local || checksumHolds(packet);
}

/**
 * The reset in answer to the packet, from its destination to its source: RST with the sequence number that it acknowledges, or RST+ACK for all of it.
 * IPv4: identification 0, DF; `tos` is 0 from nf_reject.
 */
export function buildReset(packet: Packet, ttl = 64, tos = 0): Uint8Array {
  const { bytes, transport, src, dst } = packet;
  const flags = bytes[transport + 13]!;
  const acknowledges = (flags & TcpFlag.ack) !== 0;
  const syn = (flags & TcpFlag.syn) !== 0 ? 1 : 0;
  const fin = flags & TcpFlag.fin;
  const data = bytes.length - transport - ((bytes[transport + 12]! >>> 4) << 2);
  const segment = buildTcp(
    {
      sourcePort: readUint16(bytes, transport + 2),
      destinationPort: readUint16(bytes, transport),
      sequence: acknowledges ? readUint32(bytes, transport + 8) : 0,
      acknowledgement: acknowledges ? 0 : (readUint32(bytes, transport + 4) + syn + fin + data) >>> 0,
      flags: acknowledges ? TcpFlag.rst : TcpFlag.rst | TcpFlag.ack,
    },
    new Uint8Array(0),
    dst,
    src,
  );
  return packet.family === 4
    ? buildIpv4(
        { source: dst[0]!, destination: src[0]!, protocol: Protocol.tcp, ttl, tos, dontFragment: true },
        segment,
      )
    : buildIpv6({ source: dst, destination: src, nextHeader: Protocol.tcp, hopLimit: ttl, trafficClass: tos }, segment);
}
