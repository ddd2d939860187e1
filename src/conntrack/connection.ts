import type { AddressWords, Family } from '../packet/family.ts';

/** Direction of a tuple or packet within a connection (`enum ip_conntrack_dir`). */
export const Direction = { original: 0, reply: 1 } as const;
export type Direction = (typeof Direction)[keyof typeof Direction];

/** Status bits of a connection (`enum ip_conntrack_status`, include/uapi/linux/netfilter/nf_conntrack_common.h). */
export const Status = {
  expected: 1 << 0,
  seenReply: 1 << 1,
  assured: 1 << 2,
  confirmed: 1 << 3,
  sourceNat: 1 << 4,
  destinationNat: 1 << 5,
  sequenceAdjust: 1 << 6,
  sourceNatDone: 1 << 7,
  destinationNatDone: 1 << 8,
  dying: 1 << 9,
  fixedTimeout: 1 << 10,
  template: 1 << 11,
  untracked: 1 << 12,
  helper: 1 << 13,
  /** The same bit on a real entry (IPS_NAT_CLASH): it lost a race for its original tuple; only its reply is found, and it dies soon. */
  natClash: 1 << 12,
} as const;

/** One direction of a connection: who speaks to whom. */
export interface Tuple {
  family: Family;
  protocol: number;
  source: AddressWords;
  destination: AddressWords;
  /** Port; ICMP identifier; GRE key. */
  sourcePort: number;
  /** Port; for ICMP `type << 8 | code`; GRE key. */
  destinationPort: number;
}

/**
 * An entry of the connection tracking table, as matches, targets, NAT and reporters see it.
 * A light view on the table's storage: two views of one entry have the same `id`.
 */
export interface Connection {
  /** Unique for the life of the table. */
  readonly id: number;
  readonly family: Family;
  readonly protocol: number;
  status: number;
  mark: number;
  secmark: number;
  tuple(direction: Direction): Tuple;
  /** Zone of a direction (`CT --zone`, `--zone-orig`, `--zone-reply`). */
  zone(direction: Direction): number;
  packets(direction: Direction): bigint;
  bytes(direction: Direction): bigint;
  /** Microseconds of life left at `now`; 0 while it is not confirmed. */
  remaining(now: number): number;
  /** Protocol state by its kernel name (`ESTABLISHED`, `TIME_WAIT`, ...), or null where the protocol has none. */
  readonly stateName: string | null;
  /** 128 label bits as four words. */
  labels(): Uint32Array;
  setLabel(bit: number): void;
  /** Sets all 128 label bits. */
  replaceLabels(words: readonly number[]): void;
  /** Name of the helper assigned to it, or null. */
  readonly helper: string | null;
  /** The connection that expected this one, or null. */
  readonly master: Connection | null;
}
