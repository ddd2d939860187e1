/**
 * Lines of the kernel log about packets, as LOG and legacy TRACE write them (net/netfilter/nf_log_syslog.c). A line ends with a
 * blank, except where the kernel stops early.
 */
import type { HookState } from '../../../datapath/hooks.ts';
import type { Packet } from '../../../packet/packet.ts';
import { ipv4Text } from './ipv4.ts';
import { ipv6Text } from './ipv6.ts';
import { LogFlag, type LogStyle } from './style.ts';

export { DEFAULT_FLAGS, LogFlag, type LogStyle } from './style.ts';

/** The line about a packet at a hook. */
export function formatLogLine(packet: Packet, at: HookState, { prefix, flags }: LogStyle): string {
  const { inDevice, outDevice } = at;
  const { physicalIn, physicalOut } = packet;
  let text = `${prefix}IN=${inDevice?.name ?? ''} OUT=${outDevice?.name ?? ''} `;
  if (physicalIn !== null && physicalIn !== inDevice) text += `PHYSIN=${physicalIn.name} `;
  if (physicalOut !== null && physicalOut !== outDevice) text += `PHYSOUT=${physicalOut.name} `;
  if (inDevice !== null) text += linkText(packet, (outDevice ?? inDevice).kind === 'loopback', flags);
  return text + (packet.family === 4 ? ipv4Text(packet, flags) : ipv6Text(packet, flags));
}

/** The link header; `loopback`: the device the packet is at now is no Ethernet. */
function linkText(packet: Packet, loopback: boolean, flags: number): string {
  const { linkHeader } = packet;
  if (flags & LogFlag.macDecode && !loopback) {
    if (linkHeader === null) return '';
    const type = ((linkHeader[12]! << 8) | linkHeader[13]!).toString(16).padStart(4, '0');
    return `MACSRC=${octets(linkHeader, 6, 12)} MACDST=${octets(linkHeader, 0, 6)} MACPROTO=${type} `;
  }
  return `MAC=${linkHeader === null ? '' : octets(linkHeader, 0, 14)} `;
}

function octets(bytes: Uint8Array, start: number, end: number): string {
  return Array.from(bytes.subarray(start, end), (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
