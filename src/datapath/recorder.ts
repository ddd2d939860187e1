import type { Device } from '../host/device.ts';
import type { Packet } from '../packet/packet.ts';
import { bytesInMemory } from '../packet/pending-checksum.ts';
import { type Observer, picture } from '../trace/steps.ts';
import type { LogRecord, NflogRecord } from './environment.ts';
import { HOOK_NAMES, type HookState } from './hooks.ts';
import type { Outcome, TraceEvent, TraceVerdict } from './machine-contract.ts';
import type { TableProgram } from './program.ts';

/** What counts most when several things happened to one input packet (flooding, a copy for the machine itself). */
function rankOf(verdict: TraceVerdict): number {
  switch (verdict) {
    case 'forwarded':
      return 7;
    case 'delivered':
      return 6;
    case 'sent':
      return 5;
    case 'rejected':
      return 4;
    case 'queued':
      return 3;
    case 'dropped':
      return 2;
    case 'stolen':
      return 1;
    case 'invalid':
      return 0;
  }
}

/** Whether a packet is the input itself or a flooded copy of it, and not an answer of the machine or a copy that TEE made. */
export function isInput(packet: Packet): boolean {
  return !packet.kernelMade && !packet.isCopy;
}

/** What stands before anything has become of a packet. */
export function noOutcome(): Outcome {
  return {
    verdict: 'invalid',
    table: null,
    chain: null,
    rule: null,
    reason: null,
    out: null,
    emitted: [],
    delivered: [],
    queue: [],
    log: [],
    nflog: [],
    traced: [],
    pending: null,
  };
}

/** Gathers what becomes of the current input packet, and tells the observer. */
export class Recorder {
  readonly outcome: Outcome = noOutcome();
  readonly observer: Observer | null;
  readonly collect: boolean;
  /** A packet that waited in a queue and goes on because of the current input: its fate is not the input's. */
  released: Packet | null = null;
  /** Packets that the machine has sent to itself since the input came. */
  rounds = 0;
  #rank = -1;
  #filter: TableProgram | null = null;
  #filterSlot = 0;
  #answered: Packet | null = null;

  constructor(observer: Observer | null, collect: boolean) {
    this.observer = observer;
    this.collect = collect;
  }

  /** A new input packet. */
  begin(): void {
    const { outcome } = this;
    outcome.verdict = 'invalid';
    outcome.table = outcome.chain = outcome.rule = outcome.reason = outcome.out = null;
    outcome.pending = null;
    this.rounds = 0;
    if (this.collect) {
      outcome.emitted = [];
      outcome.delivered = [];
      outcome.queue = [];
      outcome.log = [];
      outcome.nflog = [];
      outcome.traced = [];
    }
    this.#rank = -1;
    this.#filter = null;
    this.#answered = null;
  }

  /** The filter table gave a verdict. */
  filtered(program: TableProgram, slot: number): void {
    this.#filter = program;
    this.#filterSlot = slot;
  }

  /** A rule had the machine answer the packet: if it is dropped next, it was rejected. */
  answered(packet: Packet): void {
    this.#answered = packet;
  }

