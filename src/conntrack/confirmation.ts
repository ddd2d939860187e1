import { Verdict, type VerdictCode } from '../datapath/verdicts.ts';
import type { Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';
import { Direction, Status } from './connection.ts';
import type { ConntrackEntries } from './entries.ts';
import { Entry } from './entry.ts';
import { formatEntry } from './format.ts';
import { Extra, Field } from './table.ts';
import { directionOf } from './tracking.ts';
import { sameTuple, TUPLE_WORDS } from './tuple.ts';

/** No zone. */
const NOWHERE = -1;

/** A packet leaves the machine or reaches a process: its new entry goes into the table (__nf_conntrack_confirm). */
export function confirmEntry(entries: ConntrackEntries, packet: Packet): VerdictCode {
  const entry = packet.connection;
  if (!(entry instanceof Entry) || entry.confirmed || packet.conntrackInfo >= 3) return Verdict.accept;
  if ((entry.status & Status.dying) !== 0) return Verdict.drop;
  const { words, base } = entry;
  const original = entry.zone(Direction.original);
  const reply = entry.zone(Direction.reply);
  // Each tuple is only looked for where its own zone puts it: with zones of one direction the other direction's entries lie elsewhere.
  const whole = original === reply;
  let rival = entries.lookup(words, base, original, whole ? reply : NOWHERE);
  if (rival < 0) rival = entries.lookup(words, base + Field.reply, whole ? original : NOWHERE, reply);
  if (rival >= 0) return resolveClash(entries, packet, entry, rival);
  entries.insert(entry);
  if (entries.observer !== null) {
    const now = entries.now();
    entries.observer({
      kind: 'conntrack',
      event: 'confirmed',
      state: (entry.status & Status.expected) !== 0 ? 'RELATED' : 'NEW',
      entry: formatEntry(entry, now),
    });
  }
  return Verdict.accept;
}

/**
 * Another entry has one of the tuples (nf_ct_resolve_clash): for UDP and the like the packet joins it if it is the same flow, or its own
 * entry is found by replies only; otherwise the packet is dropped.
 */
function resolveClash(entries: ConntrackEntries, packet: Packet, loser: Entry, rival: number): VerdictCode {
  const drop = (): VerdictCode => {
    entries.statistics.drop++;
    entries.statistics.insertFailed++;
    entries.observer?.({
      kind: 'conntrack',
      event: 'clash',
      state: 'NEW',
      reason: 'another connection has its addresses and ports',
    });
    return Verdict.drop;
  };
  if (!allowsClash(loser.protocol)) return drop();
  if (join(entries, packet, loser, entries.entry(rival >>> 1))) return Verdict.accept;
  const other = entries.lookup(
    loser.words,
    loser.base + Field.reply,
    loser.zone(Direction.original),
    loser.zone(Direction.reply),
  );
  if (other >= 0) return join(entries, packet, loser, entries.entry(other >>> 1)) ? Verdict.accept : drop();
  entries.statistics.clashResolve++;
  loser.expiry = entries.now() + 1e6;
  loser.status |= Status.fixedTimeout | Status.natClash | Status.confirmed;
  entries.table.link(loser.slot, Direction.reply);
  entries.observer?.({ kind: 'conntrack', event: 'clash', state: 'NEW', reason: 'only replies will find this entry' });
  return Verdict.accept;
}

function join(entries: ConntrackEntries, packet: Packet, loser: Entry, winner: Entry): boolean {
  const a = winner.words;
  const b = loser.words;
  const same = (left: number, right: number) => sameTuple(a, winner.base + left, b, loser.base + right);
  const equal = same(0, 0) && same(TUPLE_WORDS, TUPLE_WORDS) && winner.zoneWord === loser.zoneWord;
  const reverse =
    same(0, TUPLE_WORDS) &&
    same(TUPLE_WORDS, 0) &&
    winner.zone(Direction.original) === loser.zone(Direction.reply) &&
    winner.zone(Direction.reply) === loser.zone(Direction.original);
  if (!equal && !reverse) return false;
  const direction = directionOf(packet);
  entries.statistics.clashResolve++;
  if (winner.has(Extra.accounting)) winner.count(direction, 1, packet.bytes.length);
  packet.connection = winner;
  entries.discard(loser);
  return true;
}

/** Protocols whose packets survive a race for the same tuple (`allow_clash`). */
export function allowsClash(protocol: number): boolean {
  switch (protocol) {
    case Protocol.tcp:
    case Protocol.sctp:
    case Protocol.icmp:
    case Protocol.icmpv6:
      return false;
    default:
      return true;
  }
}
