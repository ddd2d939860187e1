import { fromHex, toHex } from '../../packet/bytes.ts';
import type { HandlerPacket, HandlerRelease, HandlerVerdict } from '../handler.ts';
import { connectionAttributes, connectionChange } from './connection.ts';
import {
  attribute,
  errorMessage,
  isRequest,
  join,
  type NetlinkMessage,
  nested,
  nfnetlinkMessage,
  number16,
  number32,
  parseMessages,
  readNumber,
  viewOf,
  wantsAcknowledgement,
} from './message.ts';

const SUBSYSTEM = 3;
/** NLMSG_MIN_TYPE. */
const FIRST_OF_SUBSYSTEMS = 0x10;
const Message = { packet: 0, verdict: 1, config: 2, verdictBatch: 3 } as const;
/** `enum nfqnl_attr_type` (linux/netfilter/nfnetlink_queue.h). */
const Nfqa = {
  packetHeader: 1,
  verdictHeader: 2,
  mark: 3,
  timestamp: 4,
  inDevice: 5,
  outDevice: 6,
  physicalIn: 7,
  physicalOut: 8,
  hardwareAddress: 9,
  payload: 10,
  connection: 11,
  connectionInfo: 12,
  capturedLength: 13,
  uid: 16,
  gid: 17,
  priority: 21,
} as const;
const Config = { command: 1, parameters: 2, length: 3, mask: 4, flags: 5 } as const;
const Command = { bind: 1, unbind: 2, protocolBind: 3, protocolUnbind: 4 } as const;
const CopyMode = { none: 0, meta: 1, packet: 2 } as const;
const Flag = { failOpen: 1, connection: 2, uidGid: 8, all: 31 } as const;
const MAX_COPY = 0xffff - 4;
const HOOKS = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'];
const ERRNO = {
  perm: -1,
  noent: -2,
  busy: -16,
  nodev: -19,
  inval: -22,
  range: -34,
  opnotsupp: -95,
  notsupp: -524,
} as const;
/** How many bytes attributes have at least (nfqa_cfg_policy, nfqa_verdict_policy). */
const CONFIG_LENGTHS: ReadonlyMap<number, number> = new Map([
  [Config.command, 4],
  [Config.parameters, 5],
  [Config.length, 4],
  [Config.mask, 4],
  [Config.flags, 4],
]);
const VERDICT_LENGTHS: ReadonlyMap<number, number> = new Map([
  [Nfqa.verdictHeader, 8],
  [Nfqa.mark, 4],
  [Nfqa.priority, 4],
]);

/** A queue that a program listens on (`struct nfqnl_instance`). */
interface Instance<S> {
  socket: S;
  mode: number;
  range: number;
  length: number;
  flags: number;
  sequence: number;
  /** Packets without a verdict, by their id in this instance: ids in the trace. */
  waiting: Map<number, number>;
}

/** Where a packet goes: to a socket, or why not. */
export type Offer<S> = { socket: S; bytes: Uint8Array } | 'nobody' | 'full' | 'open';

/**
 * The kernel's side of nfnetlink_queue (net/netfilter/nfnetlink_queue.c): configuration, packets as messages, verdicts. `S` stands for the
 * program's sockets. Verdicts are handed to `decided` in the order in which they are given.
 */
export class QueueSubsystem<S> {
  readonly #instances = new Map<number, Instance<S>>();
  readonly #decided: (queue: number, verdict: HandlerRelease) => void;

  constructor(decided: (queue: number, verdict: HandlerRelease) => void) {
    this.#decided = decided;
  }

