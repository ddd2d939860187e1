import type { ConntrackTemplate } from '../datapath/environment.ts';
import type { HookState } from '../datapath/hooks.ts';
import { LogLevel } from '../datapath/log-level.ts';
import { Verdict, type VerdictCode } from '../datapath/verdicts.ts';
import { wholeAddress } from '../packet/address-text.ts';
import { ConntrackInfo, type Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';
import { confirmEntry } from './confirmation.ts';
import { Direction, Status, type Tuple } from './connection.ts';
import type { Conntrack, ConntrackDependencies } from './contract.ts';
import { ConntrackEntries } from './entries.ts';
import { Entry, Template } from './entry.ts';
import type { Expectation } from './expectations.ts';
import { formatEntry } from './format.ts';
import { helpPacket } from './help.ts';
import { grePacket } from './protocols/gre.ts';
import { type IcmpNature, icmpNature, icmpPacket, icmpv6Nature, icmpv6Packet } from './protocols/icmp.ts';
import { sctpPacket } from './protocols/sctp.ts';
import { closeTcp, tcpPacket } from './protocols/tcp.ts';
import { SenderField, senderAt } from './protocols/tcp-window.ts';
import { udplitePacket, udpPacket } from './protocols/udp.ts';
import { allowShift, initShift } from './sequence.ts';
import type { SynproxyMemory } from './sidelines.ts';
import { loadTable, saveTable } from './store.ts';
import { Extra, Field } from './table.ts';
import { directionOf, Outcome } from './tracking.ts';
import {
  copyTuple,
  invertTuple,
  locateTransport,
  newTupleWords,
  readTuple,
  tupleToWords,
  wordsToTuple,
} from './tuple.ts';

export type { Conntrack, ConntrackDependencies } from './contract.ts';

export function createConntrack(dependencies: ConntrackDependencies): ConntrackService {
  return new ConntrackService(dependencies);
}

const DEFAULT_ZONE = 3 << 16;
/** The value of nf_conntrack_log_invalid that means every protocol. */
const EVERY_PROTOCOL = 255;

/** Connection tracking. What is not in `Conntrack` is for nat/, the conntrack command and tests. */
export class ConntrackService extends ConntrackEntries implements Conntrack {
  private readonly key = newTupleWords();
  private readonly inverse = newTupleWords();

  find(tuple: Tuple, zone: number): Entry | null {
    tupleToWords(tuple, this.inverse);
    const node = this.lookup(this.inverse, 0, zone, zone);
    return node < 0 ? null : this.entry(node >>> 1);
  }

  tupleOf(packet: Packet): Tuple | null {
    return this.readKey(packet) ? wordsToTuple(this.key, 0) : null;
  }

  attachTemplate(packet: Packet, template: ConntrackTemplate): void {
    if (isTaken(packet)) return;
    packet.connection = new Template(template);
  }

  untrack(packet: Packet): void {
    if (!isTaken(packet)) packet.conntrackInfo = ConntrackInfo.untracked;
  }

  private readKey(packet: Packet): boolean {
    const { bytes, family, transport, protocol } = packet;
    if (packet.fragmentOffset !== 0 || protocol < 0 || transport > bytes.length) return false;
    if (family === 6 && protocol === Protocol.noNextHeader) return false;
    return readTuple(bytes, family, 0, protocol, transport, this.key, this.greKey);
  }

  // --- the hooks

  in(packet: Packet, at: HookState): VerdictCode {
    let template: Template | null = null;
    const known = packet.connection;
    if (known !== null) {
      if (!(known instanceof Template)) return Verdict.accept;
      template = known;
      packet.connection = null;
    } else if (packet.conntrackInfo === ConntrackInfo.untracked) {
      if (this.observer !== null) this.observer({ kind: 'conntrack', event: 'untracked', state: 'UNTRACKED' });
      return Verdict.accept;
    }
    const now = this.now();
    if (now >= this.nextSweep) this.sweep(now);

    const { protocol } = packet;
    if (protocol === Protocol.icmp || protocol === Protocol.icmpv6) {
      const verdict = this.handleIcmp(packet, at, template);
      if (verdict !== null) return verdict;
    }
    if (!this.readKey(packet)) return this.invalid(packet, 'too little of it is there to tell its connection');

    for (;;) {
      const found = this.resolve(packet, template, now);
      if (found === null) return this.invalid(packet, this.lastReason);
      if (found === 'full') {
        this.statistics.drop++;
        this.log?.limited(LogLevel.warning, 'nf_conntrack: nf_conntrack: table full, dropping packet');
        if (this.observer !== null) {
          this.observer({ kind: 'conntrack', event: 'full', state: 'INVALID', reason: 'nf_conntrack: table full' });
        }
        return Verdict.drop;
      }
      this.lastReason = '';
      const direction = directionOf(packet);
      const outcome = this.dispatch(found, direction, packet, at);
      if (this.complaints.length > 0) this.logInvalid(packet, at);
      if (outcome === Outcome.accept) {
        if ((packet.conntrackInfo as ConntrackInfo) === ConntrackInfo.establishedReply)
          found.status |= Status.seenReply;
        if (this.observer !== null) this.tell(packet, found, now);
        return Verdict.accept;
      }
      packet.connection = null;
      if (!found.confirmed && (found.status & Status.dying) === 0) this.discard(found);
      if (outcome === Outcome.again) continue;
      packet.conntrackInfo = ConntrackInfo.new;
      return this.invalid(packet, this.lastReason);
    }
  }

  private dispatch(entry: Entry, direction: Direction, packet: Packet, at: HookState): Outcome {
    switch (packet.protocol) {
      case Protocol.tcp:
        return tcpPacket(entry, direction, packet, at, this);
      case Protocol.udp:
        return udpPacket(entry, direction, packet, at, this);
      case Protocol.icmp:
        return icmpPacket(entry, direction, packet, this);
      case Protocol.icmpv6:
        return icmpv6Packet(entry, direction, packet, this);
      case Protocol.sctp:
        return sctpPacket(entry, direction, packet, at, this);
      case Protocol.gre:
        return grePacket(entry, direction, packet, this);
      case Protocol.udplite:
        return udplitePacket(entry, direction, packet, at, this);
      default:
        this.refresh(entry, direction, packet, this.settings.generic);
        return Outcome.accept;
    }
  }

  /** nf_l4proto_log_invalid. */
  private logInvalid(packet: Packet, at: HookState): void {
    const { logInvalid } = this.settings;
    if (logInvalid === EVERY_PROTOCOL || logInvalid === packet.protocol) {
      for (const complaint of this.complaints) {
        this.log?.packet(packet, at, `nf_ct_proto_${packet.protocol}: ${complaint}`);
      }
    }
    this.complaints.length = 0;
  }

  private invalid(packet: Packet, reason: string): VerdictCode {
    this.statistics.invalid++;
    packet.connection = null;
    if (this.observer !== null) {
      this.observer({ kind: 'conntrack', event: 'invalid', state: 'INVALID', ...(reason === '' ? {} : { reason }) });
    }
    return Verdict.accept;
  }

  private tell(packet: Packet, entry: Entry, now: number): void {
    const state =
      packet.conntrackInfo === ConntrackInfo.new
        ? 'NEW'
        : packet.conntrackInfo === ConntrackInfo.related || packet.conntrackInfo === ConntrackInfo.relatedReply
          ? 'RELATED'
          : 'ESTABLISHED';
    this.observer?.({
      kind: 'conntrack',
      event: entry.confirmed ? 'looked-up' : 'created',
      state,
      entry: formatEntry(entry, now),
      ...(this.lastReason === '' ? {} : { reason: this.lastReason }),
    });
  }

  /** The packet's entry, found or made; null: it cannot have one; 'full': no room (resolve_normal_ct). Sets connection and info of the packet. */
  private resolve(packet: Packet, template: Template | null, now: number): Entry | null | 'full' {
    const zone = zoneWord(template, packet);
    const original = zoneIn(zone, Direction.original);
    const reply = zoneIn(zone, Direction.reply);
    const node = this.table.find(this.key, 0, original, reply, now, this.bury);
    if (node < 0) {
      const made = this.create(template, zone, now);
      if (made instanceof Entry) {
        packet.connection = made;
        packet.conntrackInfo = (made.status & Status.expected) !== 0 ? ConntrackInfo.related : ConntrackInfo.new;
      }
      return made;
    }
    const entry = this.entry(node >>> 1);
    packet.connection = entry;
    if ((node & 1) === Direction.reply) packet.conntrackInfo = ConntrackInfo.establishedReply;
    else if ((entry.status & Status.seenReply) !== 0) packet.conntrackInfo = ConntrackInfo.established;
    else if ((entry.status & Status.expected) !== 0) packet.conntrackInfo = ConntrackInfo.related;
    else packet.conntrackInfo = ConntrackInfo.new;
    return entry;
  }

  /** init_conntrack. */
  private create(template: Template | null, zone: number, now: number): Entry | null | 'full' {
    if (!invertTuple(this.key, 0, this.inverse, 0)) {
      this.lastReason = 'a packet of this type begins no connection';
      return null;
    }
    if (this.table.count >= this.settings.max && !this.makeRoom(this.key, now)) return 'full';
    const slot = this.table.allocate();
    const entry = this.entry(slot);
    const { words, base } = entry;
    copyTuple(this.key, 0, words, base);
    copyTuple(this.inverse, 0, words, base + Field.reply);
    words[base + Field.zone] = zone;
    if (this.settings.accounting) entry.setExtra(Extra.accounting);
    if (template?.content.synproxy === true) {
      entry.setExtra(Extra.synproxy);
      this.sidelines.synproxies.set(slot, { initialSequence: 0, initialTimestamp: 0, timestampOffset: 0 });
      allowShift(entry, this.sidelines);
    }
    const expectation = this.expectations.count === 0 ? null : this.expectations.take(this.key, zone & 0xffff, now);
    if (expectation !== null) this.becomeExpected(entry, expectation);
    else if (template?.content.helper !== undefined) this.assignHelper(entry, template.content.helper);
    return entry;
  }

  private becomeExpected(entry: Entry, expectation: Expectation): void {
    const master = this.entry(expectation.master);
    this.statistics.expectNew++;
    entry.status |= Status.expected;
    entry.mark = master.mark;
    entry.secmark = master.secmark;
    this.setMaster(entry, expectation.master);
    if (expectation.assign !== null) this.assignHelper(entry, expectation.assign);
    if (expectation.translate !== null) this.nat?.translateExpected(entry, expectation);
    if (this.observer !== null) {
      this.observer({
        kind: 'conntrack',
        event: 'expected',
        state: 'RELATED',
        entry: formatEntry(entry, this.now()),
        reason: `expected by ${expectation.helper}`,
      });
    }
  }

  private handleIcmp(packet: Packet, at: HookState, template: Template | null): VerdictCode | null {
    if (packet.fragmentOffset !== 0) return null;
    let nature: IcmpNature;
    if (packet.family === 4 && packet.protocol === Protocol.icmp) nature = icmpNature(packet, at, this);
    else if (packet.family === 6 && packet.protocol === Protocol.icmpv6) nature = icmpv6Nature(packet, at, this);
    else return null;
    switch (nature.kind) {
      case 'message':
        return null;
      case 'invalid':
        this.statistics.error++;
        this.reason(nature.reason, nature.complaint);
        this.logInvalid(packet, at);
        return this.invalid(packet, nature.reason);
      case 'untracked':
        this.statistics.error++;
        packet.conntrackInfo = ConntrackInfo.untracked;
        if (this.observer !== null) this.observer({ kind: 'conntrack', event: 'untracked', state: 'UNTRACKED' });
        return Verdict.accept;
      case 'error':
        this.statistics.error++;
        return this.relate(packet, at, nature.quoteOffset, template);
    }
  }

  /** An ICMP error belongs to the connection of the packet that it quotes (nf_conntrack_inet_error). */
  private relate(packet: Packet, at: HookState, quoteOffset: number, template: Template | null): VerdictCode {
    const { bytes, family } = packet;
    const place = locateTransport(bytes, family, quoteOffset);
    if (
      place === null ||
      !readTuple(bytes, family, quoteOffset, place.protocol, place.transport, this.key, this.greKey) ||
      !invertTuple(this.key, 0, this.inverse, 0)
    ) {
      return this.invalid(packet, 'the quoted packet cannot be told');
    }
    const zone = zoneWord(template, packet);
    const node = this.lookup(this.inverse, 0, zoneIn(zone, Direction.original), zoneIn(zone, Direction.reply));
    if (node < 0) return this.invalid(packet, 'the quoted packet belongs to no connection');
    const entry = this.entry(node >>> 1);
    const direction = (node & 1) as Direction;
    const tuple = entry.tupleAt(direction);
    for (let i = 0; i < 4; i++) {
      if (entry.words[tuple + 4 + i] !== packet.dst[i]) {
        const inner = entry.words.subarray(tuple + 4, tuple + 8);
        const reason = 'it does not go to the sender of the quoted packet';
        this.reason(reason, `outer daddr ${wholeAddress(family, packet.dst)} != inner ${wholeAddress(family, inner)}`);
        this.logInvalid(packet, at);
        return this.invalid(packet, reason);
      }
    }
    packet.connection = entry;
    packet.conntrackInfo = direction === Direction.reply ? ConntrackInfo.relatedReply : ConntrackInfo.related;
    if (this.observer !== null) {
      this.observer({
        kind: 'conntrack',
        event: 'related',
        state: 'RELATED',
        entry: formatEntry(entry, this.now()),
      });
    }
    return Verdict.accept;
  }

  help(packet: Packet, _at: HookState): VerdictCode {
    return helpPacket(this, packet);
  }

  confirm(packet: Packet, _at: HookState): VerdictCode {
    const verdict = confirmEntry(this, packet);
    if (this.teller !== null && verdict === Verdict.accept) {
      const entry = packet.connection;
      if (
        entry instanceof Entry &&
        (entry.status & (Status.confirmed | Status.dying | Status.natClash)) === Status.confirmed
      ) {
        this.teller.passed(entry);
      }
    }
    return verdict;
  }

  release(packet: Packet): void {
    const entry = packet.connection;
    if (!(entry instanceof Entry) || entry.confirmed || packet.conntrackInfo >= 3) return;
    if ((entry.status & Status.dying) === 0 && entry.id !== 0) this.discard(entry);
    packet.connection = null;
  }

  attach(answer: Packet, cause: Packet): void {
    const { connection } = cause;
    // Related to nothing it is, which keeps NOTRACK and CT off (nf_conntrack_attach).
    if (cause.conntrackInfo === ConntrackInfo.untracked) answer.conntrackInfo = ConntrackInfo.related;
    if (!(connection instanceof Entry)) return;
    answer.connection = connection;
    answer.conntrackInfo = cause.conntrackInfo >= 3 ? ConntrackInfo.related : ConntrackInfo.relatedReply;
  }

  close(packet: Packet): void {
    const entry = packet.connection;
    if (entry instanceof Entry && entry.confirmed && entry.protocol === Protocol.tcp) closeTcp(entry, this);
  }

  synproxy(packet: Packet): SynproxyMemory | null {
    const entry = packet.connection;
    return entry instanceof Entry ? (this.sidelines.synproxies.get(entry.slot) ?? null) : null;
  }

  shiftSequence(packet: Packet, bytes: number): void {
    if (packet.connection instanceof Entry) {
      initShift(packet.connection, this.sidelines, directionOf(packet), bytes);
    }
  }

  clientWindow(packet: Packet): number {
    const entry = packet.connection;
    return entry instanceof Entry ? entry.words[senderAt(entry, Direction.original) + SenderField.maxWindow]! : 0;
  }

  save(): string {
    return saveTable(this, this.now());
  }

  load(text: string): void {
    loadTable(this, text, this.now());
  }
}

/** Zone of a packet without an entry: id, and above bit 16 the directions for which it holds. */
/** Whether there stands something already where a packet has its connection (`skb->_nfct`). */
function isTaken({ connection, conntrackInfo }: Packet): boolean {
  return connection !== null || conntrackInfo !== ConntrackInfo.new;
}

function zoneWord(template: Template | null, packet: Packet): number {
  if (template === null) return DEFAULT_ZONE;
  const { zone = 0, zoneDirection = 'both', zoneFromMark = false } = template.content;
  const directions = zoneDirection === 'both' ? 3 : zoneDirection === 'original' ? 1 : 2;
  return ((zoneFromMark ? packet.mark : zone) & 0xffff) | (directions << 16);
}

function zoneIn(word: number, direction: Direction): number {
  return (word >>> (16 + direction)) & 1 ? word & 0xffff : 0;
}
