import type { Packet } from '../../packet/packet.ts';
import { sendIcmpError } from '../icmp-error.ts';
import { addressOf, type Kernel } from '../kernel.ts';

const REDIRECT = 5;
const FOR_HOST = 1;

/**
 * Tells the sender of a better way, if the packet goes back out of the interface where it came in and that interface may
 * (`send_redirects`): its sender and the next hop have to be on one link there (ip_rt_send_redirect).
 */
export function redirect(kernel: Kernel, packet: Packet): void {
  const route = packet.route!;
  const device = packet.inDevice!;
  if (route.device !== device || kernel.host.interfaceSysctl(4, device, 'send_redirects') === 0) return;
  const back = kernel.host.route({ family: 4, destination: addressOf(packet.src) });
  if (back.device !== device || back.gateway !== null) return;
  const nextHop = route.gateway ?? addressOf(packet.dst);
  if (nextHop[0] === packet.src[0]) return;
  sendIcmpError(kernel, packet, REDIRECT, FOR_HOST, nextHop[0]);
}
