import type { Device } from '../host/device.ts';
import { decode } from '../packet/decode.ts';
import { needsFragmenting } from '../packet/fragmentation.ts';
import { Packet, PacketType, Summed } from '../packet/packet.ts';
import { completeChecksum, leaveChecksumPending } from '../packet/pending-checksum.ts';
import { ttlOf } from '../packet/rewrite.ts';
import { sendOverBridge } from './bridge/send.ts';
import { fragmentIpv4, fragmentIpv6 } from './fragmenting.ts';
import { Hook } from './hooks.ts';
import { addressOf, type Kernel } from './kernel.ts';
import { Stage } from './stages.ts';

const NO_HEADER = new Uint8Array(0);

/** A routed packet on its way out: POSTROUTING (ip_output, ip6_output). */
export function send(kernel: Kernel, packet: Packet): void {
  const route = packet.route!;
  packet.outDevice = route.device;
  if (packet.family === 4 && hearsItself(kernel, packet)) {
    sendToItself(kernel, packet);
    if (route.type === 'multicast' && staysHere(kernel, packet)) return;
  }
  kernel.runner.run(packet, Hook.postrouting, packet.inDevice, route.device, Stage.transmit);
}

/** Scope of a group that ends with the interface (RFC 4291). */
const NODE_LOCAL = 1;

/** The scope that stands in the address of a group. */
function scopeOf(group: Uint32Array): number {
  return (group[0]! >>> 16) & 15;
}

const ALL_HOSTS = 0xe0000001;

/** Whether the machine gets a copy of what it sends to many (ip_mc_output, ip6_finish_output2). */
function hearsItself(kernel: Kernel, { family, local, route, dst }: Packet): boolean {
  const device = route!.device!;
  if (!local || device.kind === 'loopback') return false;
  if (family === 6) return dst[0]! >>> 24 === 0xff && kernel.host.inGroup6(device, dst);
  return route!.type === 'broadcast' || (route!.type === 'multicast' && dst[0] === ALL_HOSTS);
}

/** Multicasts with a TTL of 0 go no further than this machine. */
function staysHere(kernel: Kernel, packet: Packet): boolean {
  if (ttlOf(packet) > 0) return false;
  kernel.recorder.dropped(packet, 'a multicast with TTL 0 stays on this machine');
  return true;
}

/** That copy: it goes through POSTROUTING as well, and comes in by the device on which the original leaves. */
function sendToItself(kernel: Kernel, packet: Packet): void {
  const copy = pieceOf(packet, packet.bytes.slice());
  copy.twin = packet;
  copy.sharesBytes = packet.sharesBytes = true;
  // What becomes of it is not the fate of the packet.
  copy.kernelMade = true;
  // A clone belongs to no socket.
  copy.owner = copy.listener = null;
  copy.controlSocket = false;
  kernel.runner.run(copy, Hook.postrouting, null, packet.route!.device, Stage.loopBack);
}

/**
 * A packet that this machine sends to itself, as it comes in: it belongs to no socket any more (skb_orphan in loopback_xmit), and what was known of its
 * headers is forgotten (ip_rcv_core, ip6_rcv_core).
 */
function comeIn(packet: Packet): void {
  packet.owner = packet.listener = null;
  packet.controlSocket = false;
  packet.options = null;
  packet.fragmentHeaderWas = 0;
  packet.fragmentMaxSize = 0;
}

/** POSTROUTING has let that copy pass. */
export function loopBack(kernel: Kernel, packet: Packet): void {
  comeIn(packet);
  packet.packetType = PacketType.loopback;
  // Nobody looks at checksums of these (dev_loopback_xmit).
  if (!packet.checksumPending) {
    packet.summed = Summed.unnecessary;
    packet.verified = true;
  }
  packet.linkHeader = null;
  packet.inDevice = packet.route!.device;
  packet.outDevice = null;
  packet.isCopy = false;
  kernel.backlog.push(packet);
}

