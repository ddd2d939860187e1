import type { HookState } from '../datapath/hooks.ts';
import type { Packet } from '../packet/packet.ts';
import type { BitmapKind } from './bitmap-set.ts';
import { BitmapSet, bitmapRange } from './bitmap-set.ts';
import type { CreateOptions, Entry } from './entry.ts';
import { SetError } from './errors.ts';
import type { PacketTest, SetClock } from './extensions.ts';
import { checkHashOptions, HashSet } from './hash-set.ts';
import type { SetDirectory } from './list-set.ts';
import { ListSet } from './list-set.ts';
import type { Change, IpSet, PacketChange, SetFamily } from './set.ts';
import { Feature } from './set.ts';
import { HASH_TYPE_BY_NAME } from './types/all.ts';

const MAX_SETS = 65535;

/** What the sets of one machine depend on. */
export interface SetKernelOptions {
  clock: SetClock;
  /** 32 random bits: `initval` of a hash for which none is given. */
  random: () => number;
  /** Set types that this kernel was built without. */
  missingTypes?: Pick<ReadonlySet<string>, 'has'>;
  /** How many rules refer to a set. */
  rulesUsing?: (name: string) => number;
}

/** All sets of a machine in their numbered places (net/netfilter/ipset/ip_set_core.c). */
export class SetKernel implements SetDirectory {
  readonly clock: SetClock;
  /** Hears of hashes that are too full to take a packet's entry. */
  onFull: ((name: string, maxElements: number) => void) | null = null;
  private readonly options: SetKernelOptions;
  private readonly slots: (IpSet | null)[] = [];
  private readonly byName = new Map<string, number>();

  constructor(options: SetKernelOptions) {
    this.options = options;
    this.clock = options.clock;
  }

  find(name: string): IpSet | undefined {
    const slot = this.byName.get(name);
    return slot === undefined ? undefined : this.slots[slot]!;
  }

  /** Whether new sets of that type may be made; sets of a state that was read are there in any case. */
  supports(typeName: string): boolean {
    return !(this.options.missingTypes?.has(typeName) ?? false);
  }

  /** Number of the place of a set; -1 if there is no such set. */
  slotOf(name: string): number {
    return this.byName.get(name) ?? -1;
  }

  /** All sets in the order of dumps: by place, lists last. */
  all(): IpSet[] {
    const sets = this.slots.filter((set) => set !== null);
    const isList = (set: IpSet): boolean => (set.features & Feature.name) !== 0;
    return [...sets.filter((set) => !isList(set)), ...sets.filter(isList)];
  }

  /** References from rules and from lists. */
  references(set: IpSet): number {
    return set.memberOf + (this.options.rulesUsing?.(set.name) ?? 0);
  }

  /** Makes a set; `place` only when loading a state. 0 or an error code. */
  create(
    name: string,
    typeName: string,
    family: SetFamily,
    options: CreateOptions,
    exist: boolean,
    place = -1,
  ): number {
    const set = this.make(name, typeName, family, options);
    if (typeof set === 'number') return set;
    const clash = this.find(name);
    if (clash !== undefined) {
      const same = exist && clash.typeName === set.typeName && clash.family === set.family && set.sameAs(clash);
      return same ? 0 : SetError.exists;
    }
    let slot = place >= 0 && !this.slots[place] ? place : this.slots.indexOf(null);
    if (slot < 0) slot = this.slots.length;
    if (slot >= MAX_SETS) return SetError.maxSets;
    while (this.slots.length <= slot) this.slots.push(null);
    this.slots[slot] = set;
    this.byName.set(name, slot);
    return 0;
  }

  change(name: string, change: Change, entry: Entry, exist: boolean): number {
    const set = this.find(name);
    if (set === undefined) return SetError.notFound;
    return set.change(change, entry, exist);
  }

