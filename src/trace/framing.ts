import type { Host } from '../datapath/environment.ts';
import type { Device } from '../host/device.ts';
import type { PacketDescription } from '../packet/notation/description.ts';

/**
 * The Ethernet header of a described packet that arrives on a device: from its neighbour (the next hop towards the source),
 * to the MAC that somebody there would send it to. Null on the loopback device.
 */
export function frameOf(packet: PacketDescription, device: Device, host: Host): Uint8Array | null {
  if (device.kind === 'loopback') return null;
  const header = new Uint8Array(14);
  header.set(packet.destinationMac ?? destinationMac(packet, device, host), 0);
  header.set(packet.sourceMac ?? sourceMac(packet, device, host), 6);
  header[12] = packet.family === 4 ? 0x08 : 0x86;
  header[13] = packet.family === 4 ? 0x00 : 0xdd;
  return header;
}

/** A MAC that is nobody's here. */
const SOMEBODY_ELSE = Uint8Array.from([0x02, 0xff, 0xff, 0xff, 0xff, 0xfe]);

function destinationMac(packet: PacketDescription, device: Device, host: Host): Uint8Array {
  const { family, destination } = packet;
  const own = (device.bridge ?? device).mac;
  if (packet.packetType === 'host') return own;
  if (packet.packetType === 'broadcast') return new Uint8Array(6).fill(0xff);
  if (packet.packetType === 'multicast') return multicastMac(packet);
  if (packet.packetType === 'otherhost') return SOMEBODY_ELSE;
  const type = host.addressType(family, destination);
  if (type === 'MULTICAST') return multicastMac(packet);
  if (type === 'BROADCAST') return new Uint8Array(6).fill(0xff);
  if (device.bridge === null || type === 'LOCAL') return own;
  // Across a bridge the sender resolves the receiver itself, or its own gateway: this machine.
  const route = host.route({ family, destination });
  const neighbour = route.type === 'unicast' && route.device === device.bridge && route.gateway === null;
  return neighbour ? host.neighbourMac(family, destination, device.bridge) : own;
}

function sourceMac(packet: PacketDescription, device: Device, host: Host): Uint8Array {
  const { family, source } = packet;
  const segment = device.bridge ?? device;
  const route = host.route({ family, destination: source, outDevice: segment });
  const gateway = route.type === 'unicast' && route.device === segment ? route.gateway : null;
  return host.neighbourMac(family, gateway ?? source, segment);
}

/** RFC 1112 section 6.4, RFC 2464 section 7; any group address for a destination that is none. */
function multicastMac(packet: PacketDescription): Uint8Array {
  const [first, , , last] = packet.destination;
  return packet.family === 4
    ? Uint8Array.from([0x01, 0x00, 0x5e, (first >>> 16) & 0x7f, (first >>> 8) & 255, first & 255])
    : Uint8Array.from([0x33, 0x33, last >>> 24, (last >>> 16) & 255, (last >>> 8) & 255, last & 255]);
}
