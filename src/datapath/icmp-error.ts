import type { Device } from '../host/device.ts';
import { writeUint32 } from '../packet/bytes.ts';
import { findHeader6 } from '../packet/decode.ts';
import type { Family } from '../packet/family.ts';
import { type Packet, PacketType } from '../packet/packet.ts';
import { bytesInMemory } from '../packet/pending-checksum.ts';
import { Protocol } from '../packet/protocol.ts';
import { tosOf } from '../packet/rewrite.ts';
import { compose } from './compose.ts';
import type { RouteAnswer } from './environment.ts';
import { answerDestination, answerOptions } from './ipv4/options.ts';
import { addressOf, type Kernel, replyMark, sendFromIcmp, usable } from './kernel.ts';

/** ICMP types that are errors: no error is ever sent about one of them. */
const IS_ERROR = new Set([3, 4, 5, 11, 12]);
/** What `icmp_pointers` (net/ipv4/icmp.c) takes for errors in a packet that has come: unassigned types and router discovery too (measured with type 9). */
const TAKEN_FOR_ERROR = new Set([1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12]);
/** NR_ICMP_TYPES: about a type beyond it nothing is sent either. */
const HIGHEST_TYPE = 18;
const QUOTED_AT_MOST = 576;
const IPV6_MINIMUM_MTU = 1280;

/**
 * Sends an ICMP error about a packet to its sender (`icmp_send`), with the cases in which Linux is silent. `info` is the second word of
 * the ICMP header (MTU, pointer). The packet has been routed; `inbound` is null if not as one that came in. Returns whether anything was sent.
 */
export function sendIcmpError(
  kernel: Kernel,
  cause: Packet,
  type: number,
  code: number,
  info = 0,
  inbound: Device | null = cause.inDevice,
): boolean {
  const { route } = cause;
  if (route === null) return false;
  if (cause.packetType !== PacketType.host) return false;
  if (route.type === 'broadcast' || route.type === 'multicast') return false;
  if (cause.fragmentOffset !== 0) return false;
  if (IS_ERROR.has(type) && cause.protocol === Protocol.icmp) {
    if (cause.transport >= cause.bytes.length) return false;
    const inner = cause.bytes[cause.transport]!;
    if (inner > HIGHEST_TYPE || TAKEN_FOR_ERROR.has(inner)) return false;
  }
  const tos = IS_ERROR.has(type) ? (tosOf(cause) & 0x1e) | 0xc0 : tosOf(cause);
  const mark = replyMark(kernel, 4, cause);
  const from = route.type === 'local' ? cause.dst : inboundAddress(kernel, cause, inbound);
  const destination = answerDestination(cause);
  const back = kernel.host.route({
    family: 4,
    destination,
    ...(from === null ? {} : { source: [from[0]!, 0, 0, 0] }),
    mark,
    tos: tos & 0x1c,
    protocol: Protocol.icmp,
  });
  if (!usable(back)) return false;
  if (back.device !== kernel.loopback && !kernel.peers.allowsIcmp(destination[0], type, code, kernel.clock.now))
    return false;
  const source = from ?? sourceFor(kernel, 4, back, cause.src);
  if (source === null) return false;

  const echoed = answerOptions(kernel, cause, source[0]!);
  if (echoed === null) return false;
  const options = echoed.bytes;
  const room = Math.min(back.mtu, QUOTED_AT_MOST) - 20 - options.length - 8;
  const body = new Uint8Array(8 + Math.min(cause.bytes.length, room));
  body[0] = type;
  body[1] = code;
  writeUint32(body, 4, info);
  quote(body, cause);
  const answer = compose(
    4,
    {
      source,
      destination,
      protocol: Protocol.icmp,
      tos,
      identification: kernel.random.identification() & 0xffff,
      options,
    },
    body,
  );
  answer.options = echoed.options;
  answer.mark = mark;
  answer.route = back;
  answer.outDevice = back.device;
  if (IS_ERROR.has(type)) kernel.conntrack.attach(answer, cause);
  return sendFromIcmp(kernel, answer, `ICMP ${type}/${code}`);
}

