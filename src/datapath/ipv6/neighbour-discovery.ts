/**
 * Neighbour discovery (ndisc_rcv, ndisc_recv_ns and ndisc_send_na in net/ipv6/ndisc.c, RFC 4861): who asks for an address of this machine is told.
 * Nothing is learned from these messages; neighbours are those of the machine's description.
 */
import type { Device } from '../../host/device.ts';
import { readUint32, writeUint32 } from '../../packet/bytes.ts';
import type { AddressWords } from '../../packet/family.ts';
import type { Packet } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { compose } from '../compose.ts';
import { addressOf, type Kernel, localOut, noteAnswer } from '../kernel.ts';

export const SOLICITATION = 135;
const ADVERTISEMENT = 136;
/** Nobody forwards these messages: they have come straight from a neighbour. */
const HOP_LIMIT = 255;
/** Type, code, checksum, flags and target. */
const MESSAGE = 24;
const SOURCE_LINK_ADDRESS = 1;
const TARGET_LINK_ADDRESS = 2;
const ROUTER = 0x80000000;
const SOLICITED = 0x40000000;
const OVERRIDE = 0x20000000;
const ALL_NODES: AddressWords = [0xff020000, 0, 0, 1];

/** A solicitation to this machine; `fragmented`: it came in fragments, or with the header of one. */
export function receiveSolicitation(kernel: Kernel, packet: Packet, fragmented: boolean): void {
  const { bytes, transport, src, dst } = packet;
  const device = packet.inDevice;
  if (device === null) return;
  if (fragmented && kernel.host.interfaceSysctl(6, device, 'suppress_frag_ndisc') !== 0) return;
  if (bytes[7] !== HOP_LIMIT || bytes[transport + 1] !== 0 || transport + MESSAGE > bytes.length) return;
  const target = addressAt(bytes, transport + 8);
  if (isGroup(target)) return;
  const asksForItself = src.every((word) => word === 0);
  if (asksForItself && !isSolicitedNode(dst)) return;
  const options = optionLengths(bytes, transport + MESSAGE);
  if (options === null) return;
  const sender = options.get(SOURCE_LINK_ADDRESS);
  if (sender !== undefined && (sender !== 1 || asksForItself)) return;
  const own = device.addresses.some(({ family, address }) => family === 6 && address.every((w, i) => w === target[i]));
  if (!own && kernel.host.addressType(6, target, device) !== 'ANYCAST') return;
  const toGroup = isGroup(addressOf(dst));
  const destination = asksForItself ? ALL_NODES : addressOf(src);
  const source = own ? target : kernel.host.sourceAddress(6, device, destination);
  if (source === null) return;
  const withAddress = asksForItself || toGroup || (own && kernel.host.interfaceSysctl(6, device, 'force_tllao') !== 0);
  let flags = asksForItself ? 0 : SOLICITED;
  if (kernel.host.interfaceSysctl(6, device, 'forwarding') !== 0) flags |= ROUTER;
  if (own && (asksForItself || toGroup)) flags |= OVERRIDE;
  advertise(kernel, device, { source, destination, target, flags: flags >>> 0, withAddress });
}

interface Advertisement {
  source: AddressWords;
  destination: AddressWords;
  target: AddressWords;
  flags: number;
  /** Whether the link-layer address is told. */
  withAddress: boolean;
}

function advertise(kernel: Kernel, device: Device, told: Advertisement): void {
  const { source, destination, target } = told;
  const body = new Uint8Array(told.withAddress ? MESSAGE + 8 : MESSAGE);
  body[0] = ADVERTISEMENT;
  writeUint32(body, 4, told.flags);
  for (let i = 0; i < 4; i++) writeUint32(body, 8 + 4 * i, target[i]!);
  if (told.withAddress) {
    body[MESSAGE] = TARGET_LINK_ADDRESS;
    body[MESSAGE + 1] = 1;
    body.set(device.mac, MESSAGE + 2);
  }
  const answer = compose(6, { source, destination, protocol: Protocol.icmpv6, ttl: HOP_LIMIT }, body);
  answer.controlSocket = true;
  // No look at the routes: it goes to a neighbour; and what goes to all of them does not come back to this machine (mc_loop of the socket).
  answer.local = false;
  answer.route = {
    type: destination === ALL_NODES ? 'multicast' : 'unicast',
    device,
    gateway: null,
    preferredSource: null,
    mtu: device.mtu,
    realm: 0,
    table: 0,
    text: `on link at ${device.name}`,
  };
  answer.outDevice = device;
  noteAnswer(kernel, 'ICMPv6 neighbour advertisement');
  localOut(kernel, answer);
}

function addressAt(bytes: Uint8Array, at: number): AddressWords {
  return [readUint32(bytes, at), readUint32(bytes, at + 4), readUint32(bytes, at + 8), readUint32(bytes, at + 12)];
}

function isGroup([first]: AddressWords): boolean {
  return first >>> 24 === 0xff;
}

function isSolicitedNode(group: Uint32Array): boolean {
  return group[0] === 0xff020000 && group[1] === 0 && group[2] === 1 && group[3]! >>> 24 === 0xff;
}

/** Length of the first option of each type, in units of eight bytes; null where the options are malformed (ndisc_parse_options). */
function optionLengths(bytes: Uint8Array, start: number): Map<number, number> | null {
  const lengths = new Map<number, number>();
  for (let at = start; at < bytes.length; ) {
    const length = at + 1 < bytes.length ? bytes[at + 1]! : 0;
    if (length === 0 || at + 8 * length > bytes.length) return null;
    if (!lengths.has(bytes[at]!)) lengths.set(bytes[at]!, length);
    at += 8 * length;
  }
  return lengths;
}
