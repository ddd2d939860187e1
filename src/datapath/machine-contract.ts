import type { EventListener } from '../conntrack/events.ts';
import type { Variant } from '../extensions/contract.ts';
import type { Device } from '../host/device.ts';
import type { NatChoices } from '../nat/choices.ts';
import type { Family } from '../packet/family.ts';
import type { SocketOwner } from '../packet/packet.ts';
import type { Counters, RuleSpec } from '../ruleset/rule.ts';
import type { Observer } from '../trace/steps.ts';
import type { RandomGenerator, SimulationClock } from './clock.ts';
import type { Host, LogRecord, SetServices } from './environment.ts';
import type { HookName, TableName } from './hooks.ts';
import type { QueueListener } from './queueing.ts';
import type { Share } from './share.ts';

/** A rule with its counters, as the datapath takes it over from ruleset/. */
export interface LoadedRule extends Counters {
  readonly spec: RuleSpec;
}

export interface LoadedChain {
  name: string;
  /** null for a chain made by the user. */
  policy: 'ACCEPT' | 'DROP' | null;
  /** Of the policy. */
  counters: Counters;
  rules: readonly LoadedRule[];
}

export interface LoadedTable {
  name: TableName;
  chains: readonly LoadedChain[];
}

/** All tables of one family that exist. */
export interface LoadedRuleset {
  tables: readonly LoadedTable[];
}

/** Everything the simulated machine is made of. */
export interface MachineOptions {
  host: Host;
  ruleset4: LoadedRuleset;
  ruleset6: LoadedRuleset;
  sets: SetServices;
  variant: Variant;
  /** Shared with the sets; the machine moves it to the time of each packet. */
  clock: SimulationClock;
  random: RandomGenerator;
  /** Ports that NAT is to choose where any of several will do; absent or null: at random. */
  choices?: NatChoices | null;
  /** What an earlier run left behind (`Machine.memory()`); null for a machine just switched on. */
  memory: MachineMemory | null;
  /** Named state that stands from the start, by kind and name, in place of what the memory has of these kinds. */
  namedState?: MachineMemory['namedState'];
  /** Who listens on NFQUEUE; absent: nobody. */
  queues?: QueueListener | null;
  /** Who wants every step; null: the fast path. */
  observer?: Observer | null;
  /** Who hears of changes in connection tracking; absent: nobody. */
  events?: EventListener | null;
  /** Which part of the packets this machine handles where others handle the rest; absent or null: all. */
  share?: Share | null;
  /** Whether the outcome is to hold what left, was delivered and logged. Off where only verdicts are counted. */
  collect?: boolean;
}

/** A frame or packet that arrives. */
export interface Arrival {
  device: Device;
  /** From the IP header; whatever follows its total length may still be there. The machine owns it and writes into it. */
  bytes: Uint8Array;
  /** Destination MAC, source MAC, ethertype (14 bytes); null: as if addressed to this interface. */
  linkHeader: Uint8Array | null;
  /** Microseconds since the epoch. */
  time: number;
  /** What a description of the packet said beyond its bytes. */
  described?: Readonly<Record<string, string>> | null;
}

/** A packet that a process of this machine sends. */
export interface LocalSend {
  /** From the IP header, complete. The machine owns it and writes into it. */
  bytes: Uint8Array;
  time: number;
  /** Absent: root (uid 0, gid 0), as a raw socket of the superuser. */
  owner?: SocketOwner | null;
  mark?: number;
  /** The process has a socket connected to the destination, which takes what comes back; absent: it sent through a raw socket. */
  connected?: boolean;
  described?: Readonly<Record<string, string>> | null;
}

export type TraceVerdict =
  | 'forwarded'
  | 'delivered'
  | 'sent'
  | 'dropped'
  | 'rejected'
  /** Left in a queue that nobody listens on: lost. */
  | 'queued'
  /** Kept back: a fragment that waits, or a handler's `stolen`. */
  | 'stolen'
  /** Never reached the hooks. */
  | 'invalid';

export interface EmittedPacket {
  device: Device;
  family: Family;
  /** Ethernet header of the frame. */
  linkHeader: Uint8Array;
  /** From the IP header. */
  bytes: Uint8Array;
}

export interface DeliveredPacket {
  family: Family;
  bytes: Uint8Array;
}