/** `icmp_errors_use_inbound_ifaddr`: errors about what is forwarded come from the interface by which it came in; null where the route decides. */
function inboundAddress(kernel: Kernel, cause: Packet, inbound: Device | null): ArrayLike<number> | null {
  if (inbound === null || kernel.host.sysctl('net.ipv4.icmp_errors_use_inbound_ifaddr') === 0) return null;
  return kernel.host.sourceAddress(4, inbound, addressOf(cause.src));
}

/** Puts the packet, as far as it goes, behind the ICMP header: a checksum that is left to the device is not there yet. */
function quote(body: Uint8Array, cause: Packet): void {
  body.set(bytesInMemory(cause).subarray(0, body.length - 8), 8);
}

/** The address from which the machine speaks over a route; null if it has none. */
export function sourceFor(
  kernel: Kernel,
  family: Family,
  route: RouteAnswer,
  destination: Uint32Array,
): ArrayLike<number> | null {
  if (route.preferredSource !== null) return route.preferredSource;
  if (route.type === 'local') return destination;
  return kernel.host.sourceAddress(family, route.device!, route.gateway ?? addressOf(destination));
}

/** ICMPv6 types below 128 are errors. */
function isIcmpv6Error(type: number): boolean {
  return type < 128;
}

/**
 * Sends an ICMPv6 error about a packet to its sender (`icmp6_send`), with the cases in which Linux is silent.
 * `info` is the second word of the ICMPv6 header. Returns whether anything was sent.
 */
export function sendIcmpv6Error(kernel: Kernel, cause: Packet, type: number, code: number, info = 0): boolean {
  const { host } = kernel;
  const toMulticast = cause.dst[0]! >>> 24 === 0xff;
  const local = !toMulticast && host.addressType(6, addressOf(cause.dst)) === 'LOCAL';
  if (toMulticast || cause.packetType !== PacketType.host) {
    const unknownOption = type === 4 && code === 2 && (cause.bytes[info]! & 0xc0) === 0x80;
    if (type !== 2 && !unknownOption) return false;
  }
  const from = cause.src;
  if (from[0]! >>> 24 === 0xff || (from[0] === 0 && from[1] === 0 && from[2] === 0 && from[3] === 0)) return false;
  if (quotesAnError(cause)) return false;

  const mark = replyMark(kernel, 6, cause);
  const back = host.route({
    family: 6,
    destination: addressOf(from),
    ...(local && cause.packetType === PacketType.host ? { source: addressOf(cause.dst) } : {}),
    mark,
    protocol: Protocol.icmpv6,
    // Link-local addresses mean the link that the packet came over.
    ...((from[0]! & 0xffc00000) >>> 0 === 0xfe800000 ? { outDevice: cause.inDevice } : {}),
  });
  // Nothing goes to an anycast address.
  if (!usable(back) || back.anycast) return false;
  const isLimited = back.device !== kernel.loopback;
  if (isLimited && !kernel.peers.allowsIcmpv6(from, type, kernel.clock.now)) return false;
  // Without an address that the packet was for, that of the interface it came in by is taken, wherever the answer leaves (RFC 4443 2.2).
  const cameBy = cause.isCopy ? cause.copiedFrom : cause.inDevice;
  const source =
    local && cause.packetType === PacketType.host
      ? cause.dst
      : (back.preferredSource ?? host.sourceAddress(6, cameBy ?? back.device!, addressOf(from)));
  if (source === null) return false;

  const body = new Uint8Array(8 + Math.min(cause.bytes.length, IPV6_MINIMUM_MTU - 40 - 8));
  body[0] = type;
  body[1] = code;
  writeUint32(body, 4, info);
  quote(body, cause);
  const answer = compose(6, { source, destination: from, protocol: Protocol.icmpv6 }, body);
  answer.mark = mark;
  answer.route = back;
  answer.outDevice = back.device;
  if (isIcmpv6Error(type)) kernel.conntrack.attach(answer, cause);
  return sendFromIcmp(kernel, answer, `ICMPv6 ${type}/${code}`);
}

/** No error about an ICMPv6 error, or about what is too short to tell (`is_ineligible`). */
function quotesAnError(cause: Packet): boolean {
  const offset = findHeader6(cause.bytes, Protocol.icmpv6);
  if (offset < 0) return false;
  return offset >= cause.bytes.length || isIcmpv6Error(cause.bytes[offset]!);
}
