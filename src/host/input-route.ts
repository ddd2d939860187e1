/** How a received packet is routed: `ip_route_input_noref` (net/ipv4/route.c) and `ip6_route_input` (net/ipv6/route.c), with what they refuse. */
import type { InputRoute, RouteAnswer } from '../datapath/environment.ts';
import { readUint16 } from '../packet/bytes.ts';
import type { AddressWords } from '../packet/family.ts';
import { type Packet, PacketType } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';
import { tosOf } from '../packet/rewrite.ts';
import type { Device } from './device.ts';
import type { Flow, LookupResult } from './policy.ts';
import { Scope } from './route-text.ts';
import type { Route } from './routing-table.ts';

/** What net.ipv4.conf says of an interface, with `all` and `default`, as far as input routing asks for it. */
export interface InputSettings4 {
  readonly forwarding: boolean;
  readonly broadcastForwarding: boolean;
  readonly acceptLocal: boolean;
  readonly routeLocalnet: boolean;
  readonly sendRedirects: boolean;
  readonly sourceValidMark: boolean;
  readonly reversePathFilter: number;
}

/** What input routing asks of the machine. */
export interface InputHost {
  /** A flow record to fill, reused. */
  readonly flow: Flow;
  lookup4(flow: Flow, device: Device | null): LookupResult;
  lookup6(flow: Flow, device: Device | null): LookupResult;
  answerOf(result: LookupResult, output: boolean): RouteAnswer;
  ownsAddress4(address: number): boolean;
  settings4(device: Device): InputSettings4;
  /** True where checking the machine's own addresses is no sufficient source check (custom rules, local routes, realms). */
  readonly sourceNeedsLookup: boolean;
  /** Routes or rules of IPv4 give realms (fib_num_tclassid_users): sources are always looked up, for theirs. */
  readonly hasRealms: boolean;
  /** True if the machine listens to the IPv6 multicast group on the device. */
  inGroup6(device: Device, group: ArrayLike<number>): boolean;
  forwards6(device: Device): boolean;
}

const NOWHERE: RouteAnswer = {
  type: 'none',
  device: null,
  gateway: null,
  preferredSource: null,
  mtu: 0,
  realm: 0,
  table: 0,
  text: 'no route',
};

export function noRoute(): RouteAnswer {
  return NOWHERE;
}

export function emptyInputRoute(): InputRoute {
  return {
    action: 'drop',
    route: NOWHERE,
    reason: '',
    broadcast: false,
    multicast: false,
    icmpType: 0,
    icmpCode: 0,
    limited: false,
    redirect: false,
    realm: 0,
    martian: null,
    isTaken: false,
  };
}

function reset(out: InputRoute): void {
  out.route = NOWHERE;
  out.reason = '';
  out.broadcast = false;
  out.multicast = false;
  out.limited = false;
  out.redirect = false;
  out.realm = 0;
  out.martian = null;
  out.isTaken = false;
}

function drop(out: InputRoute, reason: string): InputRoute {
  out.action = 'drop';
  out.reason = reason;
  return out;
}

/** It is dropped where a packet for this machine would be taken in (ip_error). */
function takeAndDrop(out: InputRoute, reason: string): InputRoute {
  out.isTaken = true;
  return drop(out, reason);
}

/** A packet that cannot come from its source, or cannot go to its destination (ip_handle_martian_source, martian_destination). */
function martian(out: InputRoute, what: 'source' | 'destination', detail = ''): InputRoute {
  out.martian = what;
  return drop(out, `martian ${what}${detail}`);
}

function refuse(out: InputRoute, icmpType: number, icmpCode: number, reason: string): InputRoute {
  out.action = 'error';
  out.icmpType = icmpType;
  out.icmpCode = icmpCode;
  out.reason = reason;
  return out;
}

function isMulticast4(address: number): boolean {
  return address >>> 28 === 14;
}

function isLoopback4(address: number): boolean {
  return address >>> 24 === 127;
}

/** Fills the flow of a received packet. */
function fillFlow(flow: Flow, packet: Packet, device: Device): void {
  flow.source = packet.src;
  flow.destination = packet.dst;
  flow.inName = device.name;
  flow.outName = null;
  flow.mark = packet.mark;
  flow.tos = tosOf(packet);
  flow.uid = 0;
  flow.protocol = packet.protocol;
  fillPorts(flow, packet, false);
}

