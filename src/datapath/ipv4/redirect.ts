import { formatAddress4 } from '../../packet/address-text.ts';
import type { Packet } from '../../packet/packet.ts';
import { sendIcmpError } from '../icmp-error.ts';
import { addressOf, type Kernel } from '../kernel.ts';
import { LogLevel } from '../log-level.ts';
import { MOST_REDIRECTS } from './peers.ts';

const REDIRECT = 5;
const FOR_HOST = 1;

/** Tells the sender of a better way for a packet that goes back out of the interface where it came in (ip_rt_send_redirect). */
export function redirect(kernel: Kernel, packet: Packet): void {
  const [source] = addressOf(packet.src);
  const due = kernel.peers.nextRedirect(source, kernel.clock.now);
  if (due === 0) return;
  const [nextHop] = packet.route!.gateway ?? addressOf(packet.dst);
  sendIcmpError(kernel, packet, REDIRECT, FOR_HOST, nextHop);
  const device = packet.inDevice!;
  if (due < MOST_REDIRECTS || kernel.host.interfaceSysctl(4, device, 'log_martians') === 0) return;
  const [from, to, gateway] = [source, packet.dst[0]!, nextHop].map(formatAddress4);
  kernel.log.limited(
    LogLevel.warning,
    `IPv4: host ${from}/if${device.index} ignores redirects for ${to} to ${gateway}`,
  );
}
