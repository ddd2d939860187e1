/** One experiment: a machine, its rules and sets, and what is sent to it. Plain data, kept as JSON when a difference is found. */
export interface Scenario {
  name: string;
  profile: string;
  seed: number;
  host: HostDescription;
  rulesV4: string;
  rulesV6: string;
  ipsets: string;
  packets: PlannedPacket[];
  /** Words of conntrack commands that make entries by hand before the first packet. */
  entries?: string[][];
}

export interface HostDescription {
  interfaces: Record<string, { mac: string; addresses?: string[]; mtu?: number; group?: number; bridge?: string[] }>;
  routes: string[];
  rules?: string[];
  neighbours: Record<string, string>;
  sysctl: Record<string, number>;
  /** Sockets as `tcp/22`, on the wildcard address of both families. */
  listen?: string[];
}

/** A packet to be sent: its bytes, or how they follow from what an earlier packet became on the other side. */
export interface PlannedPacket {
  /** Interface of the router, or `local`. */
  dev: string;
  /** L3 bytes; absent if `answer` tells how to make them. */
  hex?: string;
  sourceMac?: string;
  destinationMac?: string;
  /** Microseconds to wait before it is sent. */
  gap?: number;
  /**
   * The far end's answer to what left the router because of packet number `to` (from 0): addresses and ports exchanged,
   * and the given transport fields. Nothing is sent if nothing left.
   */
  answer?: Answer;
}

export interface Answer {
  to: number;
  /**
   * TCP flags of the answer (`SA`, `A`, `FA`, `R`), `reply` for UDP and ICMP echo, `error TYPE CODE` for an ICMP error, or what
   * `applicationAnswer` knows.
   */
  kind: string;
  payload?: string;
  /** To what left by this device; absent: to the first packet that left. */
  dev?: string;
}

/** A packet as it was really sent. */
export interface SentPacket {
  dev: string;
  hex: string;
  sourceMac?: string;
  destinationMac?: string;
  /** Microseconds since the epoch. */
  time: number;
}

/** What one side (kernel or iptsim) did. */
export interface Outcome {
  /** For each sent packet what came out: device (`local` = delivered) and L3 bytes. */
  outputs: { dev: string; hex: string }[][];
  saveV4: string;
  saveV6: string;
  ipset: string;
  conntrack: string;
  /** `conntrack -L expect`; absent in records that were made before it was compared, as the others below. */
  expectations?: string;
  /** What `conntrack -E` printed, where it listened. */
  events?: string;
  /** For each sent packet what NFLOG showed: group, number of the hook, mark, interfaces, bytes, prefix. */
  nflog?: string[][];
  /** For each sent packet the lines of the kernel log, each with its level; absent also where the kernel does not log for namespaces. */
  log?: string[][];
}

/** A scenario and what the kernel did, kept for machines on which it cannot be asked. */
export interface RecordedCase {
  variant: 'legacy' | 'nft';
  scenario: Scenario;
  sent: SentPacket[];
  outcome: Outcome;
}
