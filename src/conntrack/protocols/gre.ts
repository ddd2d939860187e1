import type { Packet } from '../../packet/packet.ts';
import { type Direction, Status } from '../connection.ts';
import type { Entry } from '../entry.ts';
import { Field } from '../table.ts';
import { Outcome, type Tracking } from '../tracking.ts';

/** Doubles of a GRE entry, counted from `Field.protocol`: timeouts in microseconds, as they were when it began (PPTP sets its own). */
export const GreField = { timeout: 0, streamTimeout: 1 } as const;

/** A packet of a GRE flow (nf_conntrack_gre_packet). */
export function grePacket(entry: Entry, direction: Direction, packet: Packet, tracking: Tracking): Outcome {
  const own = (entry.base + Field.protocol) >>> 1;
  if (!entry.confirmed) {
    entry.doubles[own + GreField.timeout] = tracking.settings.gre;
    entry.doubles[own + GreField.streamTimeout] = tracking.settings.greStream;
  }
  const replied = (entry.status & Status.seenReply) !== 0;
  const timeout = entry.doubles[own + (replied ? GreField.streamTimeout : GreField.timeout)]!;
  tracking.refresh(entry, direction, packet, timeout);
  if (replied && (entry.status & Status.natClash) === 0) entry.status |= Status.assured;
  return Outcome.accept;
}
