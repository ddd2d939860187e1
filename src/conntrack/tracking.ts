import { Hook, type HookState } from '../datapath/hooks.ts';
import { checksumHolds } from '../packet/checksum.ts';
import { ConntrackInfo, type Packet, Summed } from '../packet/packet.ts';
import { Direction } from './connection.ts';
import type { Entry } from './entry.ts';
import type { Settings } from './settings.ts';

/** What a protocol says of a packet. */
export const Outcome = {
  /** Part of the connection. */
  accept: 0,
  /** INVALID: the packet gets no connection. */
  invalid: 1,
  /** The entry was removed: look up again (a new connection over an old one). */
  again: 2,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** What protocols ask of the service while they look at a packet. */
export interface Tracking {
  readonly settings: Settings;
  /** Simulation clock, microseconds. */
  now(): number;
  /** Counts the packet and lets the entry live for `timeout` microseconds from now (nf_ct_refresh_acct). */
  refresh(entry: Entry, direction: Direction, packet: Packet, timeout: number): void;
  /** Counts the packet only. */
  account(entry: Entry, direction: Direction, packet: Packet): void;
  /** Removes the entry from the table. */
  kill(entry: Entry): void;
  /** By how much NAT has shifted the sequence numbers of a direction at `sequence` (nf_ct_seq_offset). */
  sequenceOffset(entry: Entry, direction: Direction, sequence: number): number;
  /**
   * Why a packet is INVALID or let through without effect, for the observer; `complaint`: what the kernel then says in its log, where
   * nf_conntrack_log_invalid asks for it (nf_l4proto_log_invalid).
   */
  reason(text: string, complaint?: string): void;
  /** A further complaint about the same packet. */
  complain(text: string): void;
}

/** Direction of a packet within its connection (CTINFO2DIR). */
export function directionOf(packet: Packet): Direction {
  return packet.conntrackInfo >= ConntrackInfo.establishedReply ? Direction.reply : Direction.original;
}

/** Whether the checksum of the packet's content is right, as far as it is asked: of packets that came in, and unless nf_conntrack_checksum is 0. */
export function contentHolds(
  packet: Packet,
  at: HookState,
  { settings }: Tracking,
  protocol = packet.protocol,
): boolean {
  if (!settings.checksum || at.hook !== Hook.prerouting) return true;
  if (packet.summed === Summed.unnecessary) return true;
  packet.verified = checksumHolds(packet, protocol);
  packet.summed = packet.verified ? Summed.complete : Summed.no;
  return packet.verified;
}
