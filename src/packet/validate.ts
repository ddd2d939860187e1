/** What `ip_rcv` and `ipv6_rcv` refuse before PREROUTING. */
import { readUint16, readUint32 } from './bytes.ts';
import { ipv4HeaderChecksumHolds } from './checksum.ts';
import { type Packet, PacketType } from './packet.ts';
import { Protocol } from './protocol.ts';

/** Why a packet is refused, and the ICMPv6 parameter problem that goes back for it. */
export interface Refusal {
  reason: string;
  /** ICMPv6 type 4; null if nothing goes back. */
  parameterProblem: { code: number; pointer: number } | null;
}

const refuse = (reason: string): Refusal => ({ reason, parameterProblem: null });

/**
 * Checks a received packet before any hook sees it and cuts off what follows the IP total length. Null if it is fine; it must then be decoded
 * (again). `loopback`: it came over `lo`, where ::1 is allowed. `maxOptions` is net.ipv6.max_hbh_opts_number.
 */
export function validateReceived(packet: Packet, loopback = false, maxOptions = 8): Refusal | null {
  return packet.family === 4 ? validate4(packet) : validate6(packet, loopback, maxOptions);
}

function validate4(packet: Packet): Refusal | null {
  const { bytes } = packet;
  if (bytes.length < 20) return refuse('shorter than an IPv4 header');
  const header = (bytes[0]! & 15) * 4;
  if (bytes[0]! >>> 4 !== 4) return refuse('IP version is not 4');
  if (header < 20) return refuse('IPv4 header length below 20 bytes');
  if (bytes.length < header) return refuse('shorter than its IPv4 header');
  if (!ipv4HeaderChecksumHolds(bytes)) return refuse('wrong IPv4 header checksum');
  const total = readUint16(bytes, 2);
  if (total > bytes.length) return refuse('IPv4 total length beyond the end of the frame');
  if (total < header) return refuse('IPv4 total length below its header length');
  if (total < bytes.length) packet.bytes = bytes.subarray(0, total);
  return null;
}

function isLoopback6(bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < 15; i++) if (bytes[offset + i] !== 0) return false;
  return bytes[offset + 15] === 1;
}

function validate6(packet: Packet, loopback: boolean, maxOptions: number): Refusal | null {
  const { bytes } = packet;
  if (bytes.length < 40) return refuse('shorter than an IPv6 header');
  if (bytes[0]! >>> 4 !== 6) return refuse('IP version is not 6');
  if (!loopback && (isLoopback6(bytes, 8) || isLoopback6(bytes, 24))) {
    return refuse('the loopback address ::1 on a network');
  }
  if (bytes[24] === 0xff) {
    const scope = bytes[25]! & 15;
    if (!loopback && packet.packetType !== PacketType.loopback && scope === 1)
      return refuse('interface-local multicast on a network');
    if (scope === 0) return refuse('multicast of the reserved scope 0');
  }
  if (bytes[8] === 0xff) return refuse('a multicast address as source');
  const length = readUint16(bytes, 4);
  const hopByHop = bytes[6] === Protocol.hopByHop;
  if (length > 0 || !hopByHop) {
    if (length + 40 > bytes.length) return refuse('IPv6 payload length beyond the end of the frame');
    if (length + 40 < bytes.length) packet.bytes = bytes.subarray(0, length + 40);
  }
  if (!hopByHop) return null;
  const end = packet.bytes.length;
  if (end < 48) return refuse('hop-by-hop header cut short');
  const options = (bytes[41]! + 1) << 3;
  if (end < 40 + options) return refuse('hop-by-hop header cut short');
  return checkOptions6(packet.bytes, 40, options, true, maxOptions);
}

/**
 * Checks the options of the hop-by-hop or destination options header at `offset` as `ip6_parse_tlv` does: padding, their number,
 * and unknown ones, whose two upper bits say what is to be done. Null if the packet may go on.
 */
export function checkOptions6(
  bytes: Uint8Array,
  offset: number,
  length: number,
  hopByHop: boolean,
  maxOptions: number,
): Refusal | null {
  const where = hopByHop ? 'hop-by-hop option' : 'destination option';
  const toMulticast = bytes[24] === 0xff;
  const end = offset + length;
  let at = offset + 2;
  let padding = 0;
  let count = 0;
  while (at < end) {
    const type = bytes[at]!;
    if (type === 0) {
      padding++;
      if (padding > 7) return refuse(`more than 7 bytes of padding among the ${where}s`);
      at++;
      continue;
    }
    if (at + 2 > end || at + bytes[at + 1]! + 2 > end) return refuse(`${where} beyond its header`);
    const size = bytes[at + 1]! + 2;
    if (type === 1) {
      padding += size;
      if (padding > 7) return refuse(`more than 7 bytes of padding among the ${where}s`);
      for (let i = 2; i < size; i++) if (bytes[at + i] !== 0) return refuse('padding that is not 0');
    } else {
      padding = 0;
      count++;
      if (count > maxOptions) return refuse(`more than ${maxOptions} ${where}s`);
      const refusal = checkOption6(bytes, at, type, size, hopByHop, toMulticast, where);
      if (refusal !== null) return refusal;
    }
    at += size;
  }
  return null;
}

const ROUTER_ALERT = 5;
const JUMBO = 0xc2;

function checkOption6(
  bytes: Uint8Array,
  at: number,
  type: number,
  size: number,
  hopByHop: boolean,
  toMulticast: boolean,
  where: string,
): Refusal | null {
  if (hopByHop && type === ROUTER_ALERT) return size === 4 ? null : refuse('router alert of wrong length');
  if (hopByHop && type === JUMBO) {
    if (size !== 6 || (at & 3) !== 2) return refuse('jumbo payload option of wrong length or place');
    if (readUint32(bytes, at + 2) <= 0xffff) {
      return { reason: 'jumbo payload of less than 65536 bytes', parameterProblem: { code: 0, pointer: at + 2 } };
    }
    if (readUint16(bytes, 4) !== 0) {
      return { reason: 'jumbo payload and a payload length', parameterProblem: { code: 0, pointer: at } };
    }
    return refuse('jumbo payload beyond the end of the frame');
  }
  const action = type >>> 6;
  if (action === 0) return null;
  const reason = `unknown ${where} ${type}`;
  if (action === 1 || (action === 3 && toMulticast)) return refuse(reason);
  return { reason, parameterProblem: { code: 2, pointer: at } };
}
