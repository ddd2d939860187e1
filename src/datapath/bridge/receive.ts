import { Status } from '../../conntrack/connection.ts';
import type { Device } from '../../host/device.ts';
import { formatMac } from '../../packet/address-text.ts';
import { forgetSum } from '../../packet/checksum.ts';
import { type Packet, PacketType } from '../../packet/packet.ts';
import { fragmentOnBridge } from '../fragmenting.ts';
import { Hook, type HookState } from '../hooks.ts';
import { acceptIpv4, routeIpv4 } from '../ipv4/input.ts';
import { acceptIpv6, routeIpv6 } from '../ipv6/input.ts';
import { addressOf, type Kernel, noteRoute, usable } from '../kernel.ts';
import { LogLevel } from '../log-level.ts';
import { pieceOf } from '../output.ts';
import { receiveIp } from '../receive.ts';
import { Stage } from '../stages.ts';
import { Verdict } from '../verdicts.ts';
import { floodOrder } from './send.ts';
import { transmitOnPort } from './transmit.ts';

/** Whether frames over bridges traverse the hooks of IP (br_netfilter). */
function filters(kernel: Kernel, packet: Packet): boolean {
  return kernel.host.sysctl(`net.bridge.bridge-nf-call-${packet.family === 4 ? 'iptables' : 'ip6tables'}`) !== 0;
}

/** A frame comes in on a port of a bridge (br_handle_frame, br_nf_pre_routing). */
export function receiveOnPort(kernel: Kernel, packet: Packet, port: Device, bridge: Device): void {
  const { recorder } = kernel;
  const header = packet.linkHeader!;
  if (header[6]! & 1 || isZero(header, 6)) {
    recorder.invalid(packet, 'the source MAC is no station');
    return;
  }
  if (isReserved(header)) {
    recorder.invalid(packet, 'the destination MAC is reserved for the link');
    return;
  }
  if (sameMac(header, 0, bridge)) packet.packetType = PacketType.host;
  packet.physicalIn = port;
  if (!filters(kernel, packet)) {
    packet.physicalIn = port;
    forwardFrame(kernel, packet, port, bridge);
    return;
  }
  const accepted = packet.family === 4 ? acceptIpv4(kernel, packet) : acceptIpv6(kernel, packet);
  if (!accepted) return;
  packet.bridgeOtherHost = packet.packetType === PacketType.otherHost;
  if (packet.bridgeOtherHost) packet.packetType = PacketType.host;
  packet.bridgeDestination = packet.dst.slice();
  packet.inDevice = bridge;
  kernel.runner.run(packet, Hook.prerouting, bridge, null, Stage.bridgeInput);
}

/** PREROUTING on a bridge is done: after DNAT the frame may have to go elsewhere (br_nf_pre_routing_finish). */
export function finishBridgeInput(kernel: Kernel, packet: Packet): void {
  const port = packet.physicalIn!;
  const bridge = packet.inDevice!;
  restoreOtherHost(packet);
  const before = packet.bridgeDestination!;
  if (packet.dst.some((word, i) => word !== before[i]) && !redirectFrame(kernel, packet, bridge)) return;
  forwardFrame(kernel, packet, port, bridge);
}

function restoreOtherHost(packet: Packet): void {
  if (packet.bridgeOtherHost) packet.packetType = PacketType.otherHost;
  packet.bridgeOtherHost = false;
}

/** Gives a frame whose IP destination changed the MAC of the next hop, or of the bridge if it has to be routed. */
function redirectFrame(kernel: Kernel, packet: Packet, bridge: Device): boolean {
  const { host, recorder } = kernel;
  const input = host.routeInput(packet, bridge);
  noteRoute(kernel, input.route, Hook.prerouting);
  let route = input.route;
  let bridged = input.action === 'forward' && route.device === bridge;
  if (input.action === 'drop' || input.action === 'error') {
    // Without forwarding a changed frame may still be bridged.
    if (host.interfaceSysctl(packet.family, bridge, 'forwarding') !== 0) {
      recorder.dropped(packet, input.reason);
      return false;
    }
    route = host.route({ family: packet.family, destination: addressOf(packet.dst) });
    bridged = usable(route) && route.device === bridge;
    if (!bridged) {
      recorder.dropped(packet, input.reason);
      return false;
    }
  }
  packet.linkHeader = packet.linkHeader!.slice();
  if (bridged) {
    const family = route.gatewayFamily ?? packet.family;
    packet.linkHeader.set(host.neighbourMac(family, route.gateway ?? addressOf(packet.dst), bridge), 0);
  } else {
    packet.linkHeader.set(bridge.mac, 0);
    packet.packetType = PacketType.host;
  }
  return true;
}

/** Learns, and sends the frame on to where it belongs (br_handle_frame_finish). */
function forwardFrame(kernel: Kernel, packet: Packet, port: Device, bridge: Device): void {
  const { macs, clock, recorder } = kernel;
  const header = packet.linkHeader!;
  if (isOwn(bridge, header, 6)) {
    const source = formatMac(header, 6);
    kernel.log.limited(
      LogLevel.warning,
      `${bridge.name}: received packet on ${port.name} with own address as source address (addr:${source}, vlan:0)`,
    );
  } else macs.learn(bridge, port, header, clock.now);
  if (header[0]! & 1) {
    const all = header.subarray(0, 6).every((byte) => byte === 0xff);
    packet.packetType = all ? PacketType.broadcast : PacketType.multicast;
    flood(kernel, packet, port, bridge, true);
    passUp(kernel, packet, bridge);
    return;
  }
  if (isOwn(bridge, header, 0)) {
    passUp(kernel, packet, bridge);
    return;
  }
  const to = macs.find(bridge, header, clock.now);
  if (to === null) {
    flood(kernel, packet, port, bridge, false);
    return;
  }
  recorder.observer?.({ kind: 'bridge', text: `${bridge.name} knows the destination`, port: to.name });
  if (to === port && !port.hairpin) recorder.dropped(packet, 'its destination is behind the port where it came in');
  else forwardTo(kernel, packet, port, to, bridge);
}