  /** Packets without a verdict. */
  get waiting(): number {
    let count = 0;
    for (const { waiting } of this.#instances.values()) count += waiting.size;
    return count;
  }

  /** A datagram that the program sent: gives the kernel's answers. */
  receive(socket: S, datagram: Uint8Array): Uint8Array[] {
    return parseMessages(datagram).flatMap((message) => {
      const error = this.#take(socket, message);
      return error !== 0 || wantsAcknowledgement(message) ? [errorMessage(message, error)] : [];
    });
  }

  /** A socket was closed: its queues are gone, and what waited there is dropped. */
  close(socket: S): void {
    for (const [queue, instance] of this.#instances) if (instance.socket === socket) this.#destroy(queue, instance);
  }

  /** A packet for a queue. */
  offer(packet: HandlerPacket): Offer<S> {
    const instance = this.#instances.get(packet.queue);
    if (instance === undefined) return 'nobody';
    if (instance.mode === CopyMode.none) return 'full';
    if (instance.waiting.size >= instance.length) return instance.flags & Flag.failOpen ? 'open' : 'full';
    const id = ++instance.sequence;
    instance.waiting.set(id, packet.id);
    return { socket: instance.socket, bytes: packetMessage(packet, instance, id) };
  }

  #take(socket: S, message: NetlinkMessage): number {
    // Netlink's own messages, and what is no request, are let pass.
    if (!isRequest(message) || message.type < FIRST_OF_SUBSYSTEMS) return 0;
    if (message.type >>> 8 !== SUBSYSTEM) return ERRNO.inval;
    const kind = message.type & 0xff;
    const lengths = kind === Message.config ? CONFIG_LENGTHS : VERDICT_LENGTHS;
    for (const [type, length] of lengths) {
      if ((message.attributes.get(type)?.length ?? length) < length) return ERRNO.range;
    }
    switch (kind) {
      case Message.config:
        return this.#configure(socket, message);
      case Message.verdict:
        return this.#verdict(socket, message, false);
      case Message.verdictBatch:
        return this.#verdict(socket, message, true);
      case Message.packet:
        return ERRNO.notsupp;
      default:
        return ERRNO.inval;
    }
  }

  #configure(socket: S, { resource: queue, attributes }: NetlinkMessage): number {
    const command = attributes.get(Config.command)?.[0];
    if (command === Command.protocolBind || command === Command.protocolUnbind) return 0;
    const flags = readNumber(attributes.get(Config.flags));
    const mask = readNumber(attributes.get(Config.mask));
    if (flags !== null && mask === null) return ERRNO.inval;
    if (flags !== null && flags > Flag.all) return ERRNO.opnotsupp;
    let instance = this.#instances.get(queue);
    if (instance !== undefined && instance.socket !== socket) return ERRNO.perm;
    if (command === Command.bind) {
      if (instance !== undefined) return ERRNO.busy;
      instance = {
        socket,
        mode: CopyMode.none,
        range: MAX_COPY,
        length: 1024,
        flags: 0,
        sequence: 0,
        waiting: new Map(),
      };
      this.#instances.set(queue, instance);
    } else if (command === Command.unbind) {
      if (instance === undefined) return ERRNO.nodev;
      this.#destroy(queue, instance);
      return 0;
    } else if (command !== undefined) return ERRNO.opnotsupp;
    if (instance === undefined) return ERRNO.nodev;
    const parameters = attributes.get(Config.parameters);
    // A mode that does not exist changes nothing, and nobody is told.
    if (parameters !== undefined && parameters[4]! <= CopyMode.packet) {
      const range = readNumber(parameters)!;
      instance.mode = parameters[4]!;
      instance.range = instance.mode === CopyMode.packet ? (range === 0 || range > MAX_COPY ? MAX_COPY : range) : 0;
    }
    instance.length = readNumber(attributes.get(Config.length)) ?? instance.length;
    if (flags !== null) instance.flags = (instance.flags & ~mask!) | (flags & mask!);
    return 0;
  }

  #verdict(socket: S, { resource: queue, attributes }: NetlinkMessage, batch: boolean): number {
    const instance = this.#instances.get(queue);
    if (instance === undefined) return ERRNO.nodev;
    if (instance.socket !== socket) return ERRNO.perm;
    const header = attributes.get(Nfqa.verdictHeader);
    const verdict = header === undefined ? null : verdictOf(readNumber(header)!);
    if (verdict === null) return ERRNO.inval;
    const named = readNumber(header!.subarray(4))!;
    const ids = batch
      ? [...instance.waiting.keys()].filter((id) => ((id - named) | 0) <= 0)
      : instance.waiting.has(named)
        ? [named]
        : [];
    if (ids.length === 0) return ERRNO.noent;
    const mark = readNumber(attributes.get(Nfqa.mark));
    const priority = readNumber(attributes.get(Nfqa.priority));
    const payload = attributes.get(Nfqa.payload);
    const connection = attributes.get(Nfqa.connection);
    for (const id of ids) {
      const release: HandlerRelease = { id: instance.waiting.get(id)!, ...verdict };
      instance.waiting.delete(id);
      if (mark !== null) release.mark = mark;
      if (priority !== null) release.priority = priority;
      if (!batch && payload !== undefined) release.payload = toHex(payload);
      if (!batch && connection !== undefined) release.conntrack = connectionChange(connection);
      this.#decided(queue, release);
    }
    return 0;
  }

  #destroy(queue: number, instance: Instance<S>): void {
    this.#instances.delete(queue);
    for (const id of instance.waiting.values()) this.#decided(queue, { id, verdict: 'drop' });
  }
}

