import type { ConntrackServices } from '../datapath/environment.ts';
import type { HookState } from '../datapath/hooks.ts';
import type { Share } from '../datapath/share.ts';
import type { VerdictCode } from '../datapath/verdicts.ts';
import type { Packet } from '../packet/packet.ts';
import type { Observer } from '../trace/steps.ts';
import type { Entry } from './entry.ts';
import type { EventListener } from './events.ts';
import type { Expectation } from './expectations.ts';
import type { SynproxyMemory } from './sidelines.ts';

/** What connection tracking needs from outside. */
export interface ConntrackDependencies {
  /** Simulation clock, microseconds since the epoch. */
  now(): number;
  /** The next 32 random bits of the seeded generator. */
  random(): number;
  /** Value of `net.netfilter.nf_conntrack_*`; read once, when the service is made. */
  sysctl(name: string): number;
  /** Where messages to the kernel log go; absent: nowhere. */
  log?: ConntrackLog;
  /** Where the machine handles only a part of the packets; absent or null: all. */
  share?: Pick<Share, 'parts' | 'conflict'> | null;
}

/** The kernel log, as connection tracking writes to it by itself. */
export interface ConntrackLog {
  /** A message and the packet that it is about (nf_log_packet); `at` is null where no devices are told. */
  packet(packet: Packet, at: HookState | null, message: string): void;
  /** A message at a level of syslog.h, unless there are too many of them (net_ratelimit). */
  limited(level: number, line: string): void;
}

/**
 * Connection tracking as the datapath drives it. Each function stands for a hook function of
 * net/netfilter/nf_conntrack_core.c; the caller decides in which families they are called at all
 * (the kernel registers them only when a rule needs them).
 */
export interface Conntrack extends ConntrackServices {
  /** Who hears of lookups, new entries, confirmations; null: nobody, at no cost. */
  observer: Observer | null;

  /** Whether packets and bytes of new entries are counted (nf_conntrack_acct); a `connbytes` rule switches it on. */
  accounting: boolean;

  /** From now on the listener hears of what changes in the tables; null: nobody does. */
  listen(listener: EventListener | null): void;

  /**
   * PREROUTING and OUTPUT, entry `conntrack` (nf_conntrack_in): sets `packet.connection` and `packet.conntrackInfo`.
   * INVALID is `connection === null` with any info but `untracked`. The verdict is accept, or drop (table full).
   * A packet that already has a connection (looped back over `lo`, an attached answer) is left alone.
   */
  in(packet: Packet, at: HookState): VerdictCode;

  /**
   * POSTROUTING and INPUT, entry `helper` (nf_confirm's first half): helpers look into the packet, expectations are made,
   * sequence numbers are adjusted. May rewrite the packet, or drop it.
   */
  help(packet: Packet, at: HookState): VerdictCode;

  /** POSTROUTING and INPUT, entry `confirm` (nf_conntrack_confirm): the entry goes into the table. Drop: somebody else has its tuple. */
  confirm(packet: Packet, at: HookState): VerdictCode;

  /**
   * The packet is gone (dropped, delivered, sent): if its entry was never confirmed it vanishes.
   * To be called once at the end of every packet that went through `in`.
   */
  release(packet: Packet): void;

  /**
   * The answer belongs to the packet's connection as RELATED in the other direction (nf_ct_attach). To be called for
   * ICMP errors and for the RST of REJECT, before OUTPUT; NAT then undoes its translations in them at OUTPUT and POSTROUTING.
   */
  attach(answer: Packet, cause: Packet): void;

  /** A RST was sent in answer to the packet: its TCP connection is closed (nf_ct_set_closing). To be called before the RST leaves. */
  close(packet: Packet): void;

  /** What SYNPROXY remembers of the packet's connection, to be changed in place; null if it is none of the proxy's. */
  synproxy(packet: Packet): SynproxyMemory | null;
  /** From now on sequence numbers of the packet's direction are shifted by `bytes` (nf_ct_seqadj_init). */
  shiftSequence(packet: Packet, bytes: number): void;
  /** The largest window that the client of the packet's TCP connection offered (`seen[0].td_maxwin`). */
  clientWindow(packet: Packet): number;

  /** Number of entries in the table. */
  readonly count: number;

  /** The table as text for the state directory (file `CONNTRACK_FILE`), one entry a line, times as what remains at `now`. '' if it is empty. */
  save(): string;
  /** Takes in what `save` wrote; the remaining times count from `now`. */
  load(text: string): void;
}

/** What NAT adds to connection tracking; set by `createNat`. */
export interface NatLink {
  /** The entry is gone (nf_nat_cleanup_conntrack). */
  forget(entry: Entry): void;
  /** An entry with a source mapping came from the state directory. */
  remember(entry: Entry): void;
  /** Translates an expected connection like its master (`expectfn`). */
  translateExpected(entry: Entry, expectation: Expectation): void;
}

/** Counts of `conntrack -S`. */
export interface Statistics {
  found: number;
  invalid: number;
  insert: number;
  insertFailed: number;
  drop: number;
  earlyDrop: number;
  error: number;
  clashResolve: number;
  expectNew: number;
  expectCreate: number;
  expectDelete: number;
}

export function newStatistics(): Statistics {
  return {
    found: 0,
    invalid: 0,
    insert: 0,
    insertFailed: 0,
    drop: 0,
    earlyDrop: 0,
    error: 0,
    clashResolve: 0,
    expectNew: 0,
    expectCreate: 0,
    expectDelete: 0,
  };
}
