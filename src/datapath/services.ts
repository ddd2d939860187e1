import type { Conntrack } from '../conntrack/service.ts';
import type { Nat } from '../nat/service.ts';
import type { RandomGenerator, SimulationClock } from './clock.ts';
import { establishedSocket } from './connected.ts';
import { duplicate } from './duplicate.ts';
import type { Host, MachineServices, SetServices } from './environment.ts';
import { sendIcmpv6Error } from './icmp-error.ts';
import { type Kernel, noteAnswer, sendFromKernel } from './kernel.ts';
import { sendReset, sendUnreachable } from './reject.ts';
import type { NamedStates } from './states.ts';

/** What of the machine exists before its rules are compiled. */
export interface ServiceParts {
  host: Host;
  conntrack: Conntrack;
  nat: Nat;
  sets: SetServices;
  states: NamedStates;
  clock: SimulationClock;
  random: RandomGenerator;
  /** The stack, once it is complete: packets only come then. */
  kernel(): Kernel;
}

/** What rules can have the machine do, over its parts. */
export function machineServices(parts: ServiceParts): MachineServices {
  const { kernel, clock, random, states } = parts;
  return {
    host: parts.host,
    conntrack: parts.conntrack,
    nat: parts.nat,
    sets: parts.sets,
    now: () => clock.now,
    random: () => random.next(),
    sendReset(packet, at) {
      if (sendReset(kernel(), packet, at)) kernel().recorder.answered(packet);
    },
    sendUnreachable(packet, at, type, code) {
      if (sendUnreachable(kernel(), packet, at, type, code)) kernel().recorder.answered(packet);
    },
    sendIcmpv6Error(packet, type, code, info) {
      if (sendIcmpv6Error(kernel(), packet, type, code, info)) kernel().recorder.answered(packet);
    },
    sendLocal(packet) {
      packet.local = true;
      packet.kernelMade = true;
      noteAnswer(kernel(), 'a packet of the machine');
      sendFromKernel(kernel(), packet);
    },
    duplicate: (packet, at, gateway, device) => duplicate(kernel(), packet, at, gateway, device),
    establishedSocket: (...ends) => establishedSocket(kernel(), ...ends),
    assignSocket(packet, socket) {
      packet.socket = socket;
    },
    log(_packet, _at, record) {
      kernel().recorder.log(record);
    },
    nflog(packet, at, record) {
      kernel().recorder.nflog(packet, at, record);
    },
    message: (level, line) => kernel().log.limited(level, line),
    namedState: (kind, name, make) => states.named(kind, name, make),
  };
}
