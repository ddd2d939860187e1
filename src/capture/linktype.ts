/** Link types (LINKTYPE_*, https://www.tcpdump.org/linktypes.html) that can be read. */
export const LinkType = {
  null: 0,
  ethernet: 1,
  rawBsd: 12,
  rawOpenbsd: 14,
  raw: 101,
  loop: 108,
  linuxSll: 113,
  ipv4: 228,
  ipv6: 229,
  linuxSll2: 276,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map([
  [LinkType.null, 'BSD loopback'],
  [LinkType.ethernet, 'Ethernet'],
  [LinkType.rawBsd, 'raw IP'],
  [LinkType.rawOpenbsd, 'raw IP'],
  [LinkType.raw, 'raw IP'],
  [LinkType.loop, 'OpenBSD loopback'],
  [LinkType.linuxSll, 'Linux cooked capture'],
  [LinkType.ipv4, 'raw IPv4'],
  [LinkType.ipv6, 'raw IPv6'],
  [LinkType.linuxSll2, 'Linux cooked capture v2'],
]);

/** A link type for people. */
export function linkTypeName(linkType: number): string {
  return NAMES.get(linkType) ?? `link type ${linkType}`;
}

export const EtherType = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd, serviceVlan: 0x88a8 } as const;

/**
 * Where the parts of a captured frame are. Filled by `locate`, one object for all frames: nothing is allocated
 * for a packet.
 */
export interface FrameParts {
  /** Where the L3 header begins, as offset in the buffer. */
  l3: number;
  /** Type of what follows; 0 where the link layer has none (raw IP: taken from the version). */
  etherType: number;
  /** Where the 14 bytes of Ethernet header are, or -1. VLAN tags stand between them and the type. */
  ethernet: number;
  /** VLAN tag (TCI), outermost first; -1 without. */
  vlan: number;
  innerVlan: number;
  /** `skb->pkt_type` as a cooked capture recorded it; -1 if unknown. */
  packetType: number;
  /** Where the sender's link address of a cooked capture is (6 bytes), or -1. */
  sender: number;
}

export function frameParts(): FrameParts {
  return { l3: 0, etherType: 0, ethernet: -1, vlan: -1, innerVlan: -1, packetType: -1, sender: -1 };
}

/**
 * Finds the layers of a captured frame.
 *
 * @returns false if the frame is too short for its link layer, or the link type is not supported.
 */
export function locate(linkType: number, buffer: Uint8Array, start: number, end: number, parts: FrameParts): boolean {
  parts.ethernet = -1;
  parts.vlan = -1;
  parts.innerVlan = -1;
  parts.packetType = -1;
  parts.sender = -1;
  parts.etherType = 0;
  switch (linkType) {
    case LinkType.ethernet: {
      if (end - start < 14) return false;
      parts.ethernet = start;
      return tags(buffer, start + 12, end, parts);
    }
    case LinkType.raw:
    case LinkType.rawBsd:
    case LinkType.rawOpenbsd:
    case LinkType.ipv4:
    case LinkType.ipv6:
      return version(buffer, start, end, parts);
    case LinkType.null:
    case LinkType.loop:
      return version(buffer, start + 4, end, parts);
    case LinkType.linuxSll:
      if (end - start < 16) return false;
      parts.packetType = half(buffer, start);
      if (half(buffer, start + 4) === 6) parts.sender = start + 6;
      return tags(buffer, start + 14, end, parts);
    case LinkType.linuxSll2:
      if (end - start < 20) return false;
      parts.packetType = buffer[start + 10]!;
      if (buffer[start + 11] === 6) parts.sender = start + 12;
      parts.etherType = half(buffer, start);
      parts.l3 = start + 20;
      if (parts.etherType === EtherType.vlan || parts.etherType === EtherType.serviceVlan) {
        if (end - parts.l3 < 4) return false;
        parts.vlan = half(buffer, parts.l3);
        return tags(buffer, parts.l3 + 2, end, parts);
      }
      return true;
    default:
      return false;
  }
}

/** Reads the type at `at` and any VLAN tags before the payload. */
function tags(buffer: Uint8Array, at: number, end: number, parts: FrameParts): boolean {
  let type = half(buffer, at);
  at += 2;
  while (type === EtherType.vlan || type === EtherType.serviceVlan) {
    if (end - at < 4) return false;
    if (parts.vlan < 0) parts.vlan = half(buffer, at);
    else parts.innerVlan = half(buffer, at);
    type = half(buffer, at + 2);
    at += 4;
  }
  parts.etherType = type;
  parts.l3 = at;
  return true;
}

/** Link layers without a type: the version field tells what follows. */
function version(buffer: Uint8Array, start: number, end: number, parts: FrameParts): boolean {
  if (start >= end) return false;
  parts.l3 = start;
  const first = buffer[start]! >> 4;
  parts.etherType = first === 6 ? EtherType.ipv6 : EtherType.ipv4;
  return true;
}

function half(buffer: Uint8Array, at: number): number {
  return (buffer[at]! << 8) | buffer[at + 1]!;
}
