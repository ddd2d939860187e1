import type { Connection } from '../conntrack/connection.ts';
import type { Device } from '../host/device.ts';
import type { Family } from '../packet/family.ts';
import type { ConntrackInfo, SocketOwner } from '../packet/packet.ts';
import type { HookName, TableName } from './hooks.ts';
import { isQueueVerdict, queueOf, Verdict, type VerdictCode } from './verdicts.ts';

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
  priority: number;
  /** What connection tracking says of it; null where it did not look, or could not follow it. The entry itself: to be read at once. */
  connection: Connection | null;
  conntrackInfo: ConntrackInfo;
  /** The whole packet from its IP header, reassembled where conntrack is on. A copy: the listener may keep it. */
  payload: Uint8Array;
  /** How often a queue has had it before in this hook: it was repeated, or handed on. */
  rounds: number;
}

/** What such a program may change in the packet's connection (ctnetlink_glue_parse, net/netfilter/nf_conntrack_netlink.c). */
export interface ConnectionChange {
  /** The bits of `markMask` (absent: all) are cleared first, then those of `mark` are turned over. */
  mark?: number;
  markMask?: number;
  /** 128 label bits as four words, likewise. */
  labels?: readonly number[];
  labelsMask?: readonly number[];
}

/** What such a program answers. */
export interface QueueAnswer {
  /** `Verdict.drop`, `accept`, `stolen`, `repeat`, `stop`, `queueVerdict(n, bypass)` for "on to queue n", or one of `Kept`. */
  verdict: VerdictCode;
  /** New mark; absent: unchanged. */
  mark?: number;
  /** New priority; absent: unchanged. */
  priority?: number;
  /** New packet from its IP header, taken as it is; absent: unchanged. */
  payload?: Uint8Array;
  connection?: ConnectionChange;
  /**
   * Verdicts on packets that wait, in the order in which they were given: before this answer takes effect. With `Kept.later` the packet
   * itself may be among them.
   */
  release?: readonly WaitingAnswer[];
}

/** A verdict on a packet that was kept with `Kept.later`. */
export interface WaitingAnswer {
  queue: number;
  id: number;
  answer: QueueAnswer;
}

/** Answers that are no verdicts. */
export const Kept = {
  /** The packet waits in its queue until a later answer releases it. */
  later: -10,
  /** Nobody listens on that queue after all: as if `listens` had said so. */
  nobody: -11,
  /** The queue, or the way to its listener, is full: the packet is lost. */
  full: -12,
} as const;

const NAMES: ReadonlyMap<VerdictCode, string> = new Map([
  [Verdict.drop, 'drop'],
  [Verdict.accept, 'accept'],
  [Verdict.stolen, 'stolen'],
  [Verdict.repeat, 'repeat'],
  [Verdict.stop, 'stop'],
  [Kept.later, 'later'],
  [Kept.full, 'full'],
]);

/** An answer in the words of a trace: `accept, mark 0x1`. */
export function answerText({ verdict, mark, priority, payload, connection }: QueueAnswer): string {
  const queue = isQueueVerdict(verdict) ? queueOf(verdict) : null;
  return [
    queue === null ? (NAMES.get(verdict) ?? String(verdict)) : `on to queue ${queue.queue}`,
    ...(queue?.bypass ? ['or on if nobody listens there'] : []),
    ...(mark === undefined ? [] : [`mark 0x${mark.toString(16)}`]),
    ...(priority === undefined ? [] : [`priority 0x${priority.toString(16)}`]),
    ...(payload === undefined ? [] : [`new payload of ${payload.length} bytes`]),
    ...(connection?.mark === undefined ? [] : [`connection mark 0x${connection.mark.toString(16)}`]),
    ...(connection?.labels === undefined ? [] : ['connection labels']),
  ].join(', ');
}

/** How many packets may wait in a queue, and what happens to more. */
export interface QueueLimit {
  /** NFQA_CFG_QUEUE_MAXLEN. */
  length: number;
  /** NFQA_CFG_F_FAIL_OPEN: more packets pass instead of being dropped. */
  failOpen: boolean;
}

/** What a queue has where nobody says otherwise (NFQNL_QMAX_DEFAULT). */
export const DEFAULT_LIMIT: QueueLimit = { length: 1024, failOpen: false };

/**
 * Whoever listens on NFQUEUE numbers. `handle` answers at once where it can: then the whole way of the packet is
 * synchronous. A promise suspends the packet; the machine's outcome then is pending until it has resolved.
 */
export interface QueueListener {
  /** Whether somebody listens on that number. Asked for each packet; no listener: dropped, or on as with `--queue-bypass`. */
  listens(queue: number): boolean;
  /** Called with each packet of a queue that is listened on. A rejected promise is passed on to who awaits the outcome. */
  handle(packet: QueuedPacket): QueueAnswer | Promise<QueueAnswer>;
  /** How many packets may wait; absent: `DEFAULT_LIMIT`. */
  readonly limit?: QueueLimit;
}
