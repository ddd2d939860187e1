import type { Device } from '../host/device.ts';
import { readUint32 } from '../packet/bytes.ts';
import { decode } from '../packet/decode.ts';
import { type Packet, Summed } from '../packet/packet.ts';
import { tosOf } from '../packet/rewrite.ts';
import type { TableEvaluator } from './evaluator.ts';
import { HOOK_NAMES, Hook, type HookEntry, type HookState, type TableName } from './hooks.ts';
import type { TableProgram } from './program.ts';
import { changeConnection, Waiting } from './queue-waiting.ts';
import {
  answerText,
  DEFAULT_LIMIT,
  Kept,
  type QueueAnswer,
  type QueuedPacket,
  type QueueListener,
} from './queueing.ts';
import type { Recorder } from './recorder.ts';
import type { Stage } from './stages.ts';
import { isQueueVerdict, queueOf, Verdict, type VerdictCode } from './verdicts.ts';

/** One function called at a hook. */
export interface HookFunction {
  name: HookEntry;
  /** The table whose chain it runs; null for the rest of netfilter. */
  program: TableProgram | null;
  evaluator: TableEvaluator | null;
  run(packet: Packet, at: HookState): VerdictCode;
}

/** By hook: the functions that are called there, in order. */
export type HookFunctions = readonly (readonly HookFunction[])[];

/** Where a packet goes on: all that is needed to take up its traversal again. */
interface Position {
  packet: Packet;
  at: HookState;
  functions: readonly HookFunction[];
  /** Index of the function that queued it. */
  index: number;
  /** Slot of the rule that queued it. */
  slot: number;
  next: Stage;
  queue: number;
  /** Its id in that queue. */
  id: number;
  /** Whether it goes on if nobody listens. */
  bypass: boolean;
  /** What decides in OUTPUT whether it is routed again (`struct ip_rt_info`). */
  routeKey: RouteKey | null;
  /** How often a queue has had it before, in this hook. */
  rounds: number;
}

/** The fields of a local packet that its route depends on. */
export interface RouteKey {
  src: Uint32Array;
  dst: Uint32Array;
  mark: number;
  /** IPv4: TOS. IPv6: the first word of the header, with traffic class and flow label, and the hop limit (ip6t_mangle_out). */
  tos: number;
}

export function routeKeyOf(packet: Packet): RouteKey {
  return { src: packet.src.slice(), dst: packet.dst.slice(), mark: packet.mark, tos: classWord(packet) };
}

/** What nf_ip_reroute and nf_ip6_reroute look at: of IPv6 neither the traffic class nor the flow label. */
function rerouteNeeded(packet: Packet, key: RouteKey): boolean {
  return routeKeyChanged(packet, packet.family === 4 ? key : { ...key, tos: classWord(packet) });
}

function classWord(packet: Packet): number {
  return packet.family === 4 ? tosOf(packet) : readUint32(packet.bytes, 0) * 256 + packet.bytes[7]!;
}

export function routeKeyChanged(packet: Packet, key: RouteKey): boolean {
  if (packet.mark !== key.mark) return true;
  for (let i = 0; i < 4; i++) {
    if (packet.src[i] !== key.src[i] || packet.dst[i] !== key.dst[i]) return true;
  }
  return classWord(packet) !== key.tos;
}

/** What the runner needs of the machine. */
export interface HookRunnerDependencies {
  functions4: HookFunctions;
  functions6: HookFunctions;
  recorder: Recorder;
  queues: QueueListener | null;
  now(): number;
  /** Takes a packet on when its hook is done. */
  proceed(stage: Stage, packet: Packet, at: HookState): void;
  /** Routes a packet of OUTPUT again; false if there is no way any more. */
  reroute(packet: Packet, at: HookState): boolean;
}

/** Walks packets through the functions of a hook (nf_hook_slow), hands them to queues and takes them back (nf_reinject). */
export class HookRunner {
  readonly #d: HookRunnerDependencies;
  /** Hook states by nesting: an answer made inside a hook traverses others before that one goes on. */
  readonly #states: HookState[] = [];
  #depth = 0;
  /** Packets of each queue so far, for their ids. */
  readonly #ids = new Map<number, number>();
  /** Packets that their listeners have kept for a later verdict. */
  readonly #kept = new Waiting<Position>();
  /** Packets that a handler has not answered yet. */
  readonly waiting: Promise<void>[] = [];

  constructor(dependencies: HookRunnerDependencies) {
    this.#d = dependencies;
  }

