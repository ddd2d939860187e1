import { Direction, type Tuple } from '../conntrack/connection.ts';
import type { QueuedPacket } from '../datapath/queueing.ts';
import { formatAddress } from '../packet/address-text.ts';
import { toHex } from '../packet/bytes.ts';
import { ConntrackInfo } from '../packet/packet.ts';

/**
 * A packet as a handler gets it: a JavaScript module as an object, a command as one JSON line (without `bytes`).
 */
export interface HandlerPacket {
  queue: number;
  /** Counts the packets of one queue, from 1. */
  id: number;
  /** Seconds since the epoch, simulation clock. */
  time: number;
  hook: 'PREROUTING' | 'INPUT' | 'FORWARD' | 'OUTPUT' | 'POSTROUTING';
  table: string;
  mark: number;
  indev: string | null;
  outdev: string | null;
  physindev: string | null;
  physoutdev: string | null;
  /** The sender's MAC, `02:00:00:00:ff:01`. */
  hwaddr: string | null;
  uid: number | null;
  gid: number | null;
  /** The whole packet from its IP header, in hexadecimal. */
  payload: string;
  /** IP version. */
  family: 4 | 6;
  /** `skb->priority`, as CLASSIFY sets it. */
  priority: number;
  /** Indexes of the interfaces named above. */
  ifindex: Record<string, number>;
  /** What `F_CONNTRACK` shows; null where connection tracking did not look, or the packet is INVALID. */
  conntrack: HandlerConnection | null;
}

/** One direction of a connection. */
export interface HandlerTuple {
  source: string;
  destination: string;
  protocol: number;
  /** Ports; ICMP: id, and type * 256 + code. */
  sport: number;
  dport: number;
}

/** The packet's connection. */
export interface HandlerConnection {
  /** `enum ip_conntrack_info`: 0 established, 1 related, 2 new; 3 and 4 the first two in the direction of replies. */
  info: number;
  id: number;
  /** `enum ip_conntrack_status`. */
  status: number;
  /** Protocol state by its kernel name; null where there is none. */
  state: string | null;
  mark: number;
  zone: number;
  /** 128 bits: 16 bytes in hexadecimal, bit 0 in the first; null if it has none. */
  labels: string | null;
  helper: string | null;
  original: HandlerTuple;
  reply: HandlerTuple;
}

/** For modules: the payload as bytes as well, the handler's own copy. */
export interface ModulePacket extends HandlerPacket {
  bytes: Uint8Array;
}

/**
 * `queue:N` hands the packet on to another queue; `later`: it waits until it is named in `release`; `nobody`: as if nobody listened on this queue;
 * `full`: lost, as when the queue is full.
 */
export type HandlerVerdict =
  | 'accept'
  | 'drop'
  | 'repeat'
  | 'stop'
  | 'stolen'
  | `queue:${number}`
  | 'later'
  | 'nobody'
  | 'full';

export interface HandlerAnswer {
  verdict: HandlerVerdict;
  /** New packet mark; absent: unchanged. */
  mark?: number;
  /** New priority; absent: unchanged. */
  priority?: number;
  /** The whole new packet from its IP header, taken as it is: hexadecimal, or bytes from a module. */
  payload?: string | Uint8Array;
  /** With `queue:N`: the packet goes on if nobody listens there. */
  bypass?: boolean;
  /** Changes of its connection. */
  conntrack?: HandlerChange;
  /** Verdicts on packets that wait, in this order; they take effect before this answer. */
  release?: HandlerRelease[];
}

/** What a verdict may change in the packet's connection. */
export interface HandlerChange {
  mark?: number;
  /** Only these bits of the mark are replaced. */
  markMask?: number;
  /** As in `HandlerConnection`. */
  labels?: string;
  labelsMask?: string;
}

/** The verdict on a packet that waits. */
export interface HandlerRelease extends Omit<HandlerAnswer, 'release'> {
  /** Absent: the queue of the packet at hand. */
  queue?: number;
  id: number;
}

/** The default export of a handler module. */
export type QueueHandler = (
  packet: ModulePacket,
) => HandlerAnswer | HandlerVerdict | Promise<HandlerAnswer | HandlerVerdict>;

/** A handler failed: it ended early, hung, or answered what cannot be read. The command ends with status 1. */
export class QueueError extends Error {}

/** The packet in the words of the handlers' protocol. */
export function handlerPacket(packet: QueuedPacket): HandlerPacket {
  const devices = [packet.inDevice, packet.outDevice, packet.physicalIn, packet.physicalOut];
  return {
    queue: packet.queue,
    id: packet.id,
    time: packet.time / 1e6,
    hook: packet.hook,
    table: packet.table,
    mark: packet.mark,
    indev: packet.inDevice?.name ?? null,
    outdev: packet.outDevice?.name ?? null,
    physindev: packet.physicalIn?.name ?? null,
    physoutdev: packet.physicalOut?.name ?? null,
    hwaddr: packet.hardwareAddress === null ? null : (toHex(packet.hardwareAddress).match(/../g) ?? []).join(':'),
    uid: packet.owner?.uid ?? null,
    gid: packet.owner?.gid ?? null,
    payload: toHex(packet.payload),
    family: packet.family,
    priority: packet.priority,
    ifindex: Object.fromEntries(devices.flatMap((device) => (device === null ? [] : [[device.name, device.index]]))),
    conntrack: connectionOf(packet),
  };
}

function connectionOf({ connection, conntrackInfo }: QueuedPacket): HandlerConnection | null {
  if (connection === null || conntrackInfo === ConntrackInfo.untracked) return null;
  const labels = connection.labels();
  return {
    info: conntrackInfo,
    id: connection.id,
    status: connection.status,
    state: connection.stateName,
    mark: connection.mark,
    zone: connection.zone(Direction.original),
    labels: labels.some((word) => word !== 0) ? labelText(labels) : null,
    helper: connection.helper,
    original: tupleOf(connection.tuple(Direction.original)),
    reply: tupleOf(connection.tuple(Direction.reply)),
  };
}

function tupleOf({ family, protocol, source, destination, sourcePort, destinationPort }: Tuple): HandlerTuple {
  return {
    source: formatAddress(family, source),
    destination: formatAddress(family, destination),
    protocol,
    sport: sourcePort,
    dport: destinationPort,
  };
}

/** Label bits as the kernel's memory has them on a little-endian machine. */
function labelText(words: Uint32Array): string {
  const bytes = new Uint8Array(16);
  words.forEach((word, i) => {
    for (let byte = 0; byte < 4; byte++) bytes[4 * i + byte] = (word >>> (8 * byte)) & 0xff;
  });
  return toHex(bytes);
}

/** The reverse of `labelText`: four words. */
export function labelWords(bytes: Uint8Array): number[] {
  return [0, 4, 8, 12].map(
    (at) => (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0,
  );
}
