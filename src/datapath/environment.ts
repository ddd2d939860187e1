import type { Connection, Tuple } from '../conntrack/connection.ts';
import type { Device } from '../host/device.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import type { Packet, SocketOwner } from '../packet/packet.ts';
import type { HookState, TableName } from './hooks.ts';
import type { VerdictCode } from './verdicts.ts';

/** Kinds of destination (`RTN_*`), as `-m addrtype` names them. */
export type AddressType =
  | 'UNSPEC'
  | 'UNICAST'
  | 'LOCAL'
  | 'BROADCAST'
  | 'ANYCAST'
  | 'MULTICAST'
  | 'BLACKHOLE'
  | 'UNREACHABLE'
  | 'PROHIBIT'
  | 'THROW'
  | 'NAT'
  | 'XRESOLVE';

export interface RouteQuery {
  family: Family;
  destination: AddressWords;
  source?: AddressWords;
  /** Input device, for packets that came in; absent for local output. */
  inDevice?: Device | null;
  /** Only routes over this device. */
  outDevice?: Device | null;
  /** Of the routes of one prefix those over this device first (an IPv6 lookup with an interface that is not strict). */
  preferDevice?: Device | null;
  mark?: number;
  tos?: number;
  uid?: number;
  protocol?: number;
  /** For `ip rule` with sport and dport. */
  sourcePort?: number;
  destinationPort?: number;
}

export interface RouteAnswer {
  type: 'unicast' | 'local' | 'broadcast' | 'multicast' | 'blackhole' | 'unreachable' | 'prohibit' | 'throw' | 'none';
  device: Device | null;
  /** Next hop; null when on link. */
  gateway: AddressWords | null;
  /** Where it is not the packet's: an IPv4 route `via inet6`. */
  gatewayFamily?: Family;
  /**
   * The source address of packets of the machine that have none yet: the route's `src`, for IPv4 else what the kernel selects for it. Null
   * where the destination itself is the source (`local default dev lo`), where there is none, and for IPv6 without `src` (ask `sourceAddress`).
   */
  preferredSource: AddressWords | null;
  mtu: number;
  realm: number;
  table: number;
  /** The route or rule as `ip` would print it, for people. */
  text: string;
  /** IPv6: the destination is a subnet-router anycast address of this machine (`type` is then local). */
  anycast?: boolean;
}

/** What the routing of a received packet decides (`ip_route_input_noref`, `ip6_route_input`). Not to be kept: it may be reused. */
export interface InputRoute {
  /**
   * `local`: to INPUT; `forward`: over `route.device`; `drop`: nothing comes back; `error`: the ICMP (ICMPv6) error given comes back.
   */
  action: 'local' | 'forward' | 'drop' | 'error';
  route: RouteAnswer;
  /** Why it is dropped or refused, for people; '' otherwise. */
  reason: string;
  /** For `local`: it came as a broadcast or multicast (`RTCF_BROADCAST`, `RTCF_MULTICAST`). */
  broadcast: boolean;
  multicast: boolean;
  icmpType: number;
  icmpCode: number;
  /** The error is one of those of `ip_error`, which are limited per source address by net.ipv4.route.error_burst and error_cost. */
  limited: boolean;
  /** For `drop` in IPv4: only once its options were read, as they are where packets are taken in or forwarded. */
  isTaken: boolean;
  /** What of it is a martian that log_martians tells of; null: nothing (in a multicast it is dropped without a word). */
  martian: 'source' | 'destination' | null;
  /** Realms of its source (upper half) and its destination, for `-m realm` (`tclassid`). */
  realm: number;
  /** For `forward`: an ICMP redirect is due, as far as send_redirects allows (`IPSKB_DOREDIRECT`). */
  redirect: boolean;
}

export interface SocketAnswer {
  owner: SocketOwner;
  /** Bound to the wildcard address. */
  wildcard: boolean;
  transparent: boolean;
  mark: number;
}

