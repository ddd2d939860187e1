import type { Nat } from '../nat/service.ts';
import { duplicate } from './duplicate.ts';
import type { MachineServices, SetServices } from './environment.ts';
import { type Kernel, noteAnswer, sendFromKernel } from './kernel.ts';
import { sendReset, sendUnreachable } from './reject.ts';
import type { NamedStates } from './states.ts';

/** What rules can have the machine do, over its parts. `kernel` is asked for when it is used: rules are compiled before it is complete. */
export function machineServices(
  kernel: () => Kernel,
  nat: Nat,
  sets: SetServices,
  states: NamedStates,
): MachineServices {
  return {
    get host() {
      return kernel().host;
    },
    get conntrack() {
      return kernel().conntrack;
    },
    nat,
    sets,
    now: () => kernel().clock.now,
    random: () => kernel().random.next(),
    sendReset(packet, at) {
      if (sendReset(kernel(), packet, at)) kernel().recorder.answered(packet);
    },
    sendUnreachable(packet, at, type, code) {
      if (sendUnreachable(kernel(), packet, at, type, code)) kernel().recorder.answered(packet);
    },
    sendLocal(packet) {
      packet.local = true;
      packet.kernelMade = true;
      noteAnswer(kernel(), 'a packet of the machine');
      sendFromKernel(kernel(), packet);
    },
    duplicate: (packet, at, gateway, device) => duplicate(kernel(), packet, at, gateway, device),
    assignSocket(packet, socket) {
      packet.socket = socket;
    },
    log(_packet, _at, record) {
      kernel().recorder.log(record);
    },
    nflog(packet, at, record) {
      kernel().recorder.nflog(packet, at, record);
    },
    namedState: (kind, name, make) => states.named(kind, name, make),
  };
}
