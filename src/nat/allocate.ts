import { allowsClash } from '../conntrack/confirmation.ts';
import { Direction, Status } from '../conntrack/connection.ts';
import type { ConntrackEntries } from '../conntrack/entries.ts';
import type { Entry } from '../conntrack/entry.ts';
import { TcpState } from '../conntrack/protocols/tcp-states.ts';
import { SenderField, senderAt } from '../conntrack/protocols/tcp-window.ts';
import { Extra, Field } from '../conntrack/table.ts';
import { copyTuple, invertTuple, newTupleWords, sameTuple, TUPLE_WORDS } from '../conntrack/tuple.ts';
import type { NatRange } from '../datapath/environment.ts';
import { jhash2, reciprocalScale, swapBytes } from '../packet/jhash.ts';
import { Protocol } from '../packet/protocol.ts';
import type { BySource } from './by-source.ts';
import type { NatChoices } from './choices.ts';

const MAX_ATTEMPTS = 128;
/** With no more than this many attempts left, a connection in TIME_WAIT may have to give way. */
const HARDER = MAX_ATTEMPTS / 4;
/** No zone. */
const NOWHERE = -1;
const SOURCE = 0;
const DESTINATION = 4;
const PORTS = 8;
const KIND = 9;

export type Manip = 'source' | 'destination';

/** Chooses addresses and ports, as get_unique_tuple and what it calls in nf_nat_core.c. */
export class Allocator {
  private readonly conntrack: ConntrackEntries;
  private readonly bySource: BySource;
  /** What to choose where any of several will do; null: at random. */
  private readonly choices: NatChoices | null;
  private readonly reply = newTupleWords();

  constructor(conntrack: ConntrackEntries, bySource: BySource, choices: NatChoices | null) {
    this.conntrack = conntrack;
    this.bySource = bySource;
    this.choices = choices;
  }

  /** Fills `tuple` with what `original` becomes for `entry`. It may not be unique if nothing was free: confirming then fails. */
  choose(tuple: Uint32Array, original: Uint32Array, range: NatRange, entry: Entry, manip: Manip): void {
    const random = range.random === true || range.randomFully === true;
    const ports = range.minPort !== undefined;
    if (manip === 'source' && !random) {
      if (inRange(original, range)) {
        if (!this.takenUnchanged(original, entry)) {
          copyTuple(original, 0, tuple, 0);
          return;
        }
      } else if (this.findMapping(original, tuple, range, entry) && !this.taken(tuple, entry)) {
        return;
      }
    }
    copyTuple(original, 0, tuple, 0);
    chooseAddress(tuple, range, entry, manip);
    if (!random) {
      if (ports) {
        if (
          range.basePort === undefined &&
          portInRange(tuple, manip, range) &&
          (range.minPort === range.maxPort || !this.taken(tuple, entry))
        ) {
          return;
        }
      } else if (!this.taken(tuple, entry)) return;
    }
    this.choosePort(tuple, range, entry, manip);
  }

  /** A mapping that the same source has already, if it lies in the range (find_appropriate_src). */
  private findMapping(original: Uint32Array, tuple: Uint32Array, range: NatRange, entry: Entry): boolean {
    return this.bySource.some(original, entry.zone(Direction.original), (slot) => {
      const other = this.conntrack.entry(slot);
      invertTuple(other.words, other.tupleAt(Direction.reply), tuple, 0);
      for (let i = 0; i < 4; i++) tuple[DESTINATION + i] = original[DESTINATION + i]!;
      tuple[PORTS] = (tuple[PORTS]! & 0xffff0000) | (original[PORTS]! & 0xffff);
      return inRange(tuple, range);
    });
  }

  /** Whether somebody else's answers would look like this connection's (nf_nat_used_tuple). */
  taken(tuple: Uint32Array, entry: Entry): boolean {
    if (!invertTuple(tuple, 0, this.reply, 0)) return false;
    return this.replyTaken(this.reply, entry);
  }

