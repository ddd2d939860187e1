/** IP protocol and IPv6 next-header numbers (IANA "Protocol Numbers"; include/uapi/linux/in.h, in6.h). */
export const Protocol = {
  hopByHop: 0,
  icmp: 1,
  igmp: 2,
  ipip: 4,
  tcp: 6,
  udp: 17,
  dccp: 33,
  ipv6: 41,
  routing: 43,
  fragment: 44,
  gre: 47,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  noNextHeader: 59,
  destinationOptions: 60,
  mobility: 135,
  sctp: 132,
  udplite: 136,
  raw: 255,
} as const;

/** Whether the transport header begins with a source and a destination port. */
export function hasPorts(protocol: number): boolean {
  return (
    protocol === Protocol.tcp ||
    protocol === Protocol.udp ||
    protocol === Protocol.udplite ||
    protocol === Protocol.sctp ||
    protocol === Protocol.dccp
  );
}

/** Where ports, or the SPI in their place, stand in a transport header (`proto_ports_offset`); -1 if it has neither. */
export function portsOffset(protocol: number): number {
  if (protocol === Protocol.ah) return 4;
  return hasPorts(protocol) || protocol === Protocol.esp ? 0 : -1;
}
