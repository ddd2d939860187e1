import type { HookState } from '../datapath/hooks.ts';
import type { Packet } from '../packet/packet.ts';
import type { CreateOptions, Entry } from './entry.ts';
import type { ElementExtensions, ExtensionStore, PacketTest } from './extensions.ts';

/** 0: the type or set is for both families. */
export type SetFamily = 4 | 6 | 0;

export type Change = 'add' | 'del' | 'test';

/** Parts of an element (IPSET_TYPE_* of include/linux/netfilter/ipset/ip_set.h). Sets can be swapped where they agree. */
export const Feature = { ip: 1, port: 2, mac: 4, ip2: 8, name: 16, iface: 32, mark: 64, nomatch: 128 } as const;

/** What a rule wants done with a packet's element. */
export interface PacketChange {
  directions: readonly boolean[];
  exist: boolean;
  /** Seconds; null: the set's default. */
  timeout: number | null;
}

/** The properties of a set that listings show. */
export interface SetHeader extends CreateOptions {
  elements: number;
  /** Bytes. */
  memory: number;
}

/** One set of any type, as the kernel keeps it. Numbers returned are 0 or an error code (errors.ts). */
export interface IpSet {
  name: string;
  readonly typeName: string;
  readonly family: SetFamily;
  readonly dimension: number;
  readonly features: number;
  readonly extensions: ExtensionStore;
  /** How many lists have it as a member. */
  memberOf: number;
  /** A command's addition, deletion or test. A test returns 0 for an element that is there. */
  change(change: Change, entry: Entry, exist: boolean): number;
  /** Puts in what a test found incomplete, or answers: 1 in the set, 0 or less not (`kadt` with IPSET_TEST). */
  testPacket(packet: Packet, at: HookState, directions: readonly boolean[], test: PacketTest): number;
  addPacket(packet: Packet, at: HookState, change: PacketChange): number;
  deletePacket(packet: Packet, at: HookState, change: PacketChange): number;
  flush(): void;
  header(): SetHeader;
  /** Calls `visit` with each element in listing order; the object is reused. */
  forEach(visit: (entry: Entry) => void): void;
  /** Whether `create -exist` takes the other for the same. */
  sameAs(other: IpSet): boolean;
}

/** Extensions of an element that a packet adds: one packet, its bytes (IP_SET_INIT_KEXT). */
export function packetExtensions(
  store: ExtensionStore,
  packet: Packet,
  change: PacketChange,
  into: ElementExtensions,
): ElementExtensions {
  into.timeout = change.timeout ?? store.timeout ?? 0;
  into.packets = 1n;
  into.bytes = BigInt(packet.bytes.length);
  into.comment = '';
  into.skbmark = 0;
  into.skbmarkMask = 0;
  into.skbprio = 0;
  into.skbqueue = 0;
  return into;
}
