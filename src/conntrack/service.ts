import type { ConntrackServices, ConntrackTemplate } from '../datapath/environment.ts';
import type { HookState } from '../datapath/hooks.ts';
import { Verdict, type VerdictCode } from '../datapath/verdicts.ts';
import { ConntrackInfo, type Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';
import type { Observer } from '../trace/steps.ts';
import { applicationOf, policyOf } from './applications/registry.ts';
import { Direction, Status, type Tuple } from './connection.ts';
import { Entry, Template } from './entry.ts';
import { type Expectation, Expectations } from './expectations.ts';
import { formatEntry } from './format.ts';
import { grePacket } from './protocols/gre.ts';
import { type IcmpNature, icmpNature, icmpPacket, icmpv6Nature, icmpv6Packet } from './protocols/icmp.ts';
import { sctpPacket } from './protocols/sctp.ts';
import { tcpPacket } from './protocols/tcp.ts';
import { udplitePacket, udpPacket } from './protocols/udp.ts';
import { adjustSequence, shiftAt } from './sequence.ts';
import { readSettings, type Settings } from './settings.ts';
import { Sidelines } from './sidelines.ts';
import { loadTable, saveTable } from './store.ts';
import { ConntrackTable, Extra, Field } from './table.ts';
import { Outcome, type Tracking } from './tracking.ts';
import {
  hashTuple,
  invertTuple,
  locateTransport,
  newTupleWords,
  readTuple,
  sameTuple,
  TUPLE_WORDS,
  tupleToWords,
  wordsToTuple,
} from './tuple.ts';

/** What connection tracking needs from outside. */
export interface ConntrackDependencies {
  /** Simulation clock, microseconds since the epoch. */
  now(): number;
  /** The next 32 random bits of the seeded generator. */
  random(): number;
  /** Value of `net.netfilter.nf_conntrack_*`; read once, when the service is made. */
  sysctl(name: string): number;
}

/**
 * Connection tracking as the datapath drives it. Each function stands for a hook function of
 * net/netfilter/nf_conntrack_core.c; the caller decides in which families they are called at all
 * (the kernel registers them only when a rule needs them).
 */
export interface Conntrack extends ConntrackServices {
  /** Who hears of lookups, new entries, confirmations; null: nobody, at no cost. */
  observer: Observer | null;

  /** Whether packets and bytes of new entries are counted (nf_conntrack_acct); a `connbytes` rule switches it on. */
  accounting: boolean;

  /**
   * PREROUTING and OUTPUT, entry `conntrack` (nf_conntrack_in): sets `packet.connection` and `packet.conntrackInfo`.
   * INVALID is `connection === null` with any info but `untracked`. The verdict is accept, or drop (table full).
   * A packet that already has a connection (looped back over `lo`, an attached answer) is left alone.
   */
  in(packet: Packet, at: HookState): VerdictCode;

  /**
   * POSTROUTING and INPUT, entry `helper` (nf_confirm's first half): helpers look into the packet, expectations are made,
   * sequence numbers are adjusted. May rewrite the packet, or drop it.
   */
  help(packet: Packet, at: HookState): VerdictCode;

  /** POSTROUTING and INPUT, entry `confirm` (nf_conntrack_confirm): the entry goes into the table. Drop: somebody else has its tuple. */
  confirm(packet: Packet, at: HookState): VerdictCode;

  /**
   * The packet is gone (dropped, delivered, sent): if its entry was never confirmed it vanishes.
   * To be called once at the end of every packet that went through `in`.
   */
  release(packet: Packet): void;

  /**
   * The answer belongs to the packet's connection as RELATED in the other direction (nf_ct_attach). To be called for
   * ICMP errors and for the RST of REJECT, before OUTPUT; NAT then undoes its translations in them at OUTPUT and POSTROUTING.
   */
  attach(answer: Packet, cause: Packet): void;

  /** Number of entries in the table. */
  readonly count: number;

  /** The table as text for the state directory (file `CONNTRACK_FILE`), one entry a line, times as what remains at `now`. '' if it is empty. */
  save(): string;
  /** Takes in what `save` wrote; the remaining times count from `now`. */
  load(text: string): void;
}

/** What NAT adds to connection tracking; set by `createNat`. */
export interface NatLink {
  /** The entry is gone (nf_nat_cleanup_conntrack). */
  forget(entry: Entry): void;
  /** An entry with a source mapping came from the state directory. */
  remember(entry: Entry): void;
  /** Translates an expected connection like its master (`expectfn`). */
  translateExpected(entry: Entry, expectation: Expectation): void;
}

/** Counts of `conntrack -S`. */
export interface Statistics {
  found: number;
  invalid: number;
  insert: number;
  insertFailed: number;
  drop: number;
  earlyDrop: number;
  error: number;
  clashResolve: number;
  expectNew: number;
  expectCreate: number;
  expectDelete: number;
}

function newStatistics(): Statistics {
  return {
    found: 0,
    invalid: 0,
    insert: 0,
    insertFailed: 0,
    drop: 0,
    earlyDrop: 0,
    error: 0,
    clashResolve: 0,
    expectNew: 0,
    expectCreate: 0,
    expectDelete: 0,
  };
}

export function createConntrack(dependencies: ConntrackDependencies): ConntrackService {
  return new ConntrackService(dependencies);
}

const DEFAULT_ZONE = 3 << 16;

/** Connection tracking. What is not in `Conntrack` is for nat/, the conntrack command and tests. */
export class ConntrackService implements Conntrack, Tracking {
  observer: Observer | null = null;
  readonly settings: Settings;
  readonly table = new ConntrackTable();
  readonly sidelines = new Sidelines();
  readonly expectations: Expectations;
  /** PPTP calls: source key by what is known of a GRE packet (nf_ct_gre_keymap). */
  readonly greKeys: { tuple: Uint32Array; key: number; master: number; direction: Direction }[] = [];
  readonly random: () => number;
  nat: NatLink | null = null;
  /** What `conntrack -S` shows (`struct ip_conntrack_stat`). */
  readonly statistics: Statistics = newStatistics();
  private readonly clock: () => number;
  private readonly key = newTupleWords();
  private readonly inverse = newTupleWords();
  private lastReason = '';
  private nextSweep = 0;

  constructor(dependencies: ConntrackDependencies) {
    this.clock = dependencies.now;
    this.random = dependencies.random;
    this.settings = readSettings(dependencies.sysctl);
    this.expectations = new Expectations(this.table, this.settings.expectMax, policyOf, this.statistics);
  }

  get accounting(): boolean {
    return this.settings.accounting;
  }
  set accounting(on: boolean) {
    this.settings.accounting = on;
  }
  get count(): number {
    return this.table.count;
  }
  now(): number {
    return this.clock();
  }
  entry(slot: number): Entry {
    return new Entry(this.table, this.sidelines, slot);
  }

  // --- lookups of rules

  find(tuple: Tuple, zone: number): Entry | null {
    tupleToWords(tuple, this.inverse);
    const node = this.lookup(this.inverse, 0, zone, zone);
    return node < 0 ? null : this.entry(node >>> 1);
  }

  tupleOf(packet: Packet): Tuple | null {
    return this.readKey(packet) ? wordsToTuple(this.key, 0) : null;
  }

  attachTemplate(packet: Packet, template: ConntrackTemplate): void {
    if (packet.connection !== null || packet.conntrackInfo === ConntrackInfo.untracked) return;
    packet.connection = new Template(template);
    packet.conntrackInfo = ConntrackInfo.new;
  }

  untrack(packet: Packet): void {
    if (packet.connection !== null) return;
    packet.conntrackInfo = ConntrackInfo.untracked;
  }

  /** The node (slot * 2 + direction) with that tuple, or -1; dead entries on the way are removed. */
  lookup(key: Uint32Array, at: number, zoneOriginal: number, zoneReply: number, ignore = -1): number {
    return this.table.find(key, at, zoneOriginal, zoneReply, this.clock(), this.bury, ignore);
  }

  readonly bury = (slot: number): void => {
    this.destroy(this.entry(slot), 'its time was up');
  };

  readonly greKey = (tuple: Uint32Array): number => {
    for (const known of this.greKeys) {
      if (
        known.tuple[9] === tuple[9] &&
        (known.tuple[8]! & 0xffff) === (tuple[8]! & 0xffff) &&
        known.tuple.every((word, i) => i >= 8 || word === tuple[i])
      ) {
        return known.key;
      }
    }
    return 0;
  };

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
    packet.conntrackInfo = ConntrackInfo.new;
    const now = this.clock();
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
        if (this.observer !== null) {
          this.observer({ kind: 'conntrack', event: 'full', state: 'INVALID', reason: 'nf_conntrack: table full' });
        }
        return Verdict.drop;
      }
      this.lastReason = '';
      const direction = directionOf(packet);
      const outcome = this.dispatch(found, direction, packet, at);
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
    if (this.settings.max !== 0 && this.table.count >= this.settings.max && !this.makeRoom(now)) return 'full';
    const slot = this.table.allocate();
    const entry = this.entry(slot);
    const { words, base } = entry;
    for (let i = 0; i < TUPLE_WORDS; i++) {
      words[base + i] = this.key[i]!;
      words[base + Field.reply + i] = this.inverse[i]!;
    }
    words[base + Field.zone] = zone;
    if (this.settings.accounting) entry.setExtra(Extra.accounting);
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
        entry: formatEntry(entry, this.clock()),
        reason: `expected by ${expectation.helper}`,
      });
    }
  }

  setMaster(entry: Entry, master: number): void {
    entry.setExtra(Extra.master);
    this.sidelines.masters.set(entry.slot, master);
    this.table.addChild(master);
  }

  assignHelper(entry: Entry, name: string): void {
    entry.setExtra(Extra.helper);
    entry.status |= Status.helper;
    this.sidelines.helpers.set(entry.slot, { name, memory: {} });
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
        return this.invalid(packet, nature.reason);
      case 'untracked':
        this.statistics.error++;
        packet.conntrackInfo = ConntrackInfo.untracked;
        if (this.observer !== null) this.observer({ kind: 'conntrack', event: 'untracked', state: 'UNTRACKED' });
        return Verdict.accept;
      case 'error':
        this.statistics.error++;
        return this.relate(packet, nature.quoteOffset, template);
    }
  }

  /** An ICMP error belongs to the connection of the packet that it quotes (nf_conntrack_inet_error). */
  private relate(packet: Packet, quoteOffset: number, template: Template | null): VerdictCode {
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
        return this.invalid(packet, 'it does not go to the sender of the quoted packet');
      }
    }
    packet.connection = entry;
    packet.conntrackInfo = direction === Direction.reply ? ConntrackInfo.relatedReply : ConntrackInfo.related;
    if (this.observer !== null) {
      this.observer({
        kind: 'conntrack',
        event: 'related',
        state: 'RELATED',
        entry: formatEntry(entry, this.clock()),
      });
    }
    return Verdict.accept;
  }

  help(packet: Packet, _at: HookState): VerdictCode {
    const entry = packet.connection;
    if (!(entry instanceof Entry) || !entry.has(Extra.helper | Extra.sequence)) return Verdict.accept;
    const adjust = (entry.status & Status.sequenceAdjust) !== 0 && packet.outDevice?.kind !== 'loopback';
    if (!entry.has(Extra.helper) && !adjust) return Verdict.accept;
    if (packet.conntrackInfo === ConntrackInfo.relatedReply || packet.fragmentOffset !== 0) return Verdict.accept;
    const direction = directionOf(packet);
    if (entry.has(Extra.helper)) {
      const assigned = this.sidelines.helpers.get(entry.slot);
      const application = assigned === undefined ? null : applicationOf(assigned.name);
      if (assigned !== undefined && application !== null) {
        const reason = application.help({ packet, entry, direction, memory: assigned.memory, conntrack: this });
        if (reason !== null) {
          this.observer?.({ kind: 'dropped', reason: `helper ${assigned.name}: ${reason}` });
          return Verdict.drop;
        }
      }
    }
    if (adjust && !adjustSequence(entry, this.sidelines, direction, packet)) return Verdict.drop;
    return Verdict.accept;
  }

  confirm(packet: Packet, _at: HookState): VerdictCode {
    const entry = packet.connection;
    if (!(entry instanceof Entry) || entry.confirmed || packet.conntrackInfo >= 3) return Verdict.accept;
    if ((entry.status & Status.dying) !== 0) return Verdict.drop;
    const { words, base } = entry;
    const original = entry.zone(Direction.original);
    const reply = entry.zone(Direction.reply);
    let rival = this.lookup(words, base, original, reply);
    if (rival < 0) rival = this.lookup(words, base + Field.reply, original, reply);
    if (rival >= 0) return this.resolveClash(packet, entry, rival);
    this.insert(entry);
    if (this.observer !== null) {
      const now = this.clock();
      this.observer({
        kind: 'conntrack',
        event: 'confirmed',
        state: (entry.status & Status.expected) !== 0 ? 'RELATED' : 'NEW',
        entry: formatEntry(entry, now),
      });
    }
    return Verdict.accept;
  }

  /** Puts an entry that has its final tuples and a relative timeout into the table. */
  insert(entry: Entry): void {
    const now = this.clock();
    entry.expiry += now;
    if (this.settings.timestamps) {
      entry.setExtra(Extra.timestamp);
      this.sidelines.timestamps.set(entry.slot, { start: now, stop: 0 });
    }
    this.table.link(entry.slot, Direction.original);
    this.table.link(entry.slot, Direction.reply);
    entry.status |= Status.confirmed;
  }

  /**
   * Another entry has one of the tuples (nf_ct_resolve_clash): for UDP and the like the packet joins it if it is the same flow, or its own
   * entry is found by replies only; otherwise the packet is dropped.
   */
  private resolveClash(packet: Packet, loser: Entry, rival: number): VerdictCode {
    const drop = (): VerdictCode => {
      this.statistics.drop++;
      this.statistics.insertFailed++;
      this.observer?.({
        kind: 'conntrack',
        event: 'clash',
        state: 'NEW',
        reason: 'another connection has its addresses and ports',
      });
      return Verdict.drop;
    };
    if (!allowsClash(loser.protocol)) return drop();
    if (this.join(packet, loser, this.entry(rival >>> 1))) return Verdict.accept;
    const other = this.lookup(
      loser.words,
      loser.base + Field.reply,
      loser.zone(Direction.original),
      loser.zone(Direction.reply),
    );
    if (other >= 0) return this.join(packet, loser, this.entry(other >>> 1)) ? Verdict.accept : drop();
    this.statistics.clashResolve++;
    loser.expiry = this.clock() + 1e6;
    loser.status |= Status.fixedTimeout | Status.natClash | Status.confirmed;
    this.table.link(loser.slot, Direction.reply);
    this.observer?.({ kind: 'conntrack', event: 'clash', state: 'NEW', reason: 'only replies will find this entry' });
    return Verdict.accept;
  }

  private join(packet: Packet, loser: Entry, winner: Entry): boolean {
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
    this.statistics.clashResolve++;
    if (winner.has(Extra.accounting)) winner.count(direction, 1, packet.bytes.length);
    packet.connection = winner;
    this.discard(loser);
    return true;
  }

  release(packet: Packet): void {
    const entry = packet.connection;
    if (!(entry instanceof Entry) || entry.confirmed || packet.conntrackInfo >= 3) return;
    if ((entry.status & Status.dying) === 0 && entry.id !== 0) this.discard(entry);
    packet.connection = null;
  }

  attach(answer: Packet, cause: Packet): void {
    const { connection } = cause;
    if (!(connection instanceof Entry)) return;
    answer.connection = connection;
    answer.conntrackInfo = cause.conntrackInfo >= 3 ? ConntrackInfo.related : ConntrackInfo.relatedReply;
  }

  // --- Tracking

  refresh(entry: Entry, direction: Direction, packet: Packet, timeout: number): void {
    if ((entry.status & Status.fixedTimeout) === 0) {
      entry.expiry = entry.confirmed ? this.clock() + timeout : timeout;
    }
    this.account(entry, direction, packet);
  }

  account(entry: Entry, direction: Direction, packet: Packet): void {
    if (entry.has(Extra.accounting)) entry.count(direction, 1, packet.bytes.length);
  }

  kill(entry: Entry): void {
    this.destroy(entry, 'closed');
  }

  sequenceOffset(entry: Entry, direction: Direction, sequence: number): number {
    return entry.has(Extra.sequence) ? shiftAt(entry, this.sidelines, direction, sequence) : 0;
  }

  reason(text: string): void {
    this.lastReason = text;
  }

  // --- the end of entries

  /** Takes a confirmed entry out of the table (nf_ct_delete). */
  destroy(entry: Entry, reason: string): void {
    if ((entry.status & Status.dying) !== 0) return;
    if (this.observer !== null) {
      this.observer({
        kind: 'conntrack',
        event: 'destroyed',
        state: '',
        entry: formatEntry(entry, this.clock()),
        reason,
      });
    }
    if ((entry.status & (Status.confirmed | Status.natClash)) === Status.confirmed) {
      this.table.unlink(entry.slot, Direction.original);
    }
    if (entry.confirmed) this.table.unlink(entry.slot, Direction.reply);
    this.discard(entry);
  }

  /** Gives up an entry that is not in the hash table. */
  discard(entry: Entry): void {
    entry.status |= Status.dying;
    if (this.expectations.count > 0) this.expectations.removeOf(entry.slot);
    if (this.greKeys.length > 0) this.forgetCalls(entry.slot);
    if ((entry.status & Status.sourceNatDone) !== 0) this.nat?.forget(entry);
    if (entry.has(Extra.master)) {
      const master = this.sidelines.masters.get(entry.slot)!;
      if (this.table.removeChild(master)) this.sidelines.forget(master);
    }
    const keeps = entry.words[entry.base + Field.extras]! >>> 8 > 0;
    if (!keeps && (entry.words[entry.base + Field.extras]! & ~Extra.accounting) !== 0)
      this.sidelines.forget(entry.slot);
    this.table.free(entry.slot);
  }

  private forgetCalls(master: number): void {
    for (let i = this.greKeys.length - 1; i >= 0; i--)
      if (this.greKeys[i]!.master === master) this.greKeys.splice(i, 1);
  }

  /** Removes what is dead; the kernel does so once a minute at the latest. */
  sweep(now: number): void {
    this.nextSweep = now + 60e6;
    const dead: number[] = [];
    this.table.forEachConfirmed((slot) => {
      if (this.table.doublesOf(slot)[(this.table.baseOf(slot) + Field.expiry) >>> 1]! <= now) dead.push(slot);
    });
    for (const slot of dead) this.bury(slot);
  }

  /** The table is full: dead entries go, else one near the new one's place that is not ASSURED (early_drop). */
  private makeRoom(now: number): boolean {
    this.sweep(now);
    if (this.table.count < this.settings.max) return true;
    const { buckets } = this.settings;
    const width = 2 ** 32 / buckets;
    const first = Math.floor(hashTuple(this.key, 0) / width);
    for (let i = 0; i < 8; i++) {
      const low = Math.ceil(((first + i) % buckets) * width);
      const victims: number[] = [];
      this.table.forEachHashed(low, Math.min(0xffffffff, Math.ceil(low + width) - 1), (slot) => victims.push(slot));
      let dropped = false;
      for (const slot of victims) {
        const entry = this.entry(slot);
        if ((entry.status & (Status.assured | Status.dying)) !== 0) continue;
        this.destroy(entry, 'early drop: the table is full');
        this.statistics.earlyDrop++;
        dropped = true;
      }
      if (dropped) return true;
    }
    return false;
  }

  save(): string {
    return saveTable(this, this.clock());
  }

  load(text: string): void {
    loadTable(this, text, this.clock());
  }
}

/** Direction of a packet within its connection (CTINFO2DIR). */
export function directionOf(packet: Packet): Direction {
  return packet.conntrackInfo >= ConntrackInfo.establishedReply ? Direction.reply : Direction.original;
}

/** Zone of a packet without an entry: id, and above bit 16 the directions for which it holds. */
function zoneWord(template: Template | null, packet: Packet): number {
  if (template === null) return DEFAULT_ZONE;
  const { zone = 0, zoneDirection = 'both', zoneFromMark = false } = template.content;
  const directions = zoneDirection === 'both' ? 3 : zoneDirection === 'original' ? 1 : 2;
  return ((zoneFromMark ? packet.mark : zone) & 0xffff) | (directions << 16);
}

function zoneIn(word: number, direction: Direction): number {
  return (word >>> (16 + direction)) & 1 ? word & 0xffff : 0;
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
