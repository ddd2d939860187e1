import { headerChanged, segmentChecksumHolds } from '../../packet/checksum.ts';
import { extensionHeaderLength } from '../../packet/decode.ts';
import { type Packet, PacketType } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { tosOf } from '../../packet/rewrite.ts';
import { checkOptions6 } from '../../packet/validate.ts';
import { compose } from '../compose.ts';
import { sendIcmpv6Error, sourceFor } from '../icmp-error.ts';
import { datagramIsRight, detach } from '../ipv4/local.ts';
import { addressOf, type Kernel, replyMark, sendFromIcmp, usable } from '../kernel.ts';
import { answerSegment, socketFor } from '../tcp.ts';
import { receiveSolicitation, SOLICITATION } from './neighbour-discovery.ts';

const UNREACHABLE = 1;
const PORT_UNREACHABLE = 4;
const PARAMETER_PROBLEM = 4;
const HEADER_FIELD = 0;
const UNKNOWN_NEXT_HEADER = 1;
/** Routing headers of RPL and segment routing: dropped where those are not enabled, whatever is left in them. */
const SILENT_ROUTING: ReadonlySet<number> = new Set([3, 4]);
const ECHO = 128;
const ECHO_REPLY = 129;

/** INPUT is done: extension headers, fragments, then the sockets and protocols of this machine (ip6_protocol_deliver_rcu). */
export function receiveLocalIpv6(kernel: Kernel, packet: Packet): void {
  const { fragmentHeader } = packet;
  if (fragmentHeader !== 0) {
    if (!kernel.fragments.reassemble(packet, 'local', kernel.recorder)) {
      const problem = kernel.fragments.parameterProblem;
      if (problem !== null) sendIcmpv6Error(kernel, packet, PARAMETER_PROBLEM, problem.code, problem.pointer);
      return;
    }
  }
  const nextHeaderAt = walkHeaders(kernel, packet, fragmentHeader !== 40 && packet.fragmentHeaderWas !== 40);
  if (nextHeaderAt < 0) return;
  const { recorder } = kernel;
  switch (packet.protocol) {
    case Protocol.icmpv6: {
      // Without type and code, or with a wrong checksum, no socket gets it (icmpv6_filter, rawv6_rcv_skb), and nobody else either.
      const isRight = checksumAccepted(packet, Protocol.icmpv6);
      if (packet.transport + 4 > packet.bytes.length || !(isRight || packet.verified)) {
        recorder.reached(packet);
        break;
      }
      recorder.delivered(packet);
      // Sockets believe what connection tracking has found; the protocol itself looks again if the header has changed (icmpv6_rcv).
      if (!isRight) break;
      if (packet.bytes[packet.transport] === SOLICITATION) {
        receiveSolicitation(kernel, packet, fragmentHeader !== 0 || packet.fragmentMaxSize > 0);
        break;
      }
      receiveIcmpv6(kernel, packet);
      break;
    }
    case Protocol.tcp:
      recorder.delivered(packet);
      receiveTcp(kernel, packet);
      break;
    case Protocol.udp:
    case Protocol.udplite:
      recorder.delivered(packet);
      if (isMulticast(packet.dst) || sumIsStale(packet)) break;
      if (!datagramIsRight(packet, packet.verified && !headerChanged(packet))) break;
      if (socketFor(kernel, packet) !== null) break;
      detach(packet);
      sendIcmpv6Error(kernel, packet, UNREACHABLE, PORT_UNREACHABLE);
      break;
    case Protocol.raw:
      recorder.delivered(packet);
      break;
    default:
      recorder.reached(packet);
      // Where no header follows there is nothing to know (nodata_protocol).
      if (packet.bytes[nextHeaderAt] === Protocol.noNextHeader) break;
      sendIcmpv6Error(kernel, packet, PARAMETER_PROBLEM, UNKNOWN_NEXT_HEADER, nextHeaderAt);
  }
}

/** Up to this length the checksum of a datagram is computed anew (CHECKSUM_BREAK). */
const SUMMED_AGAIN = 76;

function sumIsStale(packet: Packet): boolean {
  return packet.bytes.length - packet.transport > SUMMED_AGAIN && headerChanged(packet);
}

/** Whether a segment's checksum is taken for right: conntrack found it so, and the header is still the same, or it is. */
function checksumAccepted(packet: Packet, protocol: number): boolean {
  return (packet.verified && !headerChanged(packet)) || segmentChecksumHolds(packet, protocol);
}

function isMulticast(address: Uint32Array): boolean {
  return address[0]! >>> 24 === 0xff;
}

/**
 * Goes through the extension headers as the destination does; offset of the byte that names the protocol, or -1 if one of them ends the way.
 * `hasFirst`: what stands first stood there when the packet came, not behind a fragment header.
 */
