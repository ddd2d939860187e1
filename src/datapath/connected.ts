import { readUint32 } from '../packet/bytes.ts';
import type { AddressWords } from '../packet/family.ts';
import type { Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';
import type { SocketAnswer } from './environment.ts';
import type { Kernel } from './kernel.ts';

/** Protocol, both addresses and ports of a packet, the machine's own first; null if its protocol has no ports. */
export function socketKey(
  { bytes, transport, protocol, src, dst }: Packet,
  own: 'source' | 'destination',
): string | null {
  if ((protocol !== Protocol.tcp && protocol !== Protocol.udp) || transport + 4 > bytes.length) return null;
  const ports = readUint32(bytes, transport);
  return own === 'source'
    ? keyOf(protocol, src, ports >>> 16, dst, ports & 0xffff)
    : keyOf(protocol, dst, ports & 0xffff, src, ports >>> 16);
}

type Address = Uint32Array | AddressWords;

function keyOf(protocol: number, own: Address, ownPort: number, other: Address, otherPort: number): string {
  return `${protocol} ${own.join()} ${other.join()} ${ownPort} ${otherPort}`;
}

/** The process that sends the packet has a socket of its own for what comes back. */
export function connectSocket(kernel: Kernel, packet: Packet): void {
  const key = socketKey(packet, 'source');
  if (key === null) return;
  if (packet.protocol === Protocol.tcp && isOpening(packet)) kernel.finished.delete(key);
  if (kernel.connected.has(key)) return;
  const owner = packet.owner ?? { uid: 0, gid: 0 };
  kernel.connected.set(key, { owner, wildcard: false, transparent: false, mark: packet.mark });
}

/** The connected socket that a received packet is for; null if there is none. */
export function connectedSocket(kernel: Kernel, packet: Packet): SocketAnswer | null {
  if (kernel.connected.size === 0) return null;
  const key = socketKey(packet, 'destination');
  return key === null ? null : (kernel.connected.get(key) ?? null);
}

/**
 * The socket of a connection, be it open or asked for only, that packets from `source` to `destination` belong to (inet_lookup_established);
 * null if there is none.
 */
export function establishedSocket(
  { connected, requests }: Kernel,
  protocol: number,
  source: AddressWords,
  sourcePort: number,
  destination: AddressWords,
  destinationPort: number,
): SocketAnswer | null {
  if (connected.size === 0 && requests.size === 0) return null;
  const key = keyOf(protocol, destination, destinationPort, source, sourcePort);
  return connected.get(key) ?? requests.get(key)?.socket ?? null;
}

/**
 * A segment for a connected socket. True if it opens another connection: a SYN after the other end had finished; the old socket is gone
 * then.
 */
export function reopensConnection(kernel: Kernel, packet: Packet): boolean {
  const key = socketKey(packet, 'destination')!;
  if (packet.bytes[packet.transport + 13]! & FIN) kernel.finished.add(key);
  if (!isOpening(packet) || !kernel.finished.delete(key)) return false;
  kernel.connected.delete(key);
  return true;
}

function isOpening({ bytes, transport }: Packet): boolean {
  return (bytes[transport + 13]! & (SYN | ACK | RST)) === SYN;
}

const [FIN, SYN, RST, ACK] = [1, 2, 4, 16] as const;
