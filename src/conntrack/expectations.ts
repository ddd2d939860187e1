import { Status } from './connection.ts';
import type { ConntrackTable } from './table.ts';
import { Field } from './table.ts';
import { TUPLE_WORDS } from './tuple.ts';

/** How a helper's expectations are limited (`struct nf_conntrack_expect_policy`). */
export interface ExpectationPolicy {
  name: string;
  /** 0: any number. */
  max: number;
  /** Seconds. */
  timeout: number;
}

export const ExpectationFlag = { permanent: 1, inactive: 2, userspace: 4 } as const;

/** A connection that a helper awaits (`struct nf_conntrack_expect`). */
export interface Expectation {
  id: number;
  /** Tuple words, destination complete; source only as far as `mask` has bits. */
  tuple: Uint32Array;
  /** Words of the source address (0 to 3) and, in the upper half of word 8, of the source port. */
  mask: Uint32Array;
  /** Slot of the connection whose helper expects it. */
  master: number;
  zone: number;
  class: number;
  helper: string;
  flags: number;
  /** Microseconds. */
  expiry: number;
  /** How NAT is to translate it: as `nf_nat_follow_master` does, as the PPTP or the SIP helper does; null: not at all. */
  translate: 'follow-master' | 'pptp' | 'sip' | null;
  /** Direction of the master that the expected connection runs against (`exp->dir`). */
  direction: 0 | 1;
  /** The port (and for SIP the address) before NAT changed what the helper announced. */
  savedPort: number;
  savedAddress: Uint32Array | null;
  /** Helper of the expected connection. */
  assign: string | null;
  /** Set when its packet could not be changed: it no longer counts. */
  dead: boolean;
}

export type ExpectResult = 'ok' | 'busy' | 'full' | 'other-class';

function bucketOf(tuple: Uint32Array): number {
  return (Math.imul(tuple[8]! & 0xffff, 0x9e3779b1) ^ tuple[4]! ^ Math.imul(tuple[7]!, 31) ^ tuple[9]!) | 0;
}

/** Whether a packet's tuple is one that was expected (nf_ct_tuple_mask_cmp). */
function covers(tuple: Uint32Array, expected: Uint32Array, mask: Uint32Array): boolean {
  for (let i = 0; i < 4; i++) {
    if (((tuple[i]! ^ expected[i]!) & mask[i]!) !== 0 || tuple[4 + i] !== expected[4 + i]) return false;
  }
  return (
    tuple[9] === expected[9] &&
    (tuple[8]! & 0xffff) === (expected[8]! & 0xffff) &&
    ((tuple[8]! ^ expected[8]!) & mask[8]!) >>> 16 === 0
  );
}

/** All expectations (nf_conntrack_expect.c). Those made last are found first. */
export class Expectations {
  private readonly buckets = new Map<number, Expectation[]>();
  private readonly table: ConntrackTable;
  private readonly max: number;
  private readonly policyOf: (helper: string, index: number) => ExpectationPolicy;
  private readonly statistics: { expectCreate: number; expectDelete: number };
  count = 0;
  /** Hears of expectations that are made and that end. */
  changed: ((kind: 'new' | 'destroy', expectation: Expectation) => void) | null = null;
  /** Called when there is no room for a further one. */
  full: (() => void) | null = null;
  private nextId = 1;

  constructor(
    table: ConntrackTable,
    max: number,
    policyOf: (helper: string, index: number) => ExpectationPolicy,
    statistics: { expectCreate: number; expectDelete: number },
  ) {
    this.statistics = statistics;
    this.table = table;
    this.max = max;
    this.policyOf = policyOf;
  }

  /** Newest first. */
  all(): Expectation[] {
    return [...this.buckets.values()].flat().sort((a, b) => b.id - a.id);
  }

  of(master: number): Expectation[] {
    return this.count === 0 ? [] : this.all().filter((expectation) => expectation.master === master);
  }

  remove(expectation: Expectation): void {
    const key = bucketOf(expectation.tuple);
    const list = this.buckets.get(key);
    const index = list?.indexOf(expectation) ?? -1;
    if (list === undefined || index < 0) return;
    list.splice(index, 1);
    if (list.length === 0) this.buckets.delete(key);
    this.count--;
    this.statistics.expectDelete++;
    this.changed?.('destroy', expectation);
  }

