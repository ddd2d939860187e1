import type { Packet } from './packet.ts';

/** Gives a packet what its description said beyond its bytes: `cpu` is a field of its own, the rest is kept by its key. */
export function applyDescription(packet: Packet, described: Readonly<Record<string, string>> | null | undefined): void {
  packet.described = described ?? null;
  if (described?.cpu !== undefined) packet.cpu = Number(described.cpu);
}