/**
 * A verdict that may come from a program: NF_STOLEN may not. The kernel compares the whole number with NF_ACCEPT and NF_REPEAT, and only its last
 * byte with the others (nf_reinject): further bits end the hook, or drop.
 */
function verdictOf(number: number): { verdict: HandlerVerdict; bypass?: boolean } | null {
  const isPlain = number <= 0xff;
  switch (number & 0xff) {
    case 0:
      return { verdict: 'drop' };
    case 1:
      return { verdict: isPlain ? 'accept' : 'stop' };
    case 3:
      return { verdict: `queue:${number >>> 16}`, bypass: (number & 0x8000) !== 0 };
    case 4:
      return { verdict: isPlain ? 'repeat' : 'drop' };
    case 5:
      return { verdict: 'stop' };
    default:
      return null;
  }
}

/** NFQNL_MSG_PACKET. */
function packetMessage<S>(packet: HandlerPacket, { mode, range, flags }: Instance<S>, id: number): Uint8Array {
  const payload = fromHex(packet.payload)!;
  const etherType = packet.family === 4 ? 0x0800 : 0x86dd;
  const hook = HOOKS.indexOf(packet.hook);
  const parts = [attribute(Nfqa.packetHeader, join([number32(id), number16(etherType), Uint8Array.of(hook)]))];
  for (const [type, name] of [
    [Nfqa.inDevice, packet.indev],
    [Nfqa.physicalIn, packet.physindev],
    [Nfqa.outDevice, packet.outdev],
    [Nfqa.physicalOut, packet.physoutdev],
  ] as const) {
    if (name !== null) parts.push(attribute(type, number32(packet.ifindex[name] ?? 0)));
  }
  if (packet.mark !== 0) parts.push(attribute(Nfqa.mark, number32(packet.mark)));
  if (packet.priority !== 0) parts.push(attribute(Nfqa.priority, number32(packet.priority)));
  if (packet.hwaddr !== null && packet.indev !== null) {
    const address = fromHex(packet.hwaddr.replaceAll(':', ''))!;
    parts.push(attribute(Nfqa.hardwareAddress, join([number16(address.length), number16(0), address, number16(0)])));
  }
  if (hook <= HOOKS.indexOf('FORWARD')) parts.push(attribute(Nfqa.timestamp, timestamp(packet.time)));
  if (flags & Flag.uidGid && packet.uid !== null) {
    parts.push(attribute(Nfqa.uid, number32(packet.uid)), attribute(Nfqa.gid, number32(packet.gid ?? 0)));
  }
  if (flags & Flag.connection && packet.conntrack !== null) {
    parts.push(nested(Nfqa.connection, connectionAttributes(packet.conntrack)));
    parts.push(attribute(Nfqa.connectionInfo, number32(packet.conntrack.info)));
  }
  const copied = mode === CopyMode.packet ? Math.min(range, payload.length) : 0;
  if (mode === CopyMode.packet && copied < payload.length) {
    parts.push(attribute(Nfqa.capturedLength, number32(payload.length)));
  }
  if (copied > 0) parts.push(attribute(Nfqa.payload, payload.subarray(0, copied)));
  const family = packet.family === 4 ? 2 : 10;
  return nfnetlinkMessage(SUBSYSTEM << 8, family, packet.queue, parts);
}

/** `struct nfqnl_msg_packet_timestamp`. */
function timestamp(seconds: number): Uint8Array {
  const microseconds = Math.round(seconds * 1e6);
  const bytes = new Uint8Array(16);
  viewOf(bytes, 0).setBigUint64(0, BigInt(Math.floor(microseconds / 1e6)));
  viewOf(bytes, 8).setBigUint64(0, BigInt(microseconds % 1e6));
  return bytes;
}