  /** Runs a hook from its first function; when all let the packet pass it goes on at `next`. */
  run(packet: Packet, hook: Hook, inDevice: Device | null, outDevice: Device | null, next: Stage): void {
    let at = this.#states[this.#depth];
    if (at === undefined) {
      at = { hook, family: packet.family, inDevice, outDevice };
      this.#states.push(at);
    } else {
      at.hook = hook;
      at.family = packet.family;
      at.inDevice = inDevice;
      at.outDevice = outDevice;
    }
    this.#d.recorder.observer?.({
      kind: 'hook',
      hook: HOOK_NAMES[hook],
      family: packet.family,
      in: inDevice?.name ?? null,
      out: outDevice?.name ?? null,
    });
    const functions = (packet.family === 4 ? this.#d.functions4 : this.#d.functions6)[hook]!;
    this.#depth++;
    this.#iterate(packet, at, functions, 0, next);
    this.#depth--;
  }

  #iterate(packet: Packet, at: HookState, functions: readonly HookFunction[], from: number, next: Stage): void {
    const { observer } = this.#d.recorder;
    let index = from;
    while (index >= 0 && index < functions.length) {
      const entry = functions[index]!;
      if (observer !== null && entry.program !== null) {
        observer({ kind: 'table', table: entry.program.name, hook: HOOK_NAMES[at.hook] });
      }
      const verdict = entry.run(packet, at);
      index = verdict === Verdict.accept ? index + 1 : this.#settle(packet, at, functions, index, next, verdict, entry);
    }
    if (index >= 0) this.#d.proceed(next, packet, at);
  }

  /** Index of the function to go on with; below 0 if the packet is gone or kept. */
  #settle(
    packet: Packet,
    at: HookState,
    functions: readonly HookFunction[],
    index: number,
    next: Stage,
    verdict: VerdictCode,
    entry: HookFunction,
    rounds = 0,
  ): number {
    const slot = entry.evaluator?.decided ?? 0;
    switch (verdict) {
      case Verdict.drop:
        this.#d.recorder.dropped(packet, dropReason(entry), entry.program, slot);
        return -1;
      case Verdict.stolen:
        this.#d.recorder.stolen(packet, `kept by ${entry.name}`, entry.program, slot);
        return -1;
      case Verdict.stop:
        return functions.length;
      case Verdict.repeat:
        return index;
    }
    if (!isQueueVerdict(verdict)) throw new Error(`verdict ${verdict} of ${entry.name} has no meaning at a hook`);
    const { queue, bypass } = queueOf(verdict);
    return this.#queue({ packet, at, functions, index, slot, next, queue, id: 0, bypass, routeKey: null, rounds });
  }

  /** nf_queue: gives the packet to who listens; returns as `#settle` does. */
  #queue(position: Position): number {
    const { packet, at, queue } = position;
    const { queues } = this.#d;
    if (!(queues?.listens(queue) ?? false)) return this.#unheard(position);
    const limit = queues!.limit ?? DEFAULT_LIMIT;
    if (this.#kept.count(queue) >= limit.length) {
      if (!limit.failOpen) return this.#full(position);
      this.#told(position, true, 'full: accept');
      return this.#reinject(position, { verdict: Verdict.accept });
    }
    position.routeKey = at.hook === Hook.output ? routeKeyOf(packet) : null;
    position.id = (this.#ids.get(queue) ?? 0) + 1;
    this.#ids.set(queue, position.id);
    const answer = queues!.handle(this.#view(position));
    if (!(answer instanceof Promise)) return this.#answered(position, answer);
    const suspended = { ...position, at: { ...at } };
    this.waiting.push(
      answer.then((settled) => {
        const on = this.#answered(suspended, settled);
        if (on >= 0) this.#resume(suspended, on);
      }),
    );
    return -1;
  }

  /** Says what became of a packet in a queue. */
  #told({ at, queue, index, functions }: Position, listener: boolean, verdict?: string): void {
    this.#d.recorder.observer?.({
      kind: 'queued',
      queue,
      hook: HOOK_NAMES[at.hook],
      table: functions[index]!.program?.name ?? 'filter',
      listener,
      ...(verdict === undefined ? {} : { verdict }),
    });
  }

  /** Nobody listens: on with the next function (bypass), or lost. */
  #unheard(position: Position): number {
    const { packet, queue, functions, index, slot, bypass } = position;
    this.#told(position, false);
    if (bypass) return index + 1;
    this.#d.recorder.lostInQueue(packet, queue, functions[index]!.program, slot);
    return -1;
  }

  #full(position: Position): number {
    const { packet, queue, functions, index, slot } = position;
    this.#told(position, true, 'full');
    this.#d.recorder.dropped(packet, `queue ${queue} is full`, functions[index]!.program, slot);
    return -1;
  }

  /** The listener has answered: packets that waited go on in the order in which it named them, then this one. */
  #answered(position: Position, answer: QueueAnswer): number {
    const { recorder } = this.#d;
    const { packet, at, queue, functions, index, slot } = position;
    if (answer.verdict === Kept.nobody) return this.#unheard(position);
    recorder.queued(packet, at, queue);
    if (answer.verdict === Kept.full) return this.#full(position);
    if (recorder.observer !== null) this.#told(position, true, answerText(answer));
    const isKept = answer.verdict === Kept.later;
    if (isKept) {
      this.#kept.add(queue, position.id, { ...position, at: { ...at } });
      recorder.stolen(packet, `waits in queue ${queue}`, functions[index]!.program, slot);
    }
    for (const { queue: from, id, answer: verdict } of answer.release ?? []) {
      const kept = this.#kept.take(from, id);
      if (kept === undefined) throw new Error(`no packet ${id} waits in queue ${from}`);
      const before = recorder.released;
      recorder.released = kept.packet === packet ? null : kept.packet;
      if (recorder.observer !== null) this.#told(kept, true, `packet ${id}, which waited: ${answerText(verdict)}`);
      const on = this.#reinject(kept, verdict);
      if (on >= 0) this.#resume(kept, on);
      recorder.released = before;
    }
    return isKept ? -1 : this.#reinject(position, answer);
  }

  get keepsNone(): boolean {
    return this.#kept.isEmpty;
  }

  /** Whether a listener keeps the packet for a later verdict. */
  keeps(packet: Packet): boolean {
    return this.#kept.some((position) => position.packet === packet);
  }

  #resume(position: Position, index: number): void {
    this.#iterate(position.packet, position.at, position.functions, index, position.next);
  }

  #view(position: Position): QueuedPacket {
    const { packet, at, queue, id, functions, index, rounds } = position;
    const table: TableName = functions[index]!.program?.name ?? 'filter';
    return {
      queue,
      id,
      time: this.#d.now(),
      family: packet.family,
      hook: HOOK_NAMES[at.hook],
      table,
      mark: packet.mark,
      inDevice: at.inDevice,
      outDevice: at.outDevice,
      physicalIn: packet.physicalIn,
      physicalOut: packet.physicalOut,
      hardwareAddress: packet.linkHeader?.slice(6, 12) ?? null,
      owner: packet.owner,
      priority: packet.priority,
      connection: packet.connection,
      conntrackInfo: packet.conntrackInfo,
      payload: packet.bytes.slice(),
      rounds,
    };
  }

  /** nf_reinject: what the listener said takes effect. Returns as `#settle` does. */
  #reinject(position: Position, answer: QueueAnswer): number {
    const { packet, at, functions, index, slot } = position;
    const { recorder } = this.#d;
    const entry = functions[index]!;
    if (answer.connection !== undefined && packet.connection !== null) {
      changeConnection(packet.connection, answer.connection);
    }
    let { verdict } = answer;
    if (answer.payload !== undefined && !replaceBytes(packet, answer.payload)) {
      recorder.dropped(
        packet,
        `the listener of queue ${position.queue} left less than its IP header`,
        entry.program,
        slot,
      );
      return -1;
    }
    if (answer.mark !== undefined) packet.mark = answer.mark >>> 0;
    if (answer.priority !== undefined) packet.priority = answer.priority;
    if (verdict === Verdict.repeat) {
      if (entry.program !== null) {
        recorder.observer?.({ kind: 'table', table: entry.program.name, hook: HOOK_NAMES[at.hook] });
      }
      verdict = entry.run(packet, at);
      if (verdict !== Verdict.accept) {
        return this.#settle(packet, at, functions, index, position.next, verdict, entry, position.rounds + 1);
      }
    }
    switch (verdict) {
      case Verdict.accept:
        if (position.routeKey !== null && rerouteNeeded(packet, position.routeKey) && !this.#d.reroute(packet, at)) {
          recorder.dropped(packet, 'no route after the queue');
          return -1;
        }
        return index + 1;
      case Verdict.stop:
        return functions.length;
      case Verdict.stolen:
        recorder.stolen(packet, `kept by the listener of queue ${position.queue}`, entry.program, slot);
        return -1;
      case Verdict.drop:
        recorder.dropped(packet, `the listener of queue ${position.queue} dropped it`, entry.program, slot);
        return -1;
    }
    if (!isQueueVerdict(verdict)) throw new Error(`the listener of queue ${position.queue} answered ${verdict}`);
    const { queue, bypass } = queueOf(verdict);
    return this.#queue({ ...position, queue, bypass, rounds: position.rounds + 1 });
  }
}

/**
 * nfqnl_mangle: the packet becomes what the listener gave. False if what is left ends before the transport header: then it is dropped.
 */
function replaceBytes(packet: Packet, bytes: Uint8Array): boolean {
  if (bytes.length < packet.bytes.length && bytes.length < transportOffset(packet)) return false;
  packet.bytes = bytes.slice();
  packet.fragmentSizes = null;
  packet.verified = false;
  packet.summed = Summed.no;
  decode(packet);
  return true;
}

/** `skb_transport_offset` of a packet on its way: IPv6 has its extension headers behind it. */
function transportOffset(packet: Packet): number {
  return packet.family === 4 ? (packet.bytes[0]! & 15) * 4 : 40;
}

function dropReason(entry: HookFunction): string {
  switch (entry.name) {
    case 'defrag':
      return 'fragments that cannot be put together';
    case 'conntrack':
      return 'connection tracking refused it';
    case 'confirm':
      return 'another connection has its tuple';
    case 'helper':
      return 'a helper dropped it';
    default:
      return 'rule';
  }
}
