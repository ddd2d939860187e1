import type { Device } from '../host/device.ts';
import type { Family } from '../packet/family.ts';
import type { SocketOwner } from '../packet/packet.ts';
import type { HookName, TableName } from './hooks.ts';
import type { VerdictCode } from './verdicts.ts';

/** What a program behind NFQUEUE sees of a packet (linux/netfilter/nfnetlink_queue.h). */
export interface QueuedPacket {
  queue: number;
  /** Counts the packets of one queue, from 1. */
  id: number;
  /** Microseconds since the epoch, simulation clock. */
  time: number;
  family: Family;
  hook: HookName;
  /** The table whose rule queued it; kept when a verdict hands it on to another queue. */
  table: TableName;
  mark: number;
  /** PREROUTING, INPUT: only in; FORWARD: both; OUTPUT: only out; POSTROUTING: out, and in for forwarded packets. */
  inDevice: Device | null;
  outDevice: Device | null;
  physicalIn: Device | null;
  physicalOut: Device | null;
  /** Source MAC of the frame; null for packets of this machine. */
  hardwareAddress: Uint8Array | null;
  owner: SocketOwner | null;
  /** The whole packet from its IP header, reassembled where conntrack is on. A copy: the listener may keep it. */
  payload: Uint8Array;
}

/** What such a program answers. */
export interface QueueAnswer {
  /** `Verdict.drop`, `accept`, `stolen`, `repeat`, `stop`, or `queueVerdict(n, false)` for "on to queue n". */
  verdict: VerdictCode;
  /** New mark; absent: unchanged. */
  mark?: number;
  /** New packet from its IP header, taken as it is; absent: unchanged. */
  payload?: Uint8Array;
}

/**
 * Whoever listens on NFQUEUE numbers. `handle` answers at once where it can: then the whole way of the packet is
 * synchronous. A promise suspends the packet; the machine's outcome then is pending until it has resolved.
 */
export interface QueueListener {
  /** Whether somebody listens on that number. Asked for each packet; no listener: dropped, or on as with `--queue-bypass`. */
  listens(queue: number): boolean;
  /** Called with each packet of a queue that is listened on. A rejected promise is passed on to who awaits the outcome. */
  handle(packet: QueuedPacket): QueueAnswer | Promise<QueueAnswer>;
}
