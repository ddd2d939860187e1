import type { Packet } from '../packet/packet.ts';
import type { Kernel } from './kernel.ts';

export function fragmentIpv4(_kernel: Kernel, packet: Packet): Uint8Array[] | null {
  return [packet.bytes];
}
export function fragmentIpv6(_kernel: Kernel, packet: Packet): Uint8Array[] | null {
  return [packet.bytes];
}
export function fragmentOnBridge(_kernel: Kernel, packet: Packet, _mtu: number): Uint8Array[] | null {
  return [packet.bytes];
}
