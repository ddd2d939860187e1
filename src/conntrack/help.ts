import { Verdict, type VerdictCode } from '../datapath/verdicts.ts';
import { ConntrackInfo, type Packet } from '../packet/packet.ts';
import { applicationOf } from './applications/registry.ts';
import { Status } from './connection.ts';
import type { ConntrackEntries } from './entries.ts';
import { Entry } from './entry.ts';
import { adjustSequence } from './sequence.ts';
import { Extra } from './table.ts';
import { directionOf } from './tracking.ts';

/** A packet leaves the machine or reaches a process: its connection's helper sees it, and sequence numbers are adjusted (nf_confirm's first half). */
export function helpPacket(entries: ConntrackEntries, packet: Packet): VerdictCode {
  const entry = packet.connection;
  if (!(entry instanceof Entry) || !entry.has(Extra.helper | Extra.sequence)) return Verdict.accept;
  const adjust = (entry.status & Status.sequenceAdjust) !== 0 && packet.outDevice?.kind !== 'loopback';
  if (!entry.has(Extra.helper) && !adjust) return Verdict.accept;
  if (packet.conntrackInfo === ConntrackInfo.relatedReply || packet.fragmentOffset !== 0) return Verdict.accept;
  const direction = directionOf(packet);
  const assigned = entry.has(Extra.helper) ? entries.sidelines.helpers.get(entry.slot) : undefined;
  if (assigned !== undefined) {
    const { name, memory } = assigned;
    const application = applicationOf(name);
    if (application === null) {
      entries.observer?.({ kind: 'note', text: `the helper ${name} is assigned, but what it does is not simulated` });
    } else {
      // nf_ct_helper_log
      const log = (message: string): void =>
        entries.log?.packet(packet, null, `nf_ct_${name}: dropping packet: ${message}`);
      const reason = application.help({ packet, entry, direction, memory, conntrack: entries, log });
      if (reason !== null) {
        entries.observer?.({ kind: 'dropped', reason: `helper ${name}: ${reason}` });
        return Verdict.drop;
      }
    }
  }
  return adjust && !adjustSequence(entry, entries.sidelines, direction, packet) ? Verdict.drop : Verdict.accept;
}
