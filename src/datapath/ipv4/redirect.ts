import type { Packet } from '../../packet/packet.ts';
import { sendIcmpError } from '../icmp-error.ts';
import { addressOf, type Kernel } from '../kernel.ts';

const REDIRECT = 5;
const FOR_HOST = 1;

/** Tells the sender of a better way for a packet that goes back out of the interface where it came in (ip_rt_send_redirect). */
export function redirect(kernel: Kernel, packet: Packet): void {
  const [source] = addressOf(packet.src);
  if (!kernel.peers.allowsRedirect(source, kernel.clock.now)) return;
  const [nextHop] = packet.route!.gateway ?? addressOf(packet.dst);
  sendIcmpError(kernel, packet, REDIRECT, FOR_HOST, nextHop);
}
