import type { Packet } from '../../packet/packet.ts';
import type { Direction } from '../connection.ts';
import type { ConntrackEntries } from '../entries.ts';
import type { Entry } from '../entry.ts';
import type { ExpectationPolicy } from '../expectations.ts';

/** What a helper gets to see: a packet of a connection to which it is assigned, as it leaves the machine. */
export interface Sighting {
  packet: Packet;
  entry: Entry;
  direction: Direction;
  /** What the helper remembers of the connection; plain data. */
  memory: Record<string, unknown>;
  conntrack: ConntrackEntries;
  /** Writes to the kernel log why the packet is dropped (nf_ct_helper_log). */
  log(message: string): void;
}

/** A conntrack helper: it understands an application protocol well enough to know which connections will follow. */
export interface Application {
  name: string;
  policies: readonly ExpectationPolicy[];
  /** Null to let the packet pass, else why it is dropped, in words; what the kernel writes to its log then is up to the helper. */
  help(sighting: Sighting): string | null;
  /** The connection ends. */
  end?(entry: Entry, memory: Record<string, unknown>, conntrack: ConntrackEntries): void;
}
