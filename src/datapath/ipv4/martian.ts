import type { Device } from '../../host/device.ts';
import { formatAddress4 } from '../../packet/address-text.ts';
import type { Packet } from '../../packet/packet.ts';
import type { Kernel } from '../kernel.ts';
import { LogLevel } from '../log-level.ts';

/** A martian, where log_martians asks to be told, with the link header: the only hint at where it came from (RFC 1812 5.3.8). */
export function logMartian(kernel: Kernel, packet: Packet, device: Device, what: 'source' | 'destination'): void {
  if (kernel.host.interfaceSysctl(4, device, 'log_martians') === 0) return;
  const [from, to] = [formatAddress4(packet.src[0]!), formatAddress4(packet.dst[0]!)];
  if (what === 'destination') {
    kernel.log.limited(LogLevel.warning, `IPv4: martian destination ${to} from ${from}, dev ${device.name}`);
    return;
  }
  const header = packet.linkHeader ?? [];
  const octets = Array.from(header, (octet) => octet.toString(16).padStart(2, '0')).join(' ');
  kernel.log.limited(
    LogLevel.warning,
    `IPv4: martian source ${to} from ${from}, on dev ${device.name}`,
    ...(octets === '' ? [] : [`ll header: 00000000: ${octets}`]),
  );
}
