import type { AddressWords, Family } from '../packet/family.ts';

/** A range of addresses. */
export interface Prefix {
  family: Family;
  /** Host bits are zero. */
  address: AddressWords;
  length: number;
}

/** Who is at the other end. */
export type Remote =
  | { kind: 'any' }
  /** `except`: smaller ranges within, that are not meant. */
  | { kind: 'prefix'; prefix: Prefix; except: readonly Prefix[] }
  | { kind: 'group'; group: string }
  | { kind: 'list'; list: string };

export type Direction = 'ingress' | 'egress';

/** A rule of a group lets something through; what no rule lets through is dropped. One rule holds for one family. */
export interface GroupRule {
  group: string;
  /** Its place in the file, from 1; 0: it is there because the group declares none of its direction. */
  index: number;
  direction: Direction;
  family: Family;
  /** IP protocol; null: any. */
  protocol: number | null;
  /** Destination ports, both included; null: any. */
  ports: readonly [number, number] | null;
  icmp: { type: number; code: number | null } | null;
  remote: Remote;
}

export interface Group {
  name: string;
  /** false: answers pass no group by themselves; they need rules of their own, as every packet does. */
  stateful: boolean;
  rules: readonly GroupRule[];
}

/** An address from which a port may send, with the MAC that it must have then. */
export interface AddressPair {
  prefix: Prefix;
  mac: string;
}

/** The interface of a virtual machine, seen from the bridge. */
export interface VmPort {
  vm: string;
  host: string;
  tap: string;
  /** Lower case, with colons. */
  mac: string;
  addresses: readonly Prefix[];
  /** The addresses with the machine's own MAC first, then the allowed address pairs. */
  pairs: readonly AddressPair[];
  groups: readonly string[];
  /** What its groups are; they are all of one kind. */
  stateful: boolean;
}

export interface Cloud {
  groups: ReadonlyMap<string, Group>;
  prefixLists: ReadonlyMap<string, readonly Prefix[]>;
  ports: readonly VmPort[];
}

/** What somebody wants of a machine. */
export interface Service {
  protocol: number;
  /** Destination port; null for protocols without ports. */
  port: number | null;
  icmp: { type: number; code: number } | null;
}
