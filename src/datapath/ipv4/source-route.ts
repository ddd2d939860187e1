import type { Device } from '../../host/device.ts';
import { readUint32, writeUint32 } from '../../packet/bytes.ts';
import type { Ipv4Options } from '../../packet/ipv4-options.ts';
import { type Packet, PacketType } from '../../packet/packet.ts';
import type { InputRoute } from '../environment.ts';
import { Hook } from '../hooks.ts';
import { sendIcmpError } from '../icmp-error.ts';
import { type Kernel, noteRoute } from '../kernel.ts';
import { logMartian } from './martian.ts';

export const PARAMETER_PROBLEM = 12;

const DESTINATION = 16;

/**
 * The source route of a packet that has come (ip_options_rcv_srr): where this machine is a place on it, the packet is routed to the next one, and over
 * all that are this machine's too at once. The destination in the header becomes the next place only when the packet is forwarded. `action`: what routing
 * has decided so far. `nowhere`: it is dropped.
 */
export function followSourceRoute(
  kernel: Kernel,
  packet: Packet,
  options: Ipv4Options,
  device: Device,
  action: InputRoute['action'],
): 'as before' | 'local' | 'forward' | 'nowhere' {
  const { recorder, host } = kernel;
  const refuse = (reason: string, pointer = -1): 'nowhere' => {
    if (pointer >= 0) sendIcmpError(kernel, packet, PARAMETER_PROBLEM, 0, (pointer << 24) >>> 0);
    recorder.dropped(packet, reason);
    return 'nowhere';
  };
  if (packet.packetType !== PacketType.host) return refuse('source-routed to many');
  const { type } = packet.route!;
  if (action === 'error' || action === 'drop') return refuse('a source route that leads nowhere');
  if (type === 'unicast') {
    return options.strict
      ? refuse('a strict source route on which this machine is no place', DESTINATION)
      : 'as before';
  }
  if (type !== 'local') return refuse('a source route that leads nowhere');
  const { bytes } = packet;
  const at = options.sourceRoute;
  const length = bytes[at + 1]!;
  let to: 'as before' | 'local' = 'as before';
  for (let pointer = bytes[at + 2]!; pointer <= length; pointer += 4) {
    if (pointer + 3 > length) return refuse('a source route that ends within an address', at + 2);
    const here = packet.dst[0]!;
    const next = readUint32(bytes, at + pointer - 1);
    packet.dst[0] = next;
    const input = host.routeInput(packet, device);
    if (input.martian !== null) logMartian(kernel, packet, device, input.martian);
    packet.dst[0] = here;
    const found = input.action === 'drop' || input.action === 'error' ? null : input.route;
    if (found === null || (found.type !== 'unicast' && found.type !== 'local')) {
      return refuse('a source route that leads nowhere');
    }
    noteRoute(kernel, found, Hook.prerouting);
    packet.route = found;
    packet.realm = input.realm;
    options.changed = true;
    if (found.type === 'unicast') {
      options.nextHop = next;
      packet.outDevice = found.device;
      return 'forward';
    }
    // The checksum of the header follows only when the packet is forwarded.
    packet.dst[0] = next;
    writeUint32(bytes, DESTINATION, next);
    packet.outDevice = null;
    to = 'local';
  }
  return to;
}