  /** Removes one set, or all if `name` is undefined. `exist`: one that is missing is no error. */
  destroy(name: string | undefined, exist: boolean): number {
    if (name === undefined) {
      for (const set of this.all()) if (this.references(set) > 0) return SetError.busy;
      this.slots.length = 0;
      this.byName.clear();
      return 0;
    }
    const set = this.find(name);
    if (set === undefined) return exist ? 0 : SetError.notFound;
    if (this.references(set) > 0) return SetError.busy;
    set.flush();
    this.slots[this.byName.get(name)!] = null;
    this.byName.delete(name);
    return 0;
  }

  flush(name: string | undefined): number {
    if (name === undefined) {
      for (const set of this.all()) set.flush();
      return 0;
    }
    const set = this.find(name);
    if (set === undefined) return SetError.notFound;
    set.flush();
    return 0;
  }

  rename(from: string, to: string): number {
    const set = this.find(from);
    if (set === undefined) return SetError.notFound;
    if (this.references(set) > 0) return SetError.referenced;
    if (this.byName.has(to)) return SetError.secondSetName;
    this.byName.set(to, this.byName.get(from)!);
    this.byName.delete(from);
    set.name = to;
    return 0;
  }

  /** Exchanges the contents of two sets: rules and lists keep the name. */
  swap(from: string, to: string): number {
    const a = this.find(from);
    if (a === undefined) return SetError.notFound;
    const b = this.find(to);
    if (b === undefined) return SetError.secondSetName;
    if (a.features !== b.features || a.family !== b.family) return SetError.typeMismatch;
    const slotA = this.byName.get(from)!;
    const slotB = this.byName.get(to)!;
    this.slots[slotA] = b;
    this.slots[slotB] = a;
    a.name = to;
    b.name = from;
    for (const set of this.slots) if (set instanceof ListSet) set.exchange(a, b);
    [a.memberOf, b.memberOf] = [b.memberOf, a.memberOf];
    return 0;
  }

  testPacket(set: IpSet, packet: Packet, at: HookState, directions: readonly boolean[], test: PacketTest): number {
    if (directions.length < set.dimension || !(set.family === 0 || set.family === at.family)) return 0;
    let found = set.testPacket(packet, at, directions, test);
    if (found === -SetError.again) {
      set.addPacket(packet, at, { directions, exist: false, timeout: null });
      return 1;
    }
    const isNomatch = (set.features & Feature.nomatch) !== 0;
    if (test.returnNomatch && isNomatch && (found > 0 || found === -SetError.notEmpty)) found = -found;
    return Math.max(0, found);
  }

  addPacket(set: IpSet, packet: Packet, at: HookState, change: PacketChange): number {
    if (change.directions.length < set.dimension || !(set.family === 0 || set.family === at.family)) {
      return SetError.typeMismatch;
    }
    return set.addPacket(packet, at, change);
  }

  deletePacket(set: IpSet, packet: Packet, at: HookState, change: PacketChange): number {
    if (change.directions.length < set.dimension || !(set.family === 0 || set.family === at.family)) {
      return SetError.typeMismatch;
    }
    return set.deletePacket(packet, at, change);
  }

  private make(name: string, typeName: string, family: SetFamily, options: CreateOptions): IpSet | number {
    const hash = HASH_TYPE_BY_NAME.get(typeName);
    if (hash !== undefined) {
      if (hash.neutral ? family !== 0 : family === 0) return SetError.invalidFamily;
      const error = checkHashOptions(hash, options);
      if (error !== 0) return error;
      const made = new HashSet(hash, name, family, options, options.initval ?? this.options.random() >>> 0, this.clock);
      made.onFull = (full, maxElements) => this.onFull?.(full, maxElements);
      return made;
    }
    if (typeName === 'list:set') return new ListSet(name, options, this, this.clock);
    const kind = typeName as BitmapKind;
    const range = bitmapRange(kind, options);
    return typeof range === 'number' ? range : new BitmapSet(kind, name, range, options, this.clock);
  }
}
