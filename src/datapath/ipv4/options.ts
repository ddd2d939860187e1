import { readUint32 } from '../../packet/bytes.ts';
import type { AddressWords } from '../../packet/family.ts';
import {
  compileOptions4,
  type EchoedOptions,
  echoOptions4,
  forwardOptions4,
  type Ipv4Options,
  type Ipv4OptionsHost,
  routeBack,
} from '../../packet/ipv4-options.ts';
import { type Packet, PacketType } from '../../packet/packet.ts';
import { addressOf, type Kernel, usable } from '../kernel.ts';

const DAY = 86_400_000;
const NONE: EchoedOptions = { bytes: new Uint8Array(0), via: null, options: null };

/**
 * Reads the options of a received, routed packet and fills in what the machine has to record (ip_options_compile).
 * `errorPointer` of the result tells what is wrong with them.
 */
export function readOptions(kernel: Kernel, packet: Packet): Ipv4Options {
  return compileOptions4(packet.bytes, optionsHost(kernel, ownAddress(kernel, packet)));
}

function optionsHost(kernel: Kernel, address: number): Ipv4OptionsHost {
  return {
    ownAddress: address,
    timestamp: Math.floor(kernel.clock.real / 1000) % DAY,
    isForeign: (other) => kernel.host.addressType(4, [other, 0, 0, 0]) === 'UNICAST',
  };
}

/** To whom an answer to the packet goes first: its sender, or back along the source route by which it came. */
export function answerDestination({ bytes, options, src }: Packet): AddressWords {
  const back = options === null ? null : routeBack(bytes, options);
  return back === null ? addressOf(src) : [back.via, 0, 0, 0];
}

/** The options of an answer from `source` to a packet; null if they let no answer be made. */
export function answerOptions(kernel: Kernel, packet: Packet, source: number): EchoedOptions | null {
  if (packet.options === null) return NONE;
  return echoOptions4(packet.bytes, packet.options, optionsHost(kernel, source));
}

/** The address that this machine writes for the way in (fib_compute_spec_dst). */
function ownAddress(kernel: Kernel, packet: Packet): number {
  if (packet.route?.type === 'local' && packet.packetType === PacketType.host) return packet.dst[0]!;
  const back = kernel.host.route({ family: 4, destination: addressOf(packet.src) });
  if (usable(back) && back.preferredSource !== null) return back.preferredSource[0];
  return kernel.host.sourceAddress(4, packet.inDevice!, addressOf(packet.src))?.[0] ?? 0;
}

/** A forwarded packet gets the address of the way out into the places that were filled on the way in (ip_forward_options). */
export function recordWayOut(kernel: Kernel, packet: Packet, options: Ipv4Options): void {
  const route = packet.route!;
  const source =
    route.preferredSource ?? kernel.host.sourceAddress(4, route.device!, route.gateway ?? addressOf(packet.dst));
  forwardOptions4(packet.bytes, options, source?.[0] ?? 0);
  packet.dst[0] = readUint32(packet.bytes, 16);
}
