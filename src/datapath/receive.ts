import type { Device } from '../host/device.ts';
import { readUint16 } from '../packet/bytes.ts';
import { decode } from '../packet/decode.ts';
import { applyDescription } from '../packet/described.ts';
import type { Family } from '../packet/family.ts';
import { Packet, PacketType } from '../packet/packet.ts';
import { receiveOnPort } from './bridge/receive.ts';
import { Hook } from './hooks.ts';
import { acceptIpv4 } from './ipv4/input.ts';
import { acceptIpv6 } from './ipv6/input.ts';
import type { Kernel } from './kernel.ts';
import type { Arrival } from './machine-contract.ts';
import { Stage } from './stages.ts';

const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const VLAN = 0x8100;

/** A frame comes in on a device: which packet it holds, for whom it is, and on to the bridge or to IP. */
export function receiveFrame(kernel: Kernel, arrival: Arrival): void {
  let { device, bytes } = arrival;
  let type = arrival.linkHeader === null ? ethertypeOf(bytes) : readUint16(arrival.linkHeader, 12);
  let isUnclaimed = false;
  if (type === VLAN && bytes.length >= 4) {
    const tag = readUint16(bytes, 0) & 0xfff;
    const vlan = kernel.host.devices.find((each) => each.link === device && each.vlan === tag);
    type = readUint16(bytes, 2);
    bytes = bytes.subarray(4);
    if (vlan !== undefined) device = vlan;
    // A tag that only gives a priority counts for nothing; a VLAN that nobody is in is somebody else's (check_vlan_id).
    isUnclaimed = vlan === undefined && tag !== 0;
  }
  const family: Family = type === IPV6 ? 6 : 4;
  const packet = packetFor(kernel, family, bytes);
  packet.time = kernel.clock.real;
  packet.inDevice = device;
  if (arrival.described) applyDescription(packet, arrival.described);
  if (type !== IPV4 && type !== IPV6) {
    kernel.recorder.invalid(packet, `ethertype 0x${type.toString(16).padStart(4, '0')} is not IP`);
    return;
  }
  const header = arrival.linkHeader ?? madeUpHeader(kernel, packet, device, type);
  if (type !== readUint16(header, 12)) {
    packet.linkHeader = header.slice();
    packet.linkHeader[12] = type >>> 8;
    packet.linkHeader[13] = type & 0xff;
  } else {
    packet.linkHeader = header;
  }
  if (device.kind !== 'loopback') packet.packetType = packetTypeOf(packet.linkHeader, device);
  if (isUnclaimed && device.bridge === null) packet.packetType = PacketType.otherHost;
  kernel.held.push(packet);
  if (device.bridge !== null) receiveOnPort(kernel, packet, device, device.bridge);
  else receiveIp(kernel, packet, device);
}

/** The packet of a frame: the last one's object where that is free. */
function packetFor(kernel: Kernel, family: Family, bytes: Uint8Array): Packet {
  const { spare } = kernel;
  if (spare === null) return new Packet(family, bytes);
  kernel.spare = null;
  spare.renew(family, bytes);
  return spare;
}

/** A packet comes up to IP on a device (ip_rcv, ipv6_rcv). */
export function receiveIp(kernel: Kernel, packet: Packet, device: Device): void {
  packet.inDevice = device;
  if (packet.packetType === PacketType.otherHost) {
    kernel.recorder.invalid(packet, 'the frame is for another machine');
    return;
  }
  const accepted = packet.family === 4 ? acceptIpv4(kernel, packet) : acceptIpv6(kernel, packet);
  if (accepted) kernel.runner.run(packet, Hook.prerouting, device, null, Stage.route);
}

function ethertypeOf(bytes: Uint8Array): number {
  return bytes[0]! >>> 4 === 6 ? IPV6 : IPV4;
}

/** A header as if the packet's sender had addressed the frame to this interface (for a port: to its bridge). */
function madeUpHeader(kernel: Kernel, packet: Packet, device: Device, type: number): Uint8Array {
  const header = new Uint8Array(14);
  header[12] = type >>> 8;
  header[13] = type & 0xff;
  if (device.kind === 'loopback') return header;
  decode(packet);
  header.set((device.bridge ?? device).mac, 0);
  const [a, b, c, d] = packet.src;
  header.set(kernel.host.neighbourMac(packet.family, [a!, b!, c!, d!], device.bridge ?? device), 6);
  return header;
}

/** eth_type_trans: for whom a frame is, seen from the device. */
function packetTypeOf(header: Uint8Array, device: Device): PacketType {
  if (header[0]! & 1) {
    for (let i = 0; i < 6; i++) if (header[i] !== 0xff) return PacketType.multicast;
    return PacketType.broadcast;
  }
  for (let i = 0; i < 6; i++) if (header[i] !== device.mac[i]) return PacketType.otherHost;
  return PacketType.host;
}