  /** nf_conntrack_tuple_taken: only replies' zone counts, and another entry of the very same flow does not. */
  private replyTaken(reply: Uint32Array, entry: Entry): boolean {
    const zone = entry.zone(Direction.reply);
    // It is only looked for where the zone of replies puts it: with a zone of one direction the other direction's entries lie elsewhere.
    const original = entry.zone(Direction.original) === zone ? zone : NOWHERE;
    const node = this.conntrack.lookup(reply, 0, original, zone, entry.slot);
    if (node < 0) return false;
    const other = this.conntrack.entry(node >>> 1);
    return !(
      sameTuple(other.words, other.base, entry.words, entry.base) &&
      other.zone(Direction.original) === entry.zone(Direction.original)
    );
  }

  /** The same for a tuple that stays as it is: two flows that met head-on are left to the clash resolution (nf_nat_used_tuple_new). */
  private takenUnchanged(tuple: Uint32Array, entry: Entry): boolean {
    if (!this.taken(tuple, entry)) return false;
    if (!allowsClash(entry.protocol)) return true;
    const translated = Status.sourceNat | Status.destinationNat | Status.sequenceAdjust;
    if ((entry.status & translated) !== 0) return true;
    const zones = [entry.zone(Direction.original), entry.zone(Direction.reply)] as const;
    let node = this.conntrack.lookup(tuple, 0, zones[0], zones[1]);
    if (node < 0) {
      invertTuple(tuple, 0, this.reply, 0);
      node = this.conntrack.lookup(this.reply, 0, zones[0], zones[1]);
      if (node < 0) return false;
    }
    const other = this.conntrack.entry(node >>> 1);
    if ((other.status & translated) !== 0) return true;
    return !sameTuple(other.words, other.base, entry.words, entry.base + Field.reply);
  }

  /** For the last attempts at a TCP port: a translated connection that has closed gives way to a newer one (nf_nat_used_tuple_harder). */
  private takenHarder(tuple: Uint32Array, entry: Entry, attemptsLeft: number): boolean {
    if (
      attemptsLeft > HARDER ||
      entry.protocol !== Protocol.tcp ||
      (entry.words[entry.base + Field.protocol]! & 0xff) !== TcpState.synSent
    ) {
      return this.taken(tuple, entry);
    }
    invertTuple(tuple, 0, this.reply, 0);
    const node = this.conntrack.lookup(this.reply, 0, entry.zone(Direction.original), entry.zone(Direction.reply));
    if (node < 0) return false;
    if ((node & 1) === Direction.original) return true;
    const other = this.conntrack.entry(node >>> 1);
    if ((other.words[other.base + Field.protocol]! & 0xff) < TcpState.timeWait) return true;
    if ((other.status & (Status.fixedTimeout | Status.dying)) !== 0) return true;
    if ((other.status & Status.sourceNat) === 0) return true;
    const end = (of: Entry) => of.words[senderAt(of, 0) + SenderField.end]!;
    if (((end(entry) - end(other)) | 0) <= 0) return true;
    this.conntrack.kill(other);
    return false;
  }

  /** nf_nat_l4proto_unique_tuple. */
  private choosePort(tuple: Uint32Array, range: NatRange, entry: Entry, manip: Manip): void {
    const protocol = tuple[KIND]! & 0xff;
    const given = range.minPort !== undefined;
    let min = given ? range.minPort! : 0;
    let max = given ? (range.maxPort ?? min) : 0;
    let high = manip === 'source';
    switch (protocol) {
      case Protocol.icmp:
      case Protocol.icmpv6:
        high = true;
        if (!given) max = 0xffff;
        break;
      case Protocol.gre:
        if (!entry.has(Extra.master)) return;
        if (!given) {
          min = 1;
          max = 0xffff;
        }
        break;
      case Protocol.tcp:
      case Protocol.udp:
      case Protocol.udplite:
      case Protocol.sctp: {
        if (given) {
          if (max < min) [min, max] = [max, min];
          break;
        }
        if (manip === 'destination') return;
        const own = tuple[PORTS]! >>> 16;
        if (own < 512) [min, max] = [1, 511];
        else if (own < 1024) [min, max] = [600, 1023];
        else [min, max] = [1024, 65535];
        break;
      }
      default:
        return;
    }
    const size = max - min + 1;
    const own = high ? tuple[PORTS]! >>> 16 : tuple[PORTS]! & 0xffff;
    const set = (port: number): void => {
      const ports = tuple[PORTS]!;
      tuple[PORTS] = (high ? (ports & 0xffff) | (port << 16) : (ports & 0xffff0000) | port) >>> 0;
    };
    const random16 = () => this.conntrack.random() & 0xffff;
    let offset = 0;
    if (range.basePort !== undefined) offset = (own - range.basePort) & 0xffff;
    else if (range.random || range.randomFully || manip === 'source') {
      const chosen = this.choices?.port(entry, manip, min, max) ?? -1;
      offset = chosen >= 0 ? chosen - min : random16();
    }

    let attempts = Math.min(size, MAX_ATTEMPTS);
    for (;;) {
      for (let i = 0; i < attempts; i++, offset = (offset + 1) & 0xffff) {
        set((min + (offset % size)) & 0xffff);
        if (!this.takenHarder(tuple, entry, attempts - i)) return;
      }
      if (attempts >= size || attempts < 16) return;
      attempts = attempts >>> 1;
      offset = random16();
    }
  }
}