function fillPorts(flow: Flow, packet: Packet, swapped: boolean): void {
  flow.sourcePort = 0;
  flow.destinationPort = 0;
  switch (packet.protocol) {
    case Protocol.tcp:
    case Protocol.udp:
    case Protocol.udplite:
    case Protocol.sctp:
    case Protocol.dccp:
      if (packet.fragmentOffset !== 0 || packet.transport + 4 > packet.bytes.length) return;
      flow.sourcePort = readUint16(packet.bytes, packet.transport + (swapped ? 2 : 0));
      flow.destinationPort = readUint16(packet.bytes, packet.transport + (swapped ? 0 : 2));
  }
}

/** Results of a source check: refused, fine, fine and the source is directly connected. */
const SOURCE_BAD = -1;
const SOURCE_GOOD = 0;
const SOURCE_ON_LINK = 1;

const ZERO: AddressWords = [0, 0, 0, 0];

/**
 * Whether the packet may have come from its source over `device` (`fib_validate_source`): not an address of the machine itself, and with rp_filter
 * 1 the way back must be the same interface, with 2 there must be one. `out` is where the packet goes, null for local delivery.
 */
export function validateSource4(
  host: InputHost,
  packet: Packet,
  device: Device,
  destination: ArrayLike<number>,
  out: Device | null,
): number {
  const settings = host.settings4(device);
  const { acceptLocal, reversePathFilter: filter } = settings;
  const source = packet.src;
  if (filter === 0 && (device !== out || !settings.sendRedirects)) {
    if (acceptLocal && !host.hasRealms) return SOURCE_GOOD;
    if (!host.sourceNeedsLookup) return host.ownsAddress4(source[0]!) ? SOURCE_BAD : SOURCE_GOOD;
  }
  const { flow } = host;
  flow.destination = source;
  flow.source = destination;
  flow.inName = out === null ? 'lo' : out.name;
  flow.outName = null;
  flow.mark = settings.sourceValidMark ? packet.mark : 0;
  flow.tos = tosOf(packet);
  flow.uid = 0;
  flow.protocol = packet.protocol;
  fillPorts(flow, packet, true);
  const hasAddress = device.addresses.some((each) => each.family === 4);
  const back = host.lookup4(flow, null).route;
  if (back !== null && isUsable(back)) {
    if (back.type !== 'unicast' && (back.type !== 'local' || !acceptLocal)) return SOURCE_BAD;
    flow.sourceRealm = back.realm;
    if (back.device === device || (back.type === 'local' && device.kind === 'loopback')) return linkage(back);
    if (hasAddress) {
      if (filter === 1) return SOURCE_BAD;
      flow.outName = device.name;
      const over = host.lookup4(flow, device).route;
      return over !== null && over.type === 'unicast' ? linkage(over) : SOURCE_GOOD;
    }
  }
  flow.sourceRealm = 0;
  return filter !== 0 ? SOURCE_BAD : SOURCE_GOOD;
}

function isUsable(route: Route): boolean {
  return route.type !== 'blackhole' && route.type !== 'unreachable' && route.type !== 'prohibit';
}

function linkage(route: Route): number {
  return route.answer.gateway === null || route.scope >= Scope.host ? SOURCE_ON_LINK : SOURCE_GOOD;
}

