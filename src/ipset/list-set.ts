import type { HookState } from '../datapath/hooks.ts';
import type { Packet } from '../packet/packet.ts';
import type { CreateOptions, Entry } from './entry.ts';
import { SetError } from './errors.ts';
import type { PacketTest, SetClock } from './extensions.ts';
import { ExtensionStore, newExtensions } from './extensions.ts';
import type { Change, IpSet, PacketChange, SetHeader } from './set.ts';
import { Feature } from './set.ts';

/** What a list asks about the sets that it names. */
export interface SetDirectory {
  find(name: string): IpSet | undefined;
  /** Tests, additions and deletions as for a rule, with the checks of dimension and family. */
  testPacket(set: IpSet, packet: Packet, at: HookState, directions: readonly boolean[], test: PacketTest): number;
  addPacket(set: IpSet, packet: Packet, at: HookState, change: PacketChange): number;
  deletePacket(set: IpSet, packet: Packet, at: HookState, change: PacketChange): number;
}

interface Member {
  set: IpSet;
  /** Slot of its extensions. */
  slot: number;
}

const DEFAULT_SIZE = 8;
const MIN_SIZE = 4;
/** Bytes of the kernel's structures of the set and of a member. */
const STRUCTURE_SIZE = 80;
const MEMBER_SIZE = 48;

/** list:set (net/netfilter/ipset/ip_set_list_set.c). */
export class ListSet implements IpSet {
  name: string;
  readonly typeName = 'list:set';
  readonly family = 0;
  readonly dimension = 1;
  readonly features = Feature.name;
  readonly extensions: ExtensionStore;
  memberOf = 0;
  private readonly size: number;
  private readonly directory: SetDirectory;
  private members: Member[] = [];
  private readonly freeSlots: number[] = [];
  private capacity = 16;
  private slotsUsed = 0;
  private readonly given = newExtensions();

  constructor(name: string, options: CreateOptions, directory: SetDirectory, clock: SetClock) {
    this.name = name;
    this.size = Math.max(MIN_SIZE, options.size ?? DEFAULT_SIZE);
    this.directory = directory;
    this.extensions = new ExtensionStore(options, clock, this.capacity);
  }

  change(change: Change, entry: Entry, exist: boolean): number {
    const refused = this.extensions.read(entry, this.given);
    if (refused !== 0) return refused;
    const set = this.directory.find(entry.name!);
    if (set === undefined) return SetError.listName;
    if ((set.features & Feature.name) !== 0) return SetError.listLoop;
    if (entry.before && entry.nameref === undefined) return SetError.listBefore;
    let reference: IpSet | null = null;
    let side = 0;
    if (entry.nameref !== undefined) {
      reference = this.directory.find(entry.nameref) ?? null;
      if (reference === null) return SetError.listNameReference;
      side = entry.before ? 1 : -1;
    }
    if (change === 'test') return this.has(set, reference, side) ? 0 : SetError.elementExists;
    this.removeExpired();
    const error = change === 'add' ? this.add(set, reference, side, exist) : this.remove(set, reference, side);
    return error === SetError.elementExists && exist ? 0 : error;
  }

  testPacket(packet: Packet, at: HookState, directions: readonly boolean[], test: PacketTest): number {
    const { skipCounters, matchCounters } = test;
    for (const member of this.members) {
      test.matchCounters = false;
      test.skipCounters = skipCounters || test.skipSubcounters;
      const found = this.directory.testPacket(member.set, packet, at, directions, test);
      test.matchCounters = matchCounters;
      test.skipCounters = skipCounters;
      if (found > 0 && this.extensions.match(member.slot, test)) return 1;
    }
    return 0;
  }

  addPacket(packet: Packet, at: HookState, change: PacketChange): number {
    for (const member of this.members) {
      if (this.extensions.expired(member.slot)) continue;
      if (this.directory.addPacket(member.set, packet, at, change) === 0) return 0;
    }
    return 0;
  }

