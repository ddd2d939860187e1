import { toHex } from '../packet/bytes.ts';
import { packetText } from '../trace/packet-text.ts';
import { stepObject } from '../trace/reporters/json.ts';
import type { Conversation } from './converse.ts';
import type { Hop, Lost } from './network.ts';

/** A conversation as plain data: what `iptsim net trace --json` prints. */
export function conversationObject(conversation: Conversation): Record<string, unknown> {
  const { packets, ...rest } = conversation;
  return { ...rest, packets: packets.map(({ from, root }) => ({ from, ...hopObject(root) })) };
}

function hopObject(hop: Hop): Record<string, unknown> {
  const { out, ...outcome } = hop.outcome;
  return {
    host: hop.host,
    link: hop.link,
    in: hop.in?.name ?? null,
    time: hop.time / 1e6,
    packet: packetText(hop.bytes),
    hex: toHex(hop.bytes),
    ...outcome,
    out: out?.name ?? null,
    delivered: hop.delivered.map(({ bytes }) => toHex(bytes)),
    steps: hop.steps.map(stepObject),
    next: hop.next.map((next: Hop | Lost) =>
      next.kind === 'hop' ? hopObject(next) : { lost: next.reason, out: next.out, link: next.link },
    ),
  };
}