/** POSTROUTING is done: in pieces if it does not fit, and out of its device (ip_finish_output, ip6_finish_output). */
export function transmit(kernel: Kernel, packet: Packet): void {
  if (packet.family === 6 && packet.dst[0]! >>> 24 === 0xff) {
    if (hearsItself(kernel, packet)) {
      sendToItself(kernel, packet);
      if (staysHere(kernel, packet)) return;
    }
    // What the copy met may have changed the address; only this much of it is looked at.
    if (scopeOf(packet.dst) <= NODE_LOCAL && packet.route!.device!.kind !== 'loopback') {
      kernel.recorder.dropped(packet, 'a group of this node only');
      return;
    }
  }
  if (!needsFragmenting(packet, packet.route!.mtu)) {
    transmitOn(kernel, packet, packet.route!.device!);
    return;
  }
  completeChecksum(packet);
  const pieces = packet.family === 4 ? fragmentIpv4(kernel, packet) : fragmentIpv6(kernel, packet);
  if (pieces === null) return;
  const device = packet.route!.device!;
  for (const bytes of pieces) transmitOn(kernel, pieceOf(packet, bytes), device);
}

/** A packet with other bytes and otherwise all that the original has. */
export function pieceOf(packet: Packet, bytes: Uint8Array): Packet {
  const piece = new Packet(packet.family, bytes);
  const { src, dst } = piece;
  Object.assign(piece, packet, { bytes, src, dst });
  decode(piece);
  return piece;
}

function transmitOn(kernel: Kernel, packet: Packet, device: Device): void {
  if (packet.checksumPending && device.kind !== 'loopback') completeChecksum(packet);
  switch (device.kind) {
    case 'loopback':
      loop(kernel, packet);
      break;
    case 'bridge':
      sendOverBridge(kernel, packet, device, linkHeaderFor(kernel, packet, device));
      break;
    default:
      kernel.recorder.emitted(
        packet,
        device,
        kernel.recorder.collect ? linkHeaderFor(kernel, packet, device) : NO_HEADER,
      );
  }
}

/** Sent to the machine itself: it comes in over `lo` when the current packet is done, keeping its route and connection. */
function loop(kernel: Kernel, packet: Packet): void {
  leaveChecksumPending(packet);
  comeIn(packet);
  packet.packetType = PacketType.host;
  packet.linkHeader = new Uint8Array(14);
  packet.linkHeader[12] = packet.family === 4 ? 0x08 : 0x86;
  packet.linkHeader[13] = packet.family === 4 ? 0x00 : 0xdd;
  packet.inDevice = kernel.loopback;
  packet.physicalIn = packet.physicalOut = null;
  // A copy is one only while it is made (in_nf_duplicate); what comes in again may be copied again.
  packet.isCopy = false;
  kernel.backlog.push(packet);
}

/** The Ethernet header of a packet that goes out: to its next hop, a group, or all. */
export function linkHeaderFor(kernel: Kernel, packet: Packet, device: Device): Uint8Array {
  const header = new Uint8Array(14);
  const route = packet.route!;
  const { dst } = packet;
  if (packet.family === 4 && (route.type === 'broadcast' || dst[0] === 0xffffffff)) header.fill(0xff, 0, 6);
  else if (packet.family === 4 && dst[0]! >>> 28 === 0xe) {
    const group = dst[0]! & 0x7fffff;
    header.set([0x01, 0x00, 0x5e, group >>> 16, (group >>> 8) & 0xff, group & 0xff]);
  } else if (packet.family === 6 && dst[0]! >>> 24 === 0xff) {
    const low = dst[3]!;
    header.set([0x33, 0x33, low >>> 24, (low >>> 16) & 0xff, (low >>> 8) & 0xff, low & 0xff]);
  } else {
    const family = route.gatewayFamily ?? packet.family;
    header.set(kernel.host.neighbourMac(family, route.gateway ?? addressOf(dst), device), 0);
  }
  header.set(device.mac, 6);
  header[12] = packet.family === 4 ? 0x08 : 0x86;
  header[13] = packet.family === 4 ? 0x00 : 0xdd;
  return header;
}
