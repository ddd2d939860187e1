import { Direction } from '../../conntrack/connection.ts';
import { readUint16, readUint32 } from '../../packet/bytes.ts';
import { extensionHeaderLength, isExtensionHeader } from '../../packet/decode.ts';
import type { Packet } from '../../packet/packet.ts';
import { Protocol, portsOffset } from '../../packet/protocol.ts';

/** What HMARK hashes (`struct hmark_tuple`): addresses under their masks, ports in host order. */
export interface HashedTuple {
  source: number;
  destination: number;
  ports: number;
  protocol: number;
}

/** The parts of the rule that make the tuple. Ports and SPI share one 32-bit field. */
export interface TupleRule {
  sourceMask: readonly number[];
  destinationMask: readonly number[];
  portMask: number;
  portSet: number;
}

const ICMP_HEADER = 8;
/** Destination unreachable, source quench, redirect, time exceeded, parameter problem. */
const ICMP_ERRORS = [3, 4, 5, 11, 12];

function clear(tuple: HashedTuple): void {
  tuple.source = tuple.destination = tuple.ports = tuple.protocol = 0;
}

/** Ports in an order that does not depend on the direction (hmark_swap_ports). */
function orderedPorts(ports: number, { portMask, portSet }: TupleRule): number {
  const set = ((ports & portMask) | portSet) >>> 0;
  const source = set >>> 16;
  const destination = set & 0xffff;
  return (destination > source ? (destination << 16) | source : set) >>> 0;
}

function setPorts(tuple: HashedTuple, bytes: Uint8Array, transport: number, rule: TupleRule): void {
  const offset = portsOffset(tuple.protocol);
  if (offset < 0 || transport + offset + 4 > bytes.length) return;
  tuple.ports = orderedPorts(readUint32(bytes, transport + offset), rule);
}

/** The connection's ends: its source, and who answers. False if there is none. */
export function connectionTuple(packet: Packet, tuple: HashedTuple, rule: TupleRule): boolean {
  const { connection } = packet;
  if (connection === null) return false;
  clear(tuple);
  const original = connection.tuple(Direction.original);
  const reply = connection.tuple(Direction.reply);
  tuple.source = masked(original.source, rule.sourceMask);
  tuple.destination = masked(reply.source, rule.destinationMask);
  tuple.protocol = connection.protocol;
  if (tuple.protocol !== Protocol.icmp) {
    tuple.ports = orderedPorts(((original.sourcePort << 16) | reply.sourcePort) >>> 0, rule);
  }
  return true;
}

function masked(words: ArrayLike<number>, mask: readonly number[]): number {
  let value = 0;
  for (let i = 0; i < 4; i++) value ^= words[i]! & mask[i]!;
  return value >>> 0;
}

/** The ends of an IPv4 packet, or of the one quoted in an ICMP error. False if that is cut off. */
export function packetTuple4({ bytes }: Packet, tuple: HashedTuple, rule: TupleRule): boolean {
  clear(tuple);
  let ip = 0;
  if (bytes[9] === Protocol.icmp) {
    const icmp = (bytes[0]! & 15) * 4;
    if (icmp + ICMP_HEADER <= bytes.length && ICMP_ERRORS.includes(bytes[icmp]!)) {
      ip = icmp + ICMP_HEADER;
      if (ip + 20 > bytes.length) return false;
    }
  }
  tuple.source = (readUint32(bytes, ip + 12) & rule.sourceMask[0]!) >>> 0;
  tuple.destination = (readUint32(bytes, ip + 16) & rule.destinationMask[0]!) >>> 0;
  tuple.protocol = bytes[ip + 9]!;
  // No fragment counts with its ports: the later ones have none.
  if (tuple.protocol === Protocol.icmp || (readUint16(bytes, ip + 6) & 0x3fff) !== 0) return true;
  setPorts(tuple, bytes, ip + (bytes[ip]! & 15) * 4, rule);
  return true;
}

/** The ends of an IPv6 packet, or of the one quoted in an ICMPv6 error. False if that is cut off. */
export function packetTuple6({ bytes }: Packet, tuple: HashedTuple, rule: TupleRule): boolean {
  clear(tuple);
  let ip = 0;
  let transport = transport6(bytes, ip);
  if (transport === null) return true;
  if (!transport.fragment && transport.protocol === Protocol.icmpv6) {
    const { offset } = transport;
    const type = bytes[offset]!;
    if (offset + ICMP_HEADER <= bytes.length && type !== 0 && type < 128) {
      ip = offset + ICMP_HEADER;
      if (ip + 40 > bytes.length || bytes[ip]! >>> 4 !== 6) return false;
      transport = transport6(bytes, ip);
      if (transport === null) return false;
    }
  }
  for (let i = 0; i < 4; i++) {
    tuple.source ^= readUint32(bytes, ip + 8 + 4 * i) & rule.sourceMask[i]!;
    tuple.destination ^= readUint32(bytes, ip + 24 + 4 * i) & rule.destinationMask[i]!;
  }
  tuple.source >>>= 0;
  tuple.destination >>>= 0;
  tuple.protocol = transport.protocol;
  if (tuple.protocol !== Protocol.icmpv6 && !transport.fragment) setPorts(tuple, bytes, transport.offset, rule);
  return true;
}

/** The first header that is none of extension, or AH (ipv6_find_hdr with IP6_FH_F_AUTH); null if the chain is cut off. */
function transport6(bytes: Uint8Array, ip: number): { protocol: number; offset: number; fragment: boolean } | null {
  let offset = ip + 40;
  let protocol = bytes[ip + 6]!;
  let fragment = false;
  while (isExtensionHeader(protocol) && protocol !== Protocol.noNextHeader && protocol !== Protocol.ah) {
    if (offset + 2 > bytes.length) return null;
    const next = bytes[offset]!;
    if (protocol === Protocol.fragment) {
      fragment = true;
      if (offset + 4 > bytes.length) return null;
      if ((readUint16(bytes, offset + 2) & 0xfff8) !== 0) {
        return isExtensionHeader(next) && next !== Protocol.noNextHeader ? null : { protocol: next, offset, fragment };
      }
    }
    offset += extensionHeaderLength(bytes, offset, protocol);
    protocol = next;
  }
  return { protocol, offset, fragment };
}
