import { writeUint16 } from '../../packet/bytes.ts';
import { internetChecksum } from '../../packet/checksum.ts';
import { compileOptions4, forwardOptions4, type Ipv4Options } from '../../packet/ipv4-options.ts';
import { type Packet, PacketType } from '../../packet/packet.ts';
import { addressOf, type Kernel } from '../kernel.ts';

const DAY = 86_400_000;

/**
 * Reads the options of a received, routed packet and fills in what the machine has to record (ip_options_compile).
 * `errorPointer` of the result tells what is wrong with them.
 */
export function readOptions(kernel: Kernel, packet: Packet): Ipv4Options {
  const { bytes, headerLength } = packet;
  const options = compileOptions4(bytes, {
    ownAddress: ownAddress(kernel, packet),
    timestamp: Math.floor(kernel.clock.real / 1000) % DAY,
    isForeign: (address) => kernel.host.addressType(4, [address, 0, 0, 0]) === 'UNICAST',
  });
  if (options.changed) {
    writeUint16(bytes, 10, 0);
    writeUint16(bytes, 10, internetChecksum(bytes, 0, headerLength));
  }
  return options;
}

/** The address that this machine writes for the way in (fib_compute_spec_dst). */
function ownAddress(kernel: Kernel, packet: Packet): number {
  if (packet.route?.type === 'local' && packet.packetType === PacketType.host) return packet.dst[0]!;
  return kernel.host.sourceAddress(4, packet.inDevice!, addressOf(packet.src))?.[0] ?? 0;
}

/** A forwarded packet gets the address of the way out into the places that were filled on the way in (ip_forward_options). */
export function recordWayOut(kernel: Kernel, packet: Packet, options: Ipv4Options): void {
  const route = packet.route!;
  const source =
    route.preferredSource ?? kernel.host.sourceAddress(4, route.device!, route.gateway ?? addressOf(packet.dst));
  forwardOptions4(packet.bytes, options, source?.[0] ?? 0);
}
