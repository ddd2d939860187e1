import { type Connection, Direction, Status } from '../conntrack/connection.ts';
import type { NatLink } from '../conntrack/contract.ts';
import type { ConntrackEntries } from '../conntrack/entries.ts';
import { Entry } from '../conntrack/entry.ts';
import type { Expectation } from '../conntrack/expectations.ts';
import { allowShift } from '../conntrack/sequence.ts';
import { Extra, Field } from '../conntrack/table.ts';
import { directionOf } from '../conntrack/tracking.ts';
import { addressOf, invertTuple, newTupleWords, sameTuple, wordsToTuple } from '../conntrack/tuple.ts';
import type { NatRange, NatServices } from '../datapath/environment.ts';
import { Hook, type HookState } from '../datapath/hooks.ts';
import { Verdict, type VerdictCode } from '../datapath/verdicts.ts';
import type { Device } from '../host/device.ts';
import { formatAddress } from '../packet/address-text.ts';
import { pullHeader } from '../packet/fragmentation.ts';
import { ConntrackInfo, type Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';
import { setEnd } from '../packet/rewrite.ts';
import type { Observer } from '../trace/steps.ts';
import { Allocator, alterReply, type Manip } from './allocate.ts';
import { BySource } from './by-source.ts';
import type { NatChoices } from './choices.ts';
import { translateError } from './errors.ts';
import { netmapAddress } from './netmap.ts';

/** NAT as the datapath drives it (nf_nat_core.c, nf_nat_proto.c). */
export interface Nat extends NatServices {
  /** Who hears of mappings; null: nobody. */
  observer: Observer | null;

  /**
   * An entry `nat-destination` or `nat-source` of a hook (nf_nat_inet_fn): `chain` runs the nat table's chain of the hook; it is called only
   * for a connection without a mapping of that kind (null: no rules). A verdict of it other than accept is returned as it is.
   * Otherwise the connection gets a null binding if it has none, and the packet its translation; ICMP errors get theirs inside and
   * outside, and never see the chain. After `nat-destination` the caller of OUTPUT routes again if addresses changed.
   */
  run(
    packet: Packet,
    at: HookState,
    manip: Manip,
    chain: ((packet: Packet, at: HookState) => VerdictCode) | null,
  ): VerdictCode;
}

/** NAT on the table of `conntrack`; it links itself to it. `choices`: which ports to choose where any of several will do; null: at random. */
export function createNat(conntrack: ConntrackEntries, choices: NatChoices | null = null): NatService {
  return new NatService(conntrack, choices);
}

const DONE: Readonly<Record<Manip, number>> = { source: Status.sourceNatDone, destination: Status.destinationNatDone };
/** Bytes of its header that a translated packet has in one piece afterwards (tcp_manip_pkt, sctp_manip_pkt). */
const WRITABLE: Readonly<Record<number, number>> = { [Protocol.tcp]: 20, [Protocol.sctp]: 12 };
const CHANGED: Readonly<Record<Manip, number>> = { source: Status.sourceNat, destination: Status.destinationNat };
const BOTH = Status.sourceNat | Status.destinationNat;

type MutableAddress = [number, number, number, number];

export class NatService implements Nat, NatLink {
  observer: Observer | null = null;
  private readonly conntrack: ConntrackEntries;
  private readonly bySource: BySource;
  private readonly allocator: Allocator;
  private readonly current = newTupleWords();
  private readonly chosen = newTupleWords();
  private readonly target = newTupleWords();
  private readonly targetSource = this.target.subarray(0, 4);
  private readonly targetDestination = this.target.subarray(4, 8);
  /** The range of a binding that changes nothing, filled for each. */
  private readonly unchanged: MutableAddress = [0, 0, 0, 0];
  private readonly nothing: NatRange = {
    minAddress: this.unchanged,
    maxAddress: this.unchanged,
    minPort: undefined,
    maxPort: undefined,
    basePort: undefined,
    random: false,
    randomFully: false,
    persistent: false,
  };

  constructor(conntrack: ConntrackEntries, choices: NatChoices | null) {
    this.conntrack = conntrack;
    this.bySource = new BySource(conntrack);
    this.allocator = new Allocator(conntrack, this.bySource, choices);
    conntrack.nat = this;
  }

  run(
    packet: Packet,
    at: HookState,
    manip: Manip,
    chain: ((packet: Packet, at: HookState) => VerdictCode) | null,
  ): VerdictCode {
    const entry = packet.connection;
    if (!(entry instanceof Entry)) return Verdict.accept;
    const info = packet.conntrackInfo;
    const related = info === ConntrackInfo.related || info === ConntrackInfo.relatedReply;
    if (related && packet.protocol === (packet.family === 4 ? Protocol.icmp : Protocol.icmpv6)) {
      return translateError(packet, entry, manip, at.hook, this.target) ? Verdict.accept : Verdict.drop;
    }
    if ((related || info === ConntrackInfo.new) && (entry.status & DONE[manip]) === 0) {
      if (chain !== null) {
        const verdict = chain(packet, at);
        if (verdict !== Verdict.accept) return verdict;
      }
      if ((entry.status & DONE[manip]) === 0) {
        const verdict = this.bindToNothing(entry, manip);
        if (verdict !== Verdict.accept) return verdict;
      }
    } else if (this.leftMasqueradeDevice(entry, packet, at)) {
      this.conntrack.account(entry, directionOf(packet), packet);
      this.conntrack.destroy(entry, 'it was masqueraded for another interface');
      return Verdict.drop;
    }
    return this.translate(packet, entry, manip);
  }

  /** nf_nat_packet. */
  private translate(packet: Packet, entry: Entry, manip: Manip): VerdictCode {
    const direction = directionOf(packet);
    let bit = CHANGED[manip];
    if (direction === Direction.reply) bit ^= BOTH;
    if ((entry.status & bit) === 0) return Verdict.accept;
    // The packet is to look like the inverse of what comes the other way.
    invertTuple(
      entry.words,
      entry.tupleAt(direction === Direction.original ? Direction.reply : Direction.original),
      this.target,
      0,
    );
    const from = this.observer === null ? '' : endText(packet, manip);
    const address = manip === 'source' ? this.targetSource : this.targetDestination;
    // Eight bytes must be there even of a GRE header that needs only four (gre_manip_pkt).
    if (packet.protocol === Protocol.gre && packet.transport + 8 > packet.bytes.length) return Verdict.drop;
    pullHeader(packet, WRITABLE[packet.protocol] ?? 0);
    if (!setEnd(packet, manip, address, portOf(this.target, manip))) return Verdict.drop;
    if (this.observer !== null) {
      this.observer({ kind: 'nat', manip, before: from, after: endText(packet, manip), mapping: mappingText(entry) });
    }
    return Verdict.accept;
  }

  /** A masqueraded connection whose packets now leave elsewhere is at its end (nf_nat_oif_changed). */
  private leftMasqueradeDevice(entry: Entry, packet: Packet, at: HookState): boolean {
    const index = entry.words[entry.base + Field.masquerade]!;
    return (
      index !== 0 &&
      at.hook === Hook.postrouting &&
      directionOf(packet) === Direction.original &&
      at.outDevice !== null &&
      at.outDevice.index !== index
    );
  }

  setup(packet: Packet, _at: HookState, range: NatRange, manip: Manip): VerdictCode {
    const entry = packet.connection;
    if (!(entry instanceof Entry)) return Verdict.accept;
    return this.bind(entry, range.netmap ? netmapRange(packet, range, manip) : range, manip);
  }

  setMasqueradeDevice(connection: Connection, device: Device): void {
    if (connection instanceof Entry) connection.words[connection.base + Field.masquerade] = device.index;
  }

  /** nf_nat_setup_info. */
  bind(entry: Entry, range: NatRange, manip: Manip): VerdictCode {
    if (entry.confirmed) return Verdict.accept;
    if ((entry.status & DONE[manip]) !== 0) return Verdict.drop;
    invertTuple(entry.words, entry.tupleAt(Direction.reply), this.current, 0);
    this.allocator.choose(this.chosen, this.current, range, entry, manip);
    if (!sameTuple(this.chosen, 0, this.current, 0)) {
      alterReply(entry, this.chosen);
      entry.status |= CHANGED[manip];
      if (entry.has(Extra.helper)) allowShift(entry, this.conntrack.sidelines);
    }
    if (manip === 'source') this.bySource.add(entry.slot);
    entry.status |= DONE[manip];
    return Verdict.accept;
  }

  /** The address stays, the port gives way only if another connection has it (nf_nat_alloc_null_binding). */
  bindToNothing(entry: Entry, manip: Manip): VerdictCode {
    const at = entry.tupleAt(Direction.reply) + (manip === 'source' ? 4 : 0);
    for (let i = 0; i < 4; i++) this.unchanged[i] = entry.words[at + i]!;
    return this.bind(entry, this.nothing, manip);
  }

  forget(entry: Entry): void {
    this.bySource.remove(entry.slot);
  }

  remember(entry: Entry): void {
    this.bySource.add(entry.slot);
  }

  /** nf_nat_follow_master: the source becomes what the master's peer sees, the destination what was announced. */
  translateExpected(entry: Entry, expectation: Expectation): void {
    const master = this.conntrack.entry(expectation.master);
    const other = expectation.direction === Direction.original ? Direction.reply : Direction.original;
    const at = master.tupleAt(other);
    if (expectation.translate === 'pptp') {
      this.translateCall(entry, master, expectation, at);
      return;
    }
    if (expectation.translate === 'sip') {
      this.translateCallOrMedia(entry, master, expectation);
      return;
    }
    const source = addressOf(master.words, at + 4);
    this.bind(entry, { minAddress: source, maxAddress: source }, 'source');
    const destination = addressOf(master.words, at);
    const port = expectation.savedPort;
    this.bind(entry, { minAddress: destination, maxAddress: destination, minPort: port, maxPort: port }, 'destination');
  }

  /** What SIP announced: to where it was announced; from where the same call's other stream is announced, or else as the master's packets (nf_nat_sip_expected). */
  private translateCallOrMedia(entry: Entry, master: Entry, expectation: Expectation): void {
    const announced = addressOf(expectation.savedAddress!, 0);
    const port = expectation.savedPort;
    this.bind(entry, { minAddress: announced, maxAddress: announced, minPort: port, maxPort: port }, 'destination');
    const own = entry.tupleAt(Direction.original);
    const signalling = 0;
    const pair =
      expectation.class === signalling
        ? undefined
        : this.conntrack.expectations
            .of(expectation.master)
            .find(
              ({ tuple, savedAddress, savedPort }) =>
                tuple[9] === entry.words[own + 9] &&
                savedAddress !== null &&
                savedAddress.every((word, i) => word === entry.words[own + i]) &&
                savedPort === entry.words[own + 8]! >>> 16,
            );
    if (pair !== undefined) {
      const address = addressOf(pair.tuple, 4);
      const from = pair.tuple[8]! & 0xffff;
      this.bind(entry, { minAddress: address, maxAddress: address, minPort: from, maxPort: from }, 'source');
      return;
    }
    const sender = master.tupleAt(expectation.direction);
    for (let i = 0; i < 4; i++) if (entry.words[own + i] !== master.words[sender + i]) return;
    const other = expectation.direction === Direction.original ? Direction.reply : Direction.original;
    const address = addressOf(master.words, master.tupleAt(other) + 4);
    this.bind(entry, { minAddress: address, maxAddress: address }, 'source');
  }

  /** GRE of a PPTP call: the other direction is no longer awaited; call ids follow the addresses (pptp_nat_expected). */
  private translateCall(entry: Entry, master: Entry, expectation: Expectation, at: number): void {
    for (const awaited of this.conntrack.expectations.of(expectation.master)) {
      if (awaited.helper === 'pptp' && awaited.direction !== expectation.direction) awaited.dead = true;
    }
    if ((master.status & BOTH) === 0) return;
    const source = addressOf(master.words, at + 4);
    const destination = addressOf(master.words, at);
    const call = { minPort: expectation.savedPort, maxPort: expectation.savedPort };
    const forth = expectation.direction === Direction.original;
    this.bind(entry, { minAddress: source, maxAddress: source, ...(forth ? call : {}) }, 'source');
    this.bind(entry, { minAddress: destination, maxAddress: destination, ...(forth ? {} : call) }, 'destination');
  }
}

function portOf(tuple: Uint32Array, manip: Manip): number {
  const protocol = tuple[9]! & 0xff;
  if (manip === 'source' || protocol === Protocol.icmp || protocol === Protocol.icmpv6) return tuple[8]! >>> 16;
  return tuple[8]! & 0xffff;
}

function netmapRange(packet: Packet, range: NatRange, manip: Manip): NatRange {
  const source = manip === 'source';
  const own = source ? packet.src : packet.dst;
  const address = netmapAddress(own, range.minAddress!, range.maxAddress ?? range.minAddress!);
  return { ...range, minAddress: address, maxAddress: address };
}

function endText(packet: Packet, manip: Manip): string {
  const address = formatAddress(packet.family, manip === 'source' ? packet.src : packet.dst);
  const at = packet.transport + (manip === 'source' ? 0 : 2);
  switch (packet.protocol) {
    case Protocol.tcp:
    case Protocol.udp:
    case Protocol.udplite:
    case Protocol.sctp: {
      const port = (packet.bytes[at]! << 8) | packet.bytes[at + 1]!;
      return packet.family === 6 ? `[${address}]:${port}` : `${address}:${port}`;
    }
    default:
      return address;
  }
}

function mappingText(entry: Entry): string {
  const original = entry.tuple(Direction.original);
  const reply = wordsToTuple(entry.words, entry.tupleAt(Direction.reply));
  const text = (address: ArrayLike<number>) => formatAddress(entry.family, address);
  return `${text(original.source)} -> ${text(original.destination)}, answered ${text(reply.source)} -> ${text(reply.destination)}`;
}