/** The simulated machine as rules see it: devices, addresses, routes, sysctls, sockets. Implemented in host/. */
export interface Host {
  readonly devices: readonly Device[];
  device(name: string): Device | null;
  deviceByIndex(index: number): Device | null;
  /** Numeric value of a sysctl (`net.ipv4.ip_forward`), host.yaml's or Linux's default; 0 if unknown. */
  sysctl(name: string): number;
  /** Per-interface sysctl of `net.ipv4.conf`/`net.ipv6.conf`, `all`/`default` already combined as the kernel does. */
  interfaceSysctl(family: Family, device: Device, name: string): number;
  route(query: RouteQuery): RouteAnswer;
  /**
   * Routes a received packet, with the kernel's source checks (martians, rp_filter) and destination checks. Devices, mark, TOS, addresses are the packet's;
   * `device` is where routing sees it come in (the bridge, not its port).
   */
  routeInput(packet: Packet, device: Device): InputRoute;
  /** `-m addrtype`: whether the address is of the types, with the semantics of either family (xt_addrtype). `device` limits to an interface. */
  addressMatches(family: Family, address: AddressWords, types: readonly AddressType[], device?: Device | null): boolean;
  /** `inet_addr_type` / ipv6 counterpart; with `device` only what holds on that device. */
  addressType(family: Family, address: AddressWords, device?: Device | null): AddressType;
  /** The address from which the machine speaks to `destination` over `device` (`inet_select_addr`). */
  sourceAddress(family: Family, device: Device, destination: AddressWords): AddressWords | null;
  /** Whether the device has joined an IPv6 multicast group. */
  inGroup6(device: Device, group: Uint32Array): boolean;
  neighbourMac(family: Family, address: AddressWords, device: Device): Uint8Array;
  /** A socket of this machine for a packet with these ends (destination = the machine's side). */
  findSocket(
    protocol: number,
    family: Family,
    source: AddressWords,
    sourcePort: number,
    destination: AddressWords,
    destinationPort: number,
    inDevice: Device | null,
  ): SocketAnswer | null;
}

/** What SNAT, DNAT, MASQUERADE, REDIRECT and NETMAP ask for (`struct nf_nat_range2`). */
export interface NatRange {
  /** Absent: the address stays. */
  minAddress?: AddressWords;
  maxAddress?: AddressWords;
  /** Absent: any port. */
  minPort?: number;
  maxPort?: number;
  /** `/base` of a shifted port range. */
  basePort?: number;
  random?: boolean;
  randomFully?: boolean;
  persistent?: boolean;
  /** NETMAP: min..max give the network, the host bits stay. */
  netmap?: boolean;
}

/** NAT as targets see it. Implemented in nat/. */
export interface NatServices {
  /** Binds the packet's connection to the range (`nf_nat_setup_info`); the verdict is drop when the range is used up. */
  setup(packet: Packet, at: HookState, range: NatRange, manip: 'source' | 'destination'): VerdictCode;
  /** MASQUERADE remembers its interface. */
  setMasqueradeDevice(connection: Connection, device: Device): void;
}

/** What a CT rule lays down for a packet's future connection. */
export interface ConntrackTemplate {
  zone?: number;
  /** Which directions the zone holds for. */
  zoneDirection?: 'both' | 'original' | 'reply';
  /** Zone taken from the packet's mark. */
  zoneFromMark?: boolean;
  helper?: string;
  timeoutPolicy?: string;
  eventMask?: number;
  expectedEventMask?: number;
  /** SYNPROXY's SYN to the server: its connection shifts sequence numbers and time stamps. */
  synproxy?: boolean;
}

/** Connection tracking as matches and targets see it. Implemented in conntrack/. */
export interface ConntrackServices {
  /** The entry with that tuple in a zone, whichever direction it has; null if none. Dead entries are not found. */
  find(tuple: Tuple, zone: number): Connection | null;
  /** The tuple that the packet itself has now; null if it has none (fragments, truncated headers). */
  tupleOf(packet: Packet): Tuple | null;
  attachTemplate(packet: Packet, template: ConntrackTemplate): void;
  /** NOTRACK. */
  untrack(packet: Packet): void;
}

/** A line of the kernel log (LOG, TRACE). */
export interface LogRecord {
  level: number;
  line: string;
}

/** What NFLOG hands to user space. */
export interface NflogRecord {
  group: number;
  prefix: string;
  /** Bytes to copy; 0 for the whole packet. */
  size: number;
}