  deletePacket(packet: Packet, at: HookState, change: PacketChange): number {
    for (const member of this.members) {
      if (this.extensions.expired(member.slot)) continue;
      if (this.directory.deletePacket(member.set, packet, at, change) === 0) return 0;
    }
    return 0;
  }

  flush(): void {
    for (const member of [...this.members]) this.drop(member);
    this.extensions.commentBytes = 0;
  }

  header(): SetHeader {
    const { extensions } = this;
    const header: SetHeader = {
      size: this.size,
      counters: extensions.hasCounters,
      comment: extensions.hasComment,
      skbinfo: extensions.hasSkbinfo,
      elements: this.members.length,
      memory: STRUCTURE_SIZE + this.members.length * extensions.elementSize(MEMBER_SIZE, 8) + extensions.commentBytes,
    };
    if (extensions.timeout !== null) header.timeout = extensions.timeout;
    return header;
  }

  forEach(visit: (entry: Entry) => void): void {
    for (const member of this.members) {
      if (this.extensions.expired(member.slot)) continue;
      const entry: Entry = { name: member.set.name };
      this.extensions.list(member.slot, entry);
      visit(entry);
    }
  }

  sameAs(other: IpSet): boolean {
    return other instanceof ListSet && this.size === other.size && this.extensions.sameAs(other.extensions);
  }

  /** Two sets changed places: a member is a place, so it now is the other set. */
  exchange(a: IpSet, b: IpSet): void {
    for (const member of this.members) {
      if (member.set === a) member.set = b;
      else if (member.set === b) member.set = a;
    }
  }

  private has(set: IpSet, reference: IpSet | null, side: number): boolean {
    const live = this.live();
    const i = live.findIndex((member) => member.set === set);
    if (i < 0) return false;
    if (side === 0) return true;
    return live[i + side]?.set === reference;
  }

  private add(set: IpSet, reference: IpSet | null, side: number, exist: boolean): number {
    const present = this.members.find((member) => member.set === set);
    let at = this.members.length;
    if (side !== 0) {
      const beside = this.members.findIndex((member) => member.set === reference && member.set !== set);
      if (beside < 0) return SetError.listReferenceMissing;
      at = side > 0 ? beside : beside + 1;
    }
    if (present !== undefined) {
      if (!exist) return SetError.elementExists;
      this.extensions.drop(present.slot);
      this.extensions.writeAll(present.slot, this.given);
      return 0;
    }
    const slot = this.takeSlot();
    this.extensions.clear(slot);
    this.extensions.writeAll(slot, this.given);
    this.members.splice(at, 0, { set, slot });
    set.memberOf++;
    return 0;
  }

  private remove(set: IpSet, reference: IpSet | null, side: number): number {
    const i = this.members.findIndex((member) => member.set === set);
    if (i < 0) return side !== 0 ? SetError.listReferenceMissing : SetError.elementExists;
    if (side !== 0 && this.members[i + side]?.set !== reference) return SetError.listReferenceMissing;
    this.drop(this.members[i]!);
    return 0;
  }

  private live(): Member[] {
    return this.members.filter((member) => !this.extensions.expired(member.slot));
  }

  private removeExpired(): void {
    if (this.extensions.timeout === null) return;
    for (const member of [...this.members]) if (this.extensions.expired(member.slot)) this.drop(member);
  }

  private drop(member: Member): void {
    this.members.splice(this.members.indexOf(member), 1);
    this.extensions.drop(member.slot);
    this.freeSlots.push(member.slot);
    member.set.memberOf--;
  }

  private takeSlot(): number {
    const free = this.freeSlots.pop();
    if (free !== undefined) return free;
    if (this.slotsUsed === this.capacity) {
      this.capacity *= 2;
      this.extensions.grow(this.capacity);
    }
    return this.slotsUsed++;
  }
}