export function routeInput4(host: InputHost, packet: Packet, device: Device, out: InputRoute): InputRoute {
  reset(out);
  const source = packet.src[0]!;
  const destination = packet.dst[0]!;
  if (isMulticast4(destination)) return multicast4(host, packet, device, out);
  if (isMulticast4(source) || source === 0xffffffff) return martian(out, 'source', ': multicast or broadcast address');
  if (destination === 0xffffffff || (source === 0 && destination === 0)) return broadcast4(host, packet, device, out);
  if (source === 0) return martian(out, 'source', ': 0.0.0.0');
  if (destination === 0) return martian(out, 'destination', ': 0.0.0.0');
  if (isLoopback4(destination) || isLoopback4(source)) {
    const own = device.kind === 'loopback' || host.settings4(device).routeLocalnet;
    if (!own) return martian(out, isLoopback4(destination) ? 'destination' : 'source', ': 127/8');
  }

  const { flow } = host;
  fillFlow(flow, packet, device);
  flow.sourceRealm = 0;
  const result = host.lookup4(flow, null);
  const { route, refusedBy } = result;
  out.route = host.answerOf(result, false);
  const settings = host.settings4(device);
  const forwards = settings.forwarding;
  if (route === null || !isUsable(route)) {
    if (!forwards) return takeAndDrop(out, 'no route, and this interface does not forward');
    out.limited = true;
    const kind = refusedBy !== null ? refusedBy.action : route === null ? 'none' : route.type;
    if (kind === 'blackhole') return takeAndDrop(out, `blackhole: ${out.route.text}`);
    if (kind === 'prohibit') return refuse(out, 3, 13, `prohibited: ${out.route.text}`);
    if (kind === 'unreachable' && refusedBy === null) return refuse(out, 3, 1, `unreachable: ${out.route.text}`);
    return refuse(out, 3, 0, refusedBy === null ? 'no route' : `unreachable: ${out.route.text}`);
  }
  if (route.type === 'broadcast') {
    if (!settings.broadcastForwarding) return broadcast4(host, packet, device, out);
  } else if (route.type === 'local') {
    if (validateSource4(host, packet, device, packet.dst, null) < 0) return martian(out, 'source');
    out.action = 'local';
    out.realm = (flow.sourceRealm << 16) >>> 0;
    return out;
  }
  if (!forwards) return takeAndDrop(out, 'not for this machine, and this interface does not forward');
  if (route.type !== 'unicast' && route.type !== 'broadcast') return martian(out, 'destination');
  const check = validateSource4(host, packet, device, packet.dst, route.device);
  if (check < 0) return martian(out, 'source');
  if (packet.packetType !== PacketType.host)
    return drop(out, 'a frame to a broadcast or multicast MAC is not forwarded');
  out.redirect = route.device === device && check === SOURCE_ON_LINK && settings.sendRedirects;
  out.action = 'forward';
  out.realm = ((flow.sourceRealm << 16) | out.route.realm) >>> 0;
  return out;
}

function broadcast4(host: InputHost, packet: Packet, device: Device, out: InputRoute): InputRoute {
  if (packet.src[0] !== 0 && validateSource4(host, packet, device, ZERO, null) < 0) {
    return martian(out, 'source');
  }
  out.action = 'local';
  out.broadcast = true;
  if (out.route.type !== 'broadcast') {
    out.route = { ...NOWHERE, type: 'broadcast', device, text: `broadcast on ${device.name}` };
  }
  return out;
}

/** Only the all-hosts group is joined, by every interface that has an IPv4 configuration. */
function multicast4(host: InputHost, packet: Packet, device: Device, out: InputRoute): InputRoute {
  const source = packet.src[0]!;
  if (packet.dst[0] !== 0xe0000001) return drop(out, 'multicast group without member');
  if (isMulticast4(source) || source === 0xffffffff) return drop(out, 'martian source: multicast or broadcast address');
  if (isLoopback4(source) && device.kind !== 'loopback' && !host.settings4(device).routeLocalnet) {
    return drop(out, 'martian source: 127/8');
  }
  if (source !== 0 && validateSource4(host, packet, device, ZERO, null) < 0) return drop(out, 'martian source');
  out.action = 'local';
  out.multicast = true;
  out.route = { ...NOWHERE, type: 'multicast', device, text: `multicast on ${device.name}` };
  return out;
}

export function routeInput6(host: InputHost, packet: Packet, device: Device, out: InputRoute): InputRoute {
  reset(out);
  const { dst } = packet;
  if (dst[0]! >>> 24 === 0xff) {
    if (!host.inGroup6(device, dst)) return drop(out, 'multicast group without member');
    out.action = 'local';
    out.multicast = true;
    out.route = { ...NOWHERE, type: 'multicast', device, text: `multicast on ${device.name}` };
    return out;
  }
  const { flow } = host;
  fillFlow(flow, packet, device);
  const linkLocal = (dst[0]! & 0xffc00000) >>> 0 === 0xfe800000;
  const result = host.lookup6(flow, linkLocal ? device : null);
  const { route, refusedBy } = result;
  out.route = host.answerOf(result, false);
  const kind = refusedBy !== null ? refusedBy.action : route === null ? 'none' : route.type;
  switch (kind) {
    case 'local':
    case 'anycast':
      out.action = 'local';
      return out;
    case 'blackhole':
      return drop(out, `blackhole: ${out.route.text}`);
    case 'prohibit':
      return refuse(out, 1, 1, `prohibited: ${out.route.text}`);
    case 'unreachable':
      return refuse(out, 1, 0, `unreachable: ${out.route.text}`);
    case 'none':
      return refuse(out, 1, 0, 'no route');
  }
  if (!host.forwards6(device)) return drop(out, 'not for this machine, and it does not forward IPv6');
  if (packet.packetType !== PacketType.host)
    return drop(out, 'a frame to a broadcast or multicast MAC is not forwarded');
  out.redirect = route!.device === device;
  out.action = 'forward';
  return out;
}