function inRange(tuple: Uint32Array, range: NatRange): boolean {
  if (range.minAddress !== undefined) {
    if (compare(tuple, SOURCE, range.minAddress) < 0) return false;
    if (compare(tuple, SOURCE, range.maxAddress ?? range.minAddress) > 0) return false;
  }
  return range.minPort === undefined || portInRange(tuple, 'source', range);
}

function compare(tuple: Uint32Array, at: number, address: ArrayLike<number>): number {
  for (let i = 0; i < 4; i++) if (tuple[at + i] !== address[i]) return tuple[at + i]! < address[i]! ? -1 : 1;
  return 0;
}

/** l4proto_in_range; protocols without ports always are. */
function portInRange(tuple: Uint32Array, manip: Manip, range: NatRange): boolean {
  let port: number;
  switch (tuple[KIND]! & 0xff) {
    case Protocol.icmp:
    case Protocol.icmpv6:
      port = tuple[PORTS]! >>> 16;
      break;
    case Protocol.gre:
    case Protocol.tcp:
    case Protocol.udp:
    case Protocol.udplite:
    case Protocol.sctp:
      port = manip === 'source' ? tuple[PORTS]! >>> 16 : tuple[PORTS]! & 0xffff;
      break;
    default:
      return true;
  }
  return port >= range.minPort! && port <= (range.maxPort ?? range.minPort!);
}

/**
 * An address of the range by a hash of source and destination, without a seed: the same client gets the same address
 * (find_best_ips_proto). The words are hashed as a little-endian machine reads them.
 */
function chooseAddress(tuple: Uint32Array, range: NatRange, entry: Entry, manip: Manip): void {
  if (range.minAddress === undefined) return;
  const { minAddress } = range;
  const maxAddress = range.maxAddress ?? minAddress;
  const at = manip === 'source' ? SOURCE : DESTINATION;
  const last = tuple[KIND]! >>> 8 === 4 ? 0 : 3;
  if (compare(maxAddress as unknown as Uint32Array, 0, minAddress) === 0) {
    for (let i = 0; i < 4; i++) tuple[at + i] = minAddress[i]!;
    return;
  }
  const source = [0, 1, 2, 3].map((i) => swapBytes(tuple[SOURCE + i]!));
  const zone = entry.zoneWord & 0xffff;
  let hash = jhash2(source, 4, range.persistent ? 0 : (swapBytes(tuple[DESTINATION + last]!) ^ zone) >>> 0);
  let full = false;
  for (let i = 0; i <= last; i++) {
    const min = full ? 0 : minAddress[i]!;
    const size = full ? 0xffffffff : (maxAddress[i]! - minAddress[i]! + 1) >>> 0;
    tuple[at + i] = (min + reciprocalScale(hash, size)) >>> 0;
    if (tuple[at + i] !== maxAddress[i]) full = true;
    if (!range.persistent) hash = (hash ^ swapBytes(tuple[DESTINATION + i]!)) >>> 0;
  }
}

/** The entry's answers as they will look if it becomes `tuple`. */
export function alterReply(entry: Entry, tuple: Uint32Array): void {
  invertTuple(tuple, 0, entry.words, entry.base + TUPLE_WORDS);
}
