import type { Device } from '../host/device.ts';
import type { AddressWords } from '../packet/family.ts';
import { ConntrackInfo, type Packet } from '../packet/packet.ts';
import { setDontFragment, setTtl, sumHeader, ttlOf } from '../packet/rewrite.ts';
import { Hook, type HookState } from './hooks.ts';
import { type Kernel, localOut, noteAnswer, usable } from './kernel.ts';
import { pieceOf } from './output.ts';

/**
 * TEE: a copy of the packet as it is now goes to the gateway, untracked, through OUTPUT and POSTROUTING (nf_dup_ipv4, nf_dup_ipv6). While it is on its way
 * nothing else is copied, neither the copy nor what the machine answers to it (in_nf_duplicate).
 */
export function duplicate(
  kernel: Kernel,
  packet: Packet,
  at: HookState,
  gateway: AddressWords,
  device: Device | null,
): void {
  if (kernel.duplicating) return;
  const route = kernel.host.route({
    family: packet.family,
    destination: gateway,
    ...(device === null ? {} : { outDevice: device }),
  });
  if (!usable(route)) return;
  const copy = pieceOf(packet, packet.bytes.slice());
  copy.isCopy = true;
  copy.sharesBytes = false;
  // It belongs to no socket (pskb_copy).
  copy.owner = copy.listener = null;
  copy.controlSocket = false;
  // The pieces are shared with the original, so that the copy is cut anew.
  copy.fragmentSizes = null;
  copy.local = true;
  copy.connection = null;
  copy.conntrackInfo = ConntrackInfo.untracked;
  if (copy.family === 4) setDontFragment(copy, true);
  if (at.hook === Hook.prerouting || at.hook === Hook.input) setTtl(copy, (ttlOf(copy) - 1) & 0xff);
  copy.route = { ...route, gateway: route.gateway ?? gateway };
  copy.copiedFrom = packet.inDevice;
  copy.inDevice = route.device;
  copy.outDevice = route.device;
  // Options may have been filled in since (ip_send_check in __ip_local_out).
  if (copy.family === 4) sumHeader(copy);
  noteAnswer(kernel, 'a copy (TEE)');
  kernel.duplicating = true;
  localOut(kernel, copy);
  kernel.duplicating = false;
}