  /** Whether the packet's fate is that of the current input. */
  #counts(packet: Packet): boolean {
    return isInput(packet) && packet !== this.released;
  }

  #reach(verdict: TraceVerdict): boolean {
    const rank = rankOf(verdict);
    if (rank <= this.#rank) return false;
    this.#rank = rank;
    this.outcome.verdict = verdict;
    return true;
  }

  #passed(verdict: TraceVerdict): void {
    if (!this.#reach(verdict)) return;
    const { outcome } = this;
    const program = this.#filter;
    outcome.reason = null;
    outcome.table = program === null ? null : 'filter';
    outcome.chain = program === null ? null : program.chainOf[this.#filterSlot]!;
    outcome.rule = program === null ? null : program.numberOf[this.#filterSlot]! || null;
  }

  /** A packet left; `linkHeader` is only asked for where `collect` is set. */
  emitted(packet: Packet, device: Device, linkHeader: Uint8Array): void {
    if (this.#counts(packet)) {
      this.#passed(packet.local ? 'sent' : 'forwarded');
      this.outcome.out ??= device;
    }
    if (this.collect) {
      this.outcome.emitted.push({ device, family: packet.family, linkHeader, bytes: packet.bytes });
    }
    this.observer?.({ kind: 'emitted', packet: picture(packet), device: device.name });
  }

  /** It came through to the machine's own stack, but nothing there takes its protocol. */
  reached(packet: Packet): void {
    if (this.#counts(packet)) this.#passed('delivered');
  }

  delivered(packet: Packet): void {
    this.reached(packet);
    if (this.collect) this.outcome.delivered.push({ family: packet.family, bytes: bytesInMemory(packet) });
    this.observer?.({ kind: 'delivered', packet: picture(packet) });
  }

  /** Stopped by a rule or policy, or (without a program) by routing, a check, connection tracking. */
  dropped(packet: Packet, reason: string, program: TableProgram | null = null, slot = 0): void {
    const verdict = this.#answered === packet ? 'rejected' : 'dropped';
    this.#stopped(packet, verdict, reason, program, slot);
  }

  /** Lost in a queue that nobody listens on. */
  lostInQueue(packet: Packet, queue: number, program: TableProgram | null, slot: number): void {
    this.#stopped(packet, 'queued', `nobody listens on queue ${queue}`, program, slot);
  }

  /** Never reached the hooks. */
  invalid(packet: Packet, reason: string): void {
    this.#stopped(packet, 'invalid', reason, null, 0);
  }

  stolen(packet: Packet, reason: string, program: TableProgram | null = null, slot = 0): void {
    if (!this.#counts(packet) || !this.#reach('stolen')) return;
    this.#decided(reason, program, slot);
  }

  #stopped(packet: Packet, verdict: TraceVerdict, reason: string, program: TableProgram | null, slot: number): void {
    if (this.#counts(packet) && this.#reach(verdict)) this.#decided(reason, program, slot);
    if (this.observer === null) return;
    const decided =
      program === null
        ? {}
        : { table: program.name, chain: program.chainOf[slot]!, rule: program.numberOf[slot]! || null };
    this.observer({ kind: 'dropped', reason, ...decided });
  }

  #decided(reason: string, program: TableProgram | null, slot: number): void {
    const { outcome } = this;
    outcome.reason = reason;
    outcome.table = program === null ? null : program.name;
    outcome.chain = program === null ? null : program.chainOf[slot]!;
    outcome.rule = program === null ? null : program.numberOf[slot]! || null;
  }

  queued(packet: Packet, at: HookState, queue: number): void {
    if (!this.collect) return;
    this.outcome.queue.push({
      queue,
      hook: HOOK_NAMES[at.hook],
      mark: packet.mark,
      in: at.inDevice?.name ?? null,
      out: at.outDevice?.name ?? null,
      physin: packet.physicalIn?.name ?? null,
      physout: packet.physicalOut?.name ?? null,
      len: packet.bytes.length,
    });
  }

  log(record: LogRecord): void {
    if (this.collect) this.outcome.log.push(record);
    this.observer?.({ kind: 'log', level: record.level, line: record.line });
  }

  traced(event: TraceEvent): void {
    if (this.collect) this.outcome.traced.push(event);
  }

  nflog(packet: Packet, at: HookState, record: NflogRecord): void {
    if (this.collect) {
      const length = record.size === 0 ? packet.bytes.length : Math.min(record.size, packet.bytes.length);
      this.outcome.nflog.push({
        group: record.group,
        hook: HOOK_NAMES[at.hook],
        prefix: record.prefix,
        mark: packet.mark,
        in: at.inDevice?.name ?? null,
        out: at.outDevice?.name ?? null,
        physin: packet.physicalIn?.name ?? null,
        physout: packet.physicalOut?.name ?? null,
        bytes: bytesInMemory(packet).slice(0, length),
      });
    }
    this.observer?.({ kind: 'nflog', group: record.group, prefix: record.prefix });
  }
}
