import { readUint32 } from '../packet/bytes.ts';
import type { Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';
import type { SocketAnswer } from './environment.ts';
import type { Kernel } from './kernel.ts';

/** Protocol, both addresses and ports of a packet, the machine's own first; null if its protocol has no ports. */
function socketKey({ bytes, transport, protocol, src, dst }: Packet, own: 'source' | 'destination'): string | null {
  if ((protocol !== Protocol.tcp && protocol !== Protocol.udp) || transport + 4 > bytes.length) return null;
  const ports = readUint32(bytes, transport);
  return own === 'source'
    ? `${protocol} ${src.join()} ${dst.join()} ${ports >>> 16} ${ports & 0xffff}`
    : `${protocol} ${dst.join()} ${src.join()} ${ports & 0xffff} ${ports >>> 16}`;
}

/** The process that sends the packet has a socket of its own for what comes back. */
export function connectSocket(kernel: Kernel, packet: Packet): void {
  const key = socketKey(packet, 'source');
  if (key === null || kernel.connected.has(key)) return;
  const owner = packet.owner ?? { uid: 0, gid: 0 };
  kernel.connected.set(key, { owner, wildcard: false, transparent: false, mark: packet.mark });
}

/** The connected socket that a received packet is for; null if there is none. */
export function connectedSocket(kernel: Kernel, packet: Packet): SocketAnswer | null {
  if (kernel.connected.size === 0) return null;
  const key = socketKey(packet, 'destination');
  return key === null ? null : (kernel.connected.get(key) ?? null);
}
