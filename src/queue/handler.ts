import type { QueuedPacket } from '../datapath/queueing.ts';
import { toHex } from '../packet/bytes.ts';

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
}

/** For modules: the payload as bytes as well, the handler's own copy. */
export interface ModulePacket extends HandlerPacket {
  bytes: Uint8Array;
}

/** `queue:N` hands the packet on to another queue. */
export type HandlerVerdict = 'accept' | 'drop' | 'repeat' | 'stop' | 'stolen' | `queue:${number}`;

export interface HandlerAnswer {
  verdict: HandlerVerdict;
  /** New packet mark; absent: unchanged. */
  mark?: number;
  /** The whole new packet from its IP header, taken as it is: hexadecimal, or bytes from a module. */
  payload?: string | Uint8Array;
}

/** The default export of a handler module. */
export type QueueHandler = (
  packet: ModulePacket,
) => HandlerAnswer | HandlerVerdict | Promise<HandlerAnswer | HandlerVerdict>;

/** A handler failed: it ended early, hung, or answered what cannot be read. The command ends with status 1. */
export class QueueError extends Error {}

/** The packet in the words of the handlers' protocol. */
export function handlerPacket(packet: QueuedPacket): HandlerPacket {
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
  };
}