  removeOf(master: number): void {
    for (const expectation of this.of(master)) this.remove(expectation);
  }

  /** Removes those whose time is up. */
  sweep(now: number): void {
    if (this.count === 0) return;
    for (const expectation of this.all()) if (this.expired(expectation, now)) this.remove(expectation);
  }

  private expired(expectation: Expectation, now: number): boolean {
    return expectation.dead || expectation.expiry <= now;
  }

  /** The expectation that a new connection's tuple fulfils; it is used up, unless permanent (nf_ct_find_expectation). */
  take(tuple: Uint32Array, zone: number, now: number): Expectation | null {
    const list = this.buckets.get(bucketOf(tuple));
    if (list === undefined) return null;
    for (const expectation of [...list]) {
      if (this.expired(expectation, now)) {
        this.remove(expectation);
        continue;
      }
      if ((expectation.flags & ExpectationFlag.inactive) !== 0 || expectation.zone !== zone) continue;
      if (!covers(tuple, expectation.tuple, expectation.mask)) continue;
      const status = this.table.wordsOf(expectation.master)[this.table.baseOf(expectation.master) + Field.status]!;
      // The other end cannot know of it before the packet that announced it has left this machine.
      if ((status & Status.confirmed) === 0 || (status & Status.dying) !== 0) return null;
      if ((expectation.flags & ExpectationFlag.permanent) === 0) this.remove(expectation);
      return expectation;
    }
    return null;
  }

  /** Looks without taking (nf_ct_expect_find_get). */
  find(tuple: Uint32Array, zone: number, now: number): Expectation | null {
    for (const expectation of this.buckets.get(bucketOf(tuple)) ?? []) {
      if (this.expired(expectation, now) || expectation.zone !== zone) continue;
      if (covers(tuple, expectation.tuple, expectation.mask)) return expectation;
    }
    return null;
  }

  /** nf_ct_expect_related: `busy` if what is expected would clash with another expectation. `anyMaster`: equal ones of other masters are replaced too. */
  add(expectation: Expectation, now: number, anyMaster = false): ExpectResult {
    for (const other of [...(this.buckets.get(bucketOf(expectation.tuple)) ?? [])]) {
      if (this.expired(other, now)) {
        this.remove(other);
      } else if ((anyMaster || other.master === expectation.master) && same(other, expectation)) {
        if (other.class !== expectation.class || other.master !== expectation.master) return 'other-class';
        this.remove(other);
        break;
      } else if (clash(other, expectation)) return 'busy';
    }
    const policy = this.policyOf(expectation.helper, expectation.class);
    if (policy.max > 0) this.evict(expectation, policy.max, now);
    if (this.count >= this.max) {
      this.full?.();
      return 'full';
    }
    expectation.expiry = now + policy.timeout * 1e6;
    this.statistics.expectCreate++;
    this.insert(expectation);
    this.changed?.('new', expectation);
    return 'ok';
  }

  /** Puts it in as it is. */
  insert(expectation: Expectation): void {
    if (expectation.id === 0) expectation.id = this.nextId;
    this.nextId = Math.max(this.nextId, expectation.id + 1);
    const key = bucketOf(expectation.tuple);
    const list = this.buckets.get(key);
    if (list === undefined) this.buckets.set(key, [expectation]);
    else list.unshift(expectation);
    this.count++;
  }

  /** A helper that expects too much at once forgets what it expected first (evict_oldest_expect). */
  private evict(expectation: Expectation, max: number, now: number): void {
    const own = this.of(expectation.master).filter((other) => {
      if (!this.expired(other, now)) return other.class === expectation.class;
      this.remove(other);
      return false;
    });
    if (own.length >= max) this.remove(own[own.length - 1]!);
  }
}

function same(a: Expectation, b: Expectation): boolean {
  for (let i = 0; i < TUPLE_WORDS; i++) if (a.tuple[i] !== b.tuple[i] || a.mask[i] !== b.mask[i]) return false;
  return a.zone === b.zone;
}

function clash(a: Expectation, b: Expectation): boolean {
  const both = a.mask.map((word, i) => word & b.mask[i]!);
  return a.zone === b.zone && covers(a.tuple, b.tuple, both);
}
