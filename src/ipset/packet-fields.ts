import type { Packet } from '../packet/packet.ts';

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMPV6 = 58;
const SCTP = 132;
const UDPLITE = 136;

/** Protocols whose elements have a port (ip_set_proto_with_ports). */
export function hasPorts(protocol: number): boolean {
  return protocol === TCP || protocol === UDP || protocol === SCTP || protocol === UDPLITE;
}

/** Protocol whose type and code stand in the place of the port. */
export function icmpOf(family: 4 | 6): number {
  return family === 4 ? ICMP : ICMPV6;
}

/** Result of `packetPort`, reused. */
export interface PortField {
  port: number;
  protocol: number;
}

/** Bytes of transport header that must be there. */
function headerNeeded(protocol: number): number {
  switch (protocol) {
    case TCP:
      return 20;
    case SCTP:
      return 12;
    case UDP:
    case UDPLITE:
    case ICMP:
    case ICMPV6:
      return 8;
    default:
      return 0;
  }
}

/**
 * Protocol and port (ICMP: type and code) of a packet (net/netfilter/ipset/ip_set_getport.c); false where they cannot be
 * had: later fragments, headers cut short.
 */
export function packetPort(packet: Packet, source: boolean, into: PortField): boolean {
  const protocol = packet.protocol;
  into.protocol = protocol;
  into.port = 0;
  if (packet.family === 4) {
    if (protocol === 0) return false;
    if (packet.fragmentOffset > 0) return !(hasPorts(protocol) || protocol === ICMP);
  } else if (packet.fragmentOffset > 0) {
    return false;
  }
  const { bytes, transport } = packet;
  if (transport + headerNeeded(protocol) > bytes.length) return false;
  if (hasPorts(protocol)) {
    const at = transport + (source ? 0 : 2);
    into.port = (bytes[at]! << 8) | bytes[at + 1]!;
  } else if (protocol === ICMP || protocol === ICMPV6) {
    into.port = (bytes[transport]! << 8) | bytes[transport + 1]!;
  }
  return true;
}

/** Offset of the wanted MAC address in the packet's link header; -1 if it has none or the address is zero. */
export function packetMac(packet: Packet, source: boolean): number {
  const header = packet.linkHeader;
  if (header === null || header.length < 14) return -1;
  const at = source ? 6 : 0;
  for (let i = at; i < at + 6; i++) if (header[i] !== 0) return at;
  return -1;
}