/** Results and state of one set test from a rule (`struct ip_set_adt_opt`). */
export interface SetTestOptions {
  /** One entry for each dimension: true = source side. */
  directions: readonly boolean[];
  invert?: boolean;
  returnNomatch?: boolean;
  updateCounters?: boolean;
  updateSubcounters?: boolean;
  packets?: { operator: 'eq' | 'ne' | 'lt' | 'gt'; value: bigint };
  bytes?: { operator: 'eq' | 'ne' | 'lt' | 'gt'; value: bigint };
}

export interface SetChangeOptions {
  directions: readonly boolean[];
  exist?: boolean;
  /** Seconds. */
  timeout?: number;
  /** SET --map-set. */
  map?: { mark?: boolean; priority?: boolean; queue?: boolean };
}

/** Sets as rules see them. Implemented in ipset/. */
export interface SetServices {
  has(name: string): boolean;
  /** A function that tests packets against the named set; made once per rule. */
  tester(name: string, options: SetTestOptions): (packet: Packet, at: HookState) => boolean;
  adder(name: string, options: SetChangeOptions): (packet: Packet, at: HookState) => void;
  deleter(name: string, options: SetChangeOptions): (packet: Packet, at: HookState) => void;
  /** Who hears of sets that are too full to take a packet's entry (`maxElements` of them). */
  onFull?(listener: (name: string, maxElements: number) => void): void;
  /** SET --map-set: writes mark, priority, queue of the matching entry into the packet. */
  mapper(name: string, options: SetChangeOptions): (packet: Packet, at: HookState) => void;
}

/** What targets can have the machine do with and besides the packet. Implemented in datapath/. */
export interface MachineServices {
  readonly host: Host;
  readonly conntrack: ConntrackServices;
  readonly nat: NatServices;
  readonly sets: SetServices;
  /** Simulation clock, microseconds since the epoch. */
  now(): number;
  /** The next 32 random bits of the seeded generator. */
  random(): number;
  /** TCP RST in answer to the packet (nf_send_reset). */
  sendReset(packet: Packet, at: HookState): void;
  /** ICMP or ICMPv6 error in answer to the packet, with all the cases in which REJECT is silent. */
  sendUnreachable(packet: Packet, at: HookState, type: number, code: number): void;
  /** An ICMPv6 error about a packet, with its pointer or MTU, wherever the stack would send one (icmpv6_send). */
  sendIcmpv6Error(packet: Packet, type: number, code: number, info: number): void;
  /** A packet that this machine makes itself, through OUTPUT and POSTROUTING, routed by its destination. */
  sendLocal(packet: Packet): void;
  /** TEE: a copy goes to the gateway (over `device` if given). */
  duplicate(packet: Packet, at: HookState, gateway: AddressWords, device: Device | null): void;
  /** The socket of a connection under way that packets from `source` to `destination` belong to. */
  establishedSocket(
    protocol: number,
    source: AddressWords,
    sourcePort: number,
    destination: AddressWords,
    destinationPort: number,
  ): SocketAnswer | null;
  /** Routes a packet of OUTPUT again after mark, addresses or TOS changed is done by the hook; this is for TPROXY: delivers to a local socket. */
  assignSocket(packet: Packet, socket: SocketAnswer): void;
  log(packet: Packet, at: HookState, record: LogRecord): void;
  nflog(packet: Packet, at: HookState, record: NflogRecord): void;
  /** A message of the kernel itself at a level of syslog.h, unless there are too many of them (net_ratelimit). */
  message(level: number, line: string): void;
  /** State shared by name across rules, as the kernel keeps it (recent, hashlimit, rateest, IDLETIMER...). Plain JSON-able data, Maps and Sets. */
  namedState<T>(kind: string, name: string, make: () => T): T;
}

/** What `compile` of an extension gets: where the rule is, and the machine. */
export interface RuleEnvironment {
  readonly family: Family;
  readonly table: TableName;
  readonly chain: string;
  /** From 1. */
  readonly rule: number;
  readonly variant: 'legacy' | 'nft';
  readonly machine: MachineServices;
  /** Protocol of the rule (`-p`), 0 for any. */
  readonly protocol: number;
  readonly protocolInvert: boolean;
  /**
   * State of this one rule that outlives a trace (limit's credit, quota's rest, ...). `slot` tells several of one rule
   * apart (index of the match in the rule). Plain JSON-able data.
   */
  ruleState<T>(slot: string, make: () => T): T;
}