function walkHeaders(kernel: Kernel, packet: Packet, hasFirst: boolean): number {
  const { bytes } = packet;
  let nameAt = 6;
  let at = 40;
  let wasFragment = packet.fragmentSizes !== null || packet.fragmentHeaderWas > 0;
  if (packet.fragmentHeaderWas > 40) {
    // Headers that stood before the fragment header are passed over, all but their names.
    if (bytes[6] === Protocol.hopByHop) nameAt = 40;
    at = packet.fragmentHeaderWas;
  }
  for (;;) {
    const kind = bytes[nameAt]!;
    switch (kind) {
      case Protocol.hopByHop:
        if (at === 40 && hasFirst) break;
        // Anywhere but in the first place nobody takes it, whatever is behind it.
        packet.protocol = kind;
        packet.transport = at;
        return nameAt;
      case Protocol.destinationOptions:
        if (!acceptsOptions(kernel, packet, at)) return -1;
        break;
      case Protocol.routing:
        if (at + 8 > bytes.length || at + ((bytes[at + 1]! + 1) << 3) > bytes.length) {
          kernel.recorder.dropped(packet, 'a routing header that is cut short');
          return -1;
        }
        if (packet.packetType !== PacketType.host || isMulticast(packet.dst) || SILENT_ROUTING.has(bytes[at + 2]!)) {
          kernel.recorder.dropped(packet, `a routing header of type ${bytes[at + 2]} is not accepted`);
          return -1;
        }
        if (bytes[at + 3] !== 0) {
          sendIcmpv6Error(kernel, packet, PARAMETER_PROBLEM, HEADER_FIELD, at + 2);
          kernel.recorder.dropped(packet, 'a routing header that is not supported');
          return -1;
        }
        break;
      case Protocol.fragment:
        // Of fragments of fragments there are none (IP6SKB_FRAGMENTED).
        if (wasFragment) {
          sendIcmpv6Error(kernel, packet, PARAMETER_PROBLEM, HEADER_FIELD, at);
          kernel.recorder.dropped(packet, 'a second fragment header');
          return -1;
        }
        wasFragment = true;
        break;
      default:
        packet.protocol = kind;
        packet.transport = at;
        return nameAt;
    }
    nameAt = at;
    at += extensionHeaderLength(bytes, at, kind);
    if (at > bytes.length) return -1;
  }
}

/** Checks a destination options header (ipv6_destopt_rcv). */
function acceptsOptions(kernel: Kernel, packet: Packet, at: number): boolean {
  const { bytes } = packet;
  const length = at + 8 > bytes.length ? 0 : (bytes[at + 1]! + 1) << 3;
  if (length === 0 || at + length > bytes.length) {
    kernel.recorder.dropped(packet, 'destination options that are cut short');
    return false;
  }
  const limit = kernel.host.sysctl('net.ipv6.max_dst_opts_number');
  const refusal = checkOptions6(bytes, at, length, false, limit);
  if (refusal === null) return true;
  const problem = refusal.parameterProblem;
  if (problem !== null) sendIcmpv6Error(kernel, packet, PARAMETER_PROBLEM, problem.code, problem.pointer);
  kernel.recorder.dropped(packet, refusal.reason);
  return false;
}

/** icmpv6_rcv: echo requests are answered. */
function receiveIcmpv6(kernel: Kernel, packet: Packet): void {
  const { bytes, transport } = packet;
  if (transport + 8 > bytes.length || bytes[transport] !== ECHO) return;
  const { host } = kernel;
  if (host.sysctl('net.ipv6.icmp.echo_ignore_all') !== 0) return;
  const group = isMulticast(packet.dst);
  if (group && host.sysctl('net.ipv6.icmp.echo_ignore_multicast') !== 0) return;
  const mark = replyMark(kernel, 6, packet);
  const isForMany = group || packet.route?.anycast === true;
  // Without a source address it must leave where the request came in, with one that is only preferred (ip6_route_output_flags).
  const device = packet.inDevice === kernel.loopback ? null : packet.inDevice;
  const back = host.route({
    family: 6,
    destination: addressOf(packet.src),
    ...(isForMany ? { outDevice: device } : { source: addressOf(packet.dst), preferDevice: device }),
    mark,
    protocol: Protocol.icmpv6,
  });
  if (!usable(back)) return;
  const source = isForMany ? sourceFor(kernel, 6, back, packet.src) : packet.dst;
  if (source === null) return;
  const body = bytes.slice(transport);
  body[0] = ECHO_REPLY;
  const answer = compose(6, { source, destination: packet.src, protocol: Protocol.icmpv6, tos: tosOf(packet) }, body);
  answer.mark = mark;
  answer.route = back;
  answer.outDevice = back.device;
  sendFromIcmp(kernel, answer, 'ICMPv6 echo reply');
}

/** tcp_v6_rcv. */
function receiveTcp(kernel: Kernel, packet: Packet): void {
  const { bytes, transport } = packet;
  if (packet.packetType !== PacketType.host || transport + 20 > bytes.length) return;
  const header = (bytes[transport + 12]! >>> 4) * 4;
  if (header < 20 || transport + header > bytes.length) return;
  if (!checksumAccepted(packet, Protocol.tcp)) return;
  answerSegment(kernel, packet, socketFor(kernel, packet), packet.route?.type === 'local' && !packet.route.anycast);
}