/** What a queue's listener was shown, as `trace --json` has it. */
export interface QueueEvent {
  queue: number;
  hook: HookName;
  mark: number;
  in: string | null;
  out: string | null;
  physin: string | null;
  physout: string | null;
  len: number;
}

export interface NflogEvent {
  group: number;
  hook: HookName;
  prefix: string;
  mark: number;
  in: string | null;
  out: string | null;
  physin: string | null;
  physout: string | null;
  /** What was copied, from the IP header. */
  bytes: Uint8Array;
}

/** One message of nftables about a packet that TRACE marked (NFT_MSG_TRACE), as `xtables-monitor --trace` gets it. */
export interface TraceEvent {
  family: Family;
  /** The same for all messages about one packet; iptsim counts. */
  id: number;
  /** The packet as the table saw it; null but in the first message of a table. */
  packet: string | null;
  table: TableName;
  chain: string;
  /** From 1; null for the policy. */
  rule: number | null;
  /** The number that nftables gives the rule: chains of the table are counted first. */
  handle: number;
  /** `CONTINUE`, `ACCEPT`, `DROP`, `JUMP:CHAIN`, `GOTO:CHAIN`, or the number of another verdict. */
  verdict: string;
}

/** What became of one input packet. One object is reused: it holds until the next packet is given to the machine. */
export interface Outcome {
  verdict: TraceVerdict;
  /**
   * For a packet not let through what stopped it (null if routing or a sanity check did), otherwise the last
   * verdict given in filter, or null. `rule` counts from 1; null for a policy.
   */
  table: TableName | null;
  chain: string | null;
  rule: number | null;
  /** Why it was not let through, for people; null if it was. */
  reason: string | null;
  /** First device it left by; null if it did not. */
  out: Device | null;
  /** All that left because of this packet, in order. Empty unless `collect`. */
  emitted: EmittedPacket[];
  delivered: DeliveredPacket[];
  queue: QueueEvent[];
  log: LogRecord[];
  nflog: NflogEvent[];
  /** What TRACE tells, under nft. */
  traced: TraceEvent[];
  /**
   * Set while a queue's handler keeps the packet: resolves when all is done (the outcome is then complete).
   * It must be awaited before the machine gets its next packet. null: done.
   */
  pending: Promise<void> | null;
}

/** What the kernel would keep in memory besides rules' counters and sets: plain JSON-able data. */
export interface MachineMemory {
  /**
   * Time of the last packet, microseconds since the epoch. Who starts the machine with a packet before it sets it to
   * that packet's time: what remained then still remains.
   */
  clock: number;
  /** What all timers are kept by (`SimulationClock.now`). */
  uptime: number;
  random: readonly number[];
  /** By `"FAMILY TABLE CHAIN RULE SLOT"`, e.g. `"4 filter FORWARD 3 0"`. */
  ruleState: Record<string, unknown>;
  /** By kind, then name (recent, hashlimit, ...). */
  namedState: Record<string, Record<string, unknown>>;
  /** As conntrack/ serialises it. */
  conntrack: unknown;
  /** Bridge, then MAC in lower-case hex without separators: port and age in microseconds. */
  learnedMacs: Record<string, Record<string, { port: string; age: number }>>;
  /** Waiting fragments as packet/ serialises them. */
  fragments: unknown;
  /** Anything else the machine's own stack remembers (rate limits of answers). */
  stack: unknown;
}

/** What rules and policies have counted, in the order of families, tables, chains and rules. */
export interface RuleCounts {
  packets: Float64Array;
  bytes: Float64Array;
}

/** The simulated machine. Times never go backwards: an earlier packet is handled at the time of the one before it. */
export interface Machine {
  /** A frame arrives on an interface. */
  receive(arrival: Arrival): Outcome;
  /** A local process sends a packet. */
  send(packet: LocalSend): Outcome;
  /** Lets time pass. */
  advance(time: number): void;
  /** What was counted since the counters were written back last. */
  counts(): RuleCounts[];
  /** Adds what another machine with the same rules has counted. */
  addCounts(counts: readonly RuleCounts[]): void;
  /** Writes the counters back into the rulesets given to `createMachine`. */
  writeCounters(): void;
  memory(): MachineMemory;
}
