import { readUint16, writeUint16 } from '../packet/bytes.ts';
import { internetChecksum } from '../packet/checksum.ts';
import type { Packet } from '../packet/packet.ts';
import { Hook } from './hooks.ts';
import { addressOf, type Kernel, localOut, noteRoute, usable } from './kernel.ts';

/**
 * A process sends a packet with its own IP header (raw_send_hdrinc, rawv6_send_hdrinc). The first route is looked up by destination and
 * mark alone; without one nothing is counted, and what is larger than the MTU is refused.
 */
export function sendFromProcess(kernel: Kernel, packet: Packet): void {
  const { recorder, host } = kernel;
  if (packet.family === 4) completeHeader(packet.bytes);
  const route = host.route({
    family: packet.family,
    destination: addressOf(packet.dst),
    mark: packet.mark,
    protocol: packet.protocol,
    ...(packet.owner === null ? {} : { uid: packet.owner.uid }),
  });
  noteRoute(kernel, route, Hook.output);
  if (!usable(route)) {
    recorder.invalid(packet, `no route (${route.type})`);
    return;
  }
  if (packet.bytes.length > route.device!.mtu) {
    recorder.invalid(packet, `larger than MTU ${route.device!.mtu}: message too long`);
    return;
  }
  packet.route = route;
  packet.outDevice = route.device;
  packet.realm = route.realm;
  localOut(kernel, packet);
}

/** Length and checksum of the IPv4 header are none of the process's business (raw_send_hdrinc). */
function completeHeader(bytes: Uint8Array): void {
  if (readUint16(bytes, 2) > bytes.length) writeUint16(bytes, 2, bytes.length);
  writeUint16(bytes, 10, 0);
  writeUint16(bytes, 10, internetChecksum(bytes, 0, (bytes[0]! & 15) * 4));
}
