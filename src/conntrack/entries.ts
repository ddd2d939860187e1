import { LogLevel } from '../datapath/log-level.ts';
import type { Packet } from '../packet/packet.ts';
import type { Observer } from '../trace/steps.ts';
import { applicationOf, policyOf } from './applications/registry.ts';
import { type Direction, Status, Direction as Way } from './connection.ts';
import {
  type ConntrackDependencies,
  type ConntrackLog,
  type NatLink,
  newStatistics,
  type Statistics,
} from './contract.ts';
import { Entry } from './entry.ts';
import { type EventListener, EventTeller } from './events.ts';
import { Expectations } from './expectations.ts';
import { formatEntry } from './format.ts';
import { shiftAt } from './sequence.ts';
import { readSettings, type Settings } from './settings.ts';
import { Sidelines } from './sidelines.ts';
import { ConntrackTable, Extra, Field } from './table.ts';
import type { Tracking } from './tracking.ts';
import { hashTuple } from './tuple.ts';

/** The entries with all that belongs to them: their making, ageing and end. What the hooks do with them is in service.ts. */
export class ConntrackEntries implements Tracking {
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
  /** Why the packet under way is INVALID or without effect; '' if nobody said. */
  protected lastReason = '';
  /** What the kernel says of it in its log, where it is asked to. */
  protected readonly complaints: string[] = [];
  readonly log: ConntrackLog | null;
  protected nextSweep = 0;
  /** Tells what changes; null: nobody listens. */
  protected teller: EventTeller | null = null;
  private readonly clock: () => number;
  private readonly share: (ConntrackDependencies['share'] & object) | null;

  constructor(dependencies: ConntrackDependencies) {
    this.clock = dependencies.now;
    this.random = dependencies.random;
    this.log = dependencies.log ?? null;
    this.settings = readSettings(dependencies.sysctl);
    this.share = dependencies.share ?? null;
    if (this.share !== null) this.settings.max = Math.floor(this.settings.max / this.share.parts);
    this.expectations = new Expectations(this.table, this.settings.expectMax, policyOf, this.statistics);
    this.expectations.full = () => this.log?.limited(LogLevel.warning, 'nf_conntrack: expectation table full');
  }

  /** Whoever listens hears of all changes from now on; null: nobody. */
  listen(listener: EventListener | null): void {
    const teller = listener === null ? null : new EventTeller(listener, this);
    this.teller = teller;
    this.nextSweep = 0;
    this.expectations.changed = teller === null ? null : (kind, expectation) => teller.expectation(kind, expectation);
    if (teller !== null) this.table.forEachConfirmed((slot) => teller.know(this.entry(slot)));
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

  /** Puts an entry that has its final tuples and a relative timeout into the table. */
  insert(entry: Entry): void {
    const now = this.clock();
    entry.expiry += now;
    if (this.settings.timestamps) {
      entry.setExtra(Extra.timestamp);
      this.sidelines.timestamps.set(entry.slot, { start: now, stop: 0 });
    }
    this.table.link(entry.slot, Way.original);
    this.table.link(entry.slot, Way.reply);
    entry.status |= Status.confirmed;
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

  reason(text: string, complaint?: string): void {
    this.lastReason = text;
    if (complaint !== undefined) this.complain(complaint);
  }

  complain(text: string): void {
    if (this.settings.logInvalid !== 0) this.complaints.push(text);
  }

  // --- the end of entries

  /** Takes a confirmed entry out of the table (nf_ct_delete). */
  destroy(entry: Entry, reason: string): void {
    if ((entry.status & Status.dying) !== 0) return;
    if (this.teller !== null) {
      const timestamp = this.sidelines.timestamps.get(entry.slot);
      if (timestamp !== undefined) timestamp.stop = this.clock();
      this.teller.ended(entry);
    }
    entry.status |= Status.dying;
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
      this.table.unlink(entry.slot, Way.original);
    }
    if (entry.confirmed) this.table.unlink(entry.slot, Way.reply);
    if (entry.has(Extra.helper)) this.endApplication(entry);
    this.discard(entry);
  }

  private endApplication(entry: Entry): void {
    const assigned = this.sidelines.helpers.get(entry.slot);
    if (assigned !== undefined) applicationOf(assigned.name)?.end?.(entry, assigned.memory, this);
  }

  /** Gives up an entry that is not in the hash table. */
  discard(entry: Entry): void {
    entry.status |= Status.dying;
    if (this.expectations.count > 0) this.expectations.removeOf(entry.slot);
    if (this.greKeys.length > 0) this.forgetCalls(entry.slot);
    if ((entry.status & Status.sourceNatDone) !== 0) this.nat?.forget(entry);
    if (entry.has(Extra.master | Extra.labels)) entry.former = { master: entry.master, labels: entry.labels() };
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

  /** Removes what is dead; the kernel does so once a minute at the latest. Listeners hear of it sooner. */
  sweep(now: number): void {
    this.nextSweep = now + (this.teller === null ? 60e6 : 1e6);
    if (this.teller !== null) this.expectations.sweep(now);
    const dead: number[] = [];
    this.table.forEachConfirmed((slot) => {
      if (this.table.doublesOf(slot)[(this.table.baseOf(slot) + Field.expiry) >>> 1]! <= now) dead.push(slot);
    });
    for (const slot of dead) this.bury(slot);
  }

  /** The table is full: dead entries go, else one near the new one's place that is not ASSURED (early_drop). `key`: the new one's tuple. */
  makeRoom(key: Uint32Array, now: number): boolean {
    this.sweep(now);
    if (this.table.count < this.settings.max) return true;
    this.share?.conflict('the table of connections may be full (net.netfilter.nf_conntrack_max)');
    const { buckets } = this.settings;
    const width = 2 ** 32 / buckets;
    const first = Math.floor(hashTuple(key, 0) / width);
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
}