/** To all ports but its own; `isKept`: the packet itself is still needed. */
function flood(kernel: Kernel, packet: Packet, port: Device, bridge: Device, isKept: boolean): void {
  kernel.recorder.observer?.({ kind: 'bridge', text: `${bridge.name} floods`, port: null });
  const ports = floodOrder(bridge).filter((to) => to !== port || port.hairpin);
  const last = ports.at(-1);
  for (const to of ports) {
    const copy = pieceOf(packet, packet.bytes.slice());
    copy.twin = packet;
    copy.sharesBytes = packet.sharesBytes = true;
    // Clones are cut anew; only the last, which is the packet itself, keeps the pieces in which it came (skb_cloned in ip_do_fragment).
    if (to !== last || isKept) copy.fragmentSizes = null;
    forwardTo(kernel, copy, port, to, bridge);
  }
}

/** FORWARD on a bridge (br_nf_forward). */
function forwardTo(kernel: Kernel, packet: Packet, port: Device, to: Device, bridge: Device): void {
  forgetSum(packet);
  if (packet.bridgeDestination === null) {
    transmitOnPort(kernel, packet, to, packet.linkHeader!);
    return;
  }
  packet.physicalIn = port;
  packet.physicalOut = to;
  packet.bridgeOtherHost = packet.packetType === PacketType.otherHost;
  if (packet.bridgeOtherHost) packet.packetType = PacketType.host;
  kernel.runner.run(packet, Hook.forward, bridge, bridge, Stage.bridgeForward);
}

/** FORWARD on a bridge is done: POSTROUTING (br_nf_forward_finish, br_nf_post_routing). */
export function finishBridgeForward(kernel: Kernel, packet: Packet): void {
  kernel.runner.run(packet, Hook.postrouting, null, packet.physicalOut!.bridge, Stage.bridgeTransmit);
}

/** POSTROUTING on a bridge is done (br_nf_dev_queue_xmit). */
export function finishBridgeTransmit(kernel: Kernel, packet: Packet): void {
  restoreOtherHost(packet);
  const port = packet.physicalOut!;
  const pieces = fragmentOnBridge(kernel, packet, port.mtu);
  if (pieces === null) return;
  if (pieces.length === 1 && pieces[0] === packet.bytes) transmitOnPort(kernel, packet, port, packet.linkHeader!);
  else for (const bytes of pieces) transmitOnPort(kernel, pieceOf(packet, bytes), port, packet.linkHeader!);
}

/** Up to IP of this machine (br_pass_frame_up); PREROUTING is not traversed again (ip_sabotage_in). */
function passUp(kernel: Kernel, packet: Packet, bridge: Device): void {
  packet.inDevice = bridge;
  packet.physicalOut = null;
  if (packet.fragmentMaxSize > 0) {
    // IP begins anew with it (ip_rcv_core): it is only cut if it must be, then where it was before.
    packet.fragmentMaxSize = 0;
    packet.ignoreDontFragment = true;
  }
  kernel.recorder.observer?.({ kind: 'bridge', text: `up to ${bridge.name}`, port: null });
  if (packet.bridgeDestination === null) {
    receiveIp(kernel, packet, bridge);
    return;
  }
  if (packet.packetType === PacketType.otherHost) {
    kernel.recorder.dropped(packet, 'the frame is for another machine');
    return;
  }
  if (packet.packetType !== PacketType.host && !confirmCopy(kernel, packet, bridge)) return;
  if (packet.family === 4) routeIpv4(kernel, packet);
  else routeIpv6(kernel, packet);
}

/** A flooded packet's connection is confirmed before it goes up, for its copies share it (br_nf_local_in). */
function confirmCopy(kernel: Kernel, packet: Packet, bridge: Device): boolean {
  const { connection } = packet;
  if (connection === null || connection.status & Status.confirmed) return true;
  const at: HookState = { hook: Hook.prerouting, family: packet.family, inDevice: bridge, outDevice: null };
  return kernel.conntrack.confirm(packet, at) === Verdict.accept;
}

/** Whether the address at `at` of a link header is the bridge's or one of its ports'. */
function isOwn(bridge: Device, header: Uint8Array, at: number): boolean {
  return sameMac(header, at, bridge) || bridge.ports.some((port) => sameMac(header, at, port));
}

function sameMac(header: Uint8Array, at: number, device: Device): boolean {
  for (let i = 0; i < 6; i++) if (header[at + i] !== device.mac[i]) return false;
  return true;
}

function isZero(header: Uint8Array, at: number): boolean {
  for (let i = 0; i < 6; i++) if (header[at + i] !== 0) return false;
  return true;
}

/** 01:80:c2:00:00:0x: kept on the link (IEEE 802.1D). */
function isReserved(header: Uint8Array): boolean {
  return (
    header[0] === 0x01 &&
    header[1] === 0x80 &&
    header[2] === 0xc2 &&
    header[3] === 0 &&
    header[4] === 0 &&
    (header[5]! & 0xf0) === 0
  );
}
