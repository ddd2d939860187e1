import type { HookState } from '../../datapath/hooks.ts';
import type { Packet } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import type { Direction } from '../connection.ts';
import type { Entry } from '../entry.ts';
import { contentHolds, Outcome, type Tracking } from '../tracking.ts';

/** What an ICMP packet is before any lookup. `error`: it speaks of another packet, which begins at `quoteOffset`. */
export type IcmpNature =
  | { kind: 'message' }
  /** `complaint`: what the kernel says of it in its log. */
  | { kind: 'invalid'; reason: string; complaint: string }
  | { kind: 'untracked' }
  | { kind: 'error'; quoteOffset: number };

const MESSAGE: IcmpNature = { kind: 'message' };
const UNTRACKED: IcmpNature = { kind: 'untracked' };

function invalid(reason: string, complaint: string): IcmpNature {
  return { kind: 'invalid', reason, complaint };
}

const HIGHEST_KNOWN_TYPE = 18;
const ERROR_TYPES: ReadonlySet<number> = new Set([3, 4, 5, 11, 12]);
/** Requests that begin a connection: echo, timestamp, information, address mask. */
const REQUESTS: ReadonlySet<number> = new Set([8, 13, 15, 17]);

/** nf_conntrack_icmpv4_error. */
export function icmpNature(packet: Packet, at: HookState, tracking: Tracking): IcmpNature {
  const { bytes, transport } = packet;
  if (transport + 8 > bytes.length) return invalid('the ICMP header is cut off', 'short packet');
  if (!contentHolds(packet, at, tracking)) {
    return invalid('bad ICMP checksum', 'bad hw icmp checksum');
  }
  const type = bytes[transport]!;
  if (type > HIGHEST_KNOWN_TYPE) return invalid('unknown ICMP type', 'invalid icmp type');
  return ERROR_TYPES.has(type) ? { kind: 'error', quoteOffset: transport + 8 } : MESSAGE;
}

/** A request or reply (nf_conntrack_icmp_packet). Each renews the entry, so that repeated replies find it. */
export function icmpPacket(entry: Entry, direction: Direction, packet: Packet, tracking: Tracking): Outcome {
  const type = (entry.words[entry.base + 8]! >>> 8) & 0xff;
  if (packet.family !== 4 || !REQUESTS.has(type)) {
    tracking.reason(`ICMP type ${type} begins no connection`);
    return Outcome.invalid;
  }
  tracking.refresh(entry, direction, packet, tracking.settings.icmp);
  return Outcome.accept;
}

/** Multicast listener and neighbour discovery: 130-136 but redirect, 143, 151, 152; never tracked. */
const UNTRACKED_TYPES: ReadonlySet<number> = new Set([130, 131, 132, 133, 134, 135, 136, 143, 151, 152]);
const REDIRECT = 137;
const REDIRECT_LENGTH = 40;
const REDIRECTED_HEADER = 4;
const FIRST_INFORMATIONAL = 128;
/** Echo and node information queries. */
const REQUESTS6: ReadonlySet<number> = new Set([128, 139]);

/** nf_conntrack_icmpv6_error. */
export function icmpv6Nature(packet: Packet, at: HookState, tracking: Tracking): IcmpNature {
  const { bytes, transport } = packet;
  if (transport + 8 > bytes.length) return invalid('the ICMPv6 header is cut off', 'short packet');
  if (!contentHolds(packet, at, tracking, Protocol.icmpv6)) {
    return invalid('bad ICMPv6 checksum', 'ICMPv6 checksum failed');
  }
  const type = bytes[transport]!;
  if (UNTRACKED_TYPES.has(type)) return UNTRACKED;
  if (type === REDIRECT) return redirectNature(packet);
  return type >= FIRST_INFORMATIONAL ? MESSAGE : { kind: 'error', quoteOffset: transport + 8 };
}

function redirectNature(packet: Packet): IcmpNature {
  const { bytes, transport } = packet;
  if (transport + REDIRECT_LENGTH > bytes.length) return invalid('the redirect is cut off', 'short redirect');
  if (bytes[transport + 1] !== 0) return MESSAGE;
  if (bytes[7] !== 255 || packet.src[0]! >>> 22 !== 0x3fa) {
    return invalid(
      'a redirect must come from a link-local address with hop limit 255',
      'invalid saddr or hoplimit for redirect',
    );
  }
  const option = transport + REDIRECT_LENGTH;
  if (option + 2 > bytes.length || bytes[option + 1] === 0)
    return invalid('redirect without options', 'redirect without options');
  return bytes[option] === REDIRECTED_HEADER ? { kind: 'error', quoteOffset: option + 8 } : MESSAGE;
}

/** nf_conntrack_icmpv6_packet. */
export function icmpv6Packet(entry: Entry, direction: Direction, packet: Packet, tracking: Tracking): Outcome {
  const type = (entry.words[entry.base + 8]! >>> 8) & 0xff;
  if (packet.family !== 6 || (!entry.confirmed && !REQUESTS6.has(type))) {
    tracking.reason(`ICMPv6 type ${type} begins no connection`);
    return Outcome.invalid;
  }
  tracking.refresh(entry, direction, packet, tracking.settings.icmpv6);
  return Outcome.accept;
}
