import { readUint16, readUint32 } from '../packet/bytes.ts';
import { checksumHolds, sumHolds } from '../packet/checksum.ts';
import type { Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';
import { transmitOnPort } from './bridge/transmit.ts';
import { composeTcpAnswer } from './compose.ts';
import { Hook, type HookState } from './hooks.ts';
import { sendIcmpError, sendIcmpv6Error } from './icmp-error.ts';
import { addressOf, type Kernel, localOut, noteAnswer, replyMark, routeLocal } from './kernel.ts';

const SYN = 2;
const FIN = 1;
const RST = 4;
const ACK = 16;

/** A TCP RST in answer to a packet (nf_send_reset, nf_send_reset6). Returns whether one was sent. */
export function sendReset(kernel: Kernel, cause: Packet, at: HookState): boolean {
  const { bytes, transport, family } = cause;
  if (cause.fragmentOffset !== 0 || cause.protocol !== Protocol.tcp || transport + 20 > bytes.length) return false;
  if (bytes[transport + 13]! & RST) return false;
  const arriving = at.hook === Hook.prerouting || at.hook === Hook.input;
  if (!cause.checksumPending && !sumHolds(cause, arriving, Protocol.tcp)) return false;
  if (family === 4) {
    if (!fillRoute(kernel, cause, at)) return false;
    if (cause.route?.type === 'broadcast' || cause.route?.type === 'multicast') return false;
  } else if (!isUnicast6(cause.src) || !isUnicast6(cause.dst)) {
    return false;
  }
  const answer = resetFor(cause, bytes.length - transport - (bytes[transport + 12]! >>> 4) * 4);
  answer.mark = replyMark(kernel, family, cause);
  // nf_reject_ip_tcphdr_put leaves the checksum to the device, nf_reject_ip6_tcphdr_put computes it.
  answer.checksumPending = family === 4;
  if (!routeLocal(kernel, answer)) return false;
  kernel.conntrack.attach(answer, cause);
  kernel.conntrack.close(cause);
  noteAnswer(kernel, 'TCP RST');
  if (cause.physicalIn !== null && cause.linkHeader !== null) {
    // Over a bridge it goes straight back out of the port, with the MAC addresses turned round; no hook sees it.
    const header = cause.linkHeader.slice();
    header.set(cause.linkHeader.subarray(6, 12), 0);
    header.set(cause.linkHeader.subarray(0, 6), 6);
    transmitOnPort(kernel, answer, cause.physicalIn, header);
  } else {
    localOut(kernel, answer);
  }
  return true;
}

function isUnicast6(address: Uint32Array): boolean {
  if (address[0]! >>> 24 === 0xff) return false;
  return address.some((word) => word !== 0);
}

/** The RST for a segment: with its acknowledgement number if it has one, else acknowledging all of it. `dataLength` is behind the TCP header. */
export function resetFor(cause: Packet, dataLength: number, tos = 0, options: Uint8Array = new Uint8Array(0)): Packet {
  const { bytes, transport } = cause;
  const flags = bytes[transport + 13]!;
  const sequence = readUint32(bytes, transport + 4);
  const length = (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0) + dataLength;
  const acknowledges = (flags & ACK) !== 0;
  const segment = {
    sequence: acknowledges ? readUint32(bytes, transport + 8) : 0,
    acknowledgement: acknowledges ? 0 : (sequence + length) >>> 0,
    flags: acknowledges ? RST : RST | ACK,
  };
  return composeTcpAnswer(cause, segment, { tos, options });
}

/** In PREROUTING a packet has no route yet: its answers need one (nf_reject_fill_skb_dst). */
function fillRoute(kernel: Kernel, cause: Packet, at: HookState): boolean {
  if (cause.route !== null) return true;
  if (at.hook !== Hook.prerouting) return cause.physicalIn !== null;
  cause.route = kernel.host.route({ family: cause.family, destination: addressOf(cause.src) });
  return cause.route.type !== 'none';
}

/** An ICMP or ICMPv6 error by a rule (nf_send_unreach, nf_send_unreach6). Returns whether one was sent. */
export function sendUnreachable(kernel: Kernel, cause: Packet, at: HookState, type: number, code: number): boolean {
  if (cause.fragmentOffset !== 0) return false;
  if (cause.family === 6 && (cause.protocol < 0 || cause.transport >= cause.bytes.length)) return false;
  if (!contentIsRight(cause)) return false;
  if (cause.family === 6) return sendIcmpv6Error(kernel, cause, type, code);
  const routed = cause.route;
  if (routed === null && cause.physicalIn !== null) cause.route = BRIDGED;
  else if (!fillRoute(kernel, cause, at)) return false;
  const sent = sendIcmpError(kernel, cause, type, code, 0, routed === null ? null : cause.inDevice);
  cause.route = routed;
  return sent;
}

/** The route of a bridged packet: none, but it has to be something (`bridge_parent_rtable`). */
const BRIDGED = {
  type: 'unicast',
  device: null,
  gateway: null,
  preferredSource: null,
  mtu: 1500,
  realm: 0,
  table: 0,
  text: '',
} as const;

/**
 * Whether the checksum of the payload is right, for protocols that have one over all of it; for those without ports the
 * bare sum counts, whatever they are (nf_reject_verify_csum, nf_ip_checksum).
 */
function contentIsRight(cause: Packet): boolean {
  const { bytes, transport, protocol } = cause;
  if (cause.verified || cause.checksumPending) return true;
  switch (protocol) {
    case Protocol.udp:
      if (transport + 8 <= bytes.length && readUint16(bytes, transport + 6) === 0) return true;
      break;
    case Protocol.gre:
    case Protocol.ah:
    case Protocol.esp:
    case Protocol.sctp:
    case Protocol.udplite:
      return true;
  }
  return checksumHolds(cause, protocol);
}
