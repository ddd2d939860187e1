import { createConntrack } from '../conntrack/service.ts';
import { findMatch, findTarget } from '../extensions/registry.ts';
import type { Device } from '../host/device.ts';
import { createNat } from '../nat/service.ts';
import { decode } from '../packet/decode.ts';
import { applyDescription } from '../packet/described.ts';
import type { Family } from '../packet/family.ts';
import { Packet } from '../packet/packet.ts';
import { DEFAULT_FLAGS, formatLogLine } from '../trace/reporters/kernel-log/line.ts';
import { LearnedMacs } from './bridge/learning.ts';
import { finishBridgeForward, finishBridgeInput, finishBridgeTransmit } from './bridge/receive.ts';
import { connectSocket } from './connected.ts';
import { expireFragments, FragmentQueues } from './defragment.ts';
import type { MachineServices } from './environment.ts';
import type { TableEvaluator } from './evaluator.ts';
import { hookFunctions, type TableRunner } from './hook-functions.ts';
import { type HookFunctions, HookRunner } from './hook-runner.ts';
import type { HookState, TableName } from './hooks.ts';
import { forwardedIpv4, routeIpv4 } from './ipv4/input.ts';
import { receiveLocalIpv4 } from './ipv4/local.ts';
import { type PeerMemory, type PeerMemory6, Peers } from './ipv4/peers.ts';
import { routeIpv6 } from './ipv6/input.ts';
import { receiveLocalIpv6 } from './ipv6/local.ts';
import { type Kernel, routeLocal } from './kernel.ts';
import { KernelLog } from './kernel-log.ts';
import { sendFromProcess } from './local-send.ts';
import { LogLevel } from './log-level.ts';
import type { LoadedRuleset, Machine, MachineMemory, MachineOptions, Outcome, RuleCounts } from './machine-contract.ts';
import { type Needs, needsOf } from './needs.ts';
import { loopBack, send, transmit } from './output.ts';
import { compileTable, type ExtensionLookup, type TableProgram } from './program.ts';
import { receiveFrame, receiveIp } from './receive.ts';
import { Recorder } from './recorder.ts';
import { machineServices } from './services.ts';
import { SharedRandom } from './share.ts';
import { Stage } from './stages.ts';
import { NamedStates } from './states.ts';
import { cookieSecrets } from './synproxy.ts';
import { synproxyHook } from './synproxy-hook.ts';
import { traceMessages } from './trace-messages.ts';
import { ProgramEvaluator } from './traverse.ts';
import { ReferenceEvaluator, type RuleTracer, traceComment } from './traverse-reference.ts';

/** What of the stack's own memory is kept between traces. */
interface StackMemory {
  peers: PeerMemory[];
  /** Absent in what was kept before IPv6 was limited. */
  peers6?: PeerMemory6[];
}

/** Switches on a machine with these rules. Throws if a rule cannot be compiled (an extension or chain that does not exist). */
export function createMachine(options: MachineOptions): Machine {
  const { host, clock, memory } = options;
  const share = options.share ?? null;
  const random = share === null ? options.random : new SharedRandom(options.random, share);
  const observer = options.observer ?? null;
  const recorder = new Recorder(observer, options.collect ?? true);
  const log = new KernelLog(host, clock, recorder);
  const conntrack = createConntrack({
    now: () => clock.now,
    random: () => random.next(),
    sysctl: (name) => host.sysctl(name),
    log,
    share,
  });
  const nat = createNat(conntrack, options.choices ?? null);
  options.sets.onFull?.((set, most) => log.limited(LogLevel.warning, `Set ${set} is full, maxelem ${most} reached`));
  conntrack.observer = observer;
  nat.observer = observer;
  const states = new NamedStates();
  const fragments = new FragmentQueues(host, clock, share, log);
  const macs = new LearnedMacs();
  const peers = new Peers(host, () => share?.conflict('the machine limits what it answers to each sender'));
  if (memory !== null) {
    clock.now = memory.uptime;
    clock.shift = memory.uptime - memory.clock;
    states.load(memory.ruleState, memory.namedState);
    if (typeof memory.conntrack === 'string' && memory.conntrack !== '') conntrack.load(memory.conntrack);
    macs.load(memory.learnedMacs, host, clock.now);
    fragments.load(memory.fragments);
    const stack = memory.stack as StackMemory | null;
    peers.load(stack?.peers ?? [], stack?.peers6 ?? []);
  }
  states.load({}, options.namedState ?? {});
  conntrack.listen(options.events ?? null);

  let kernel: Kernel;
  const services = machineServices({
    host,
    conntrack,
    nat,
    sets: options.sets,
    states,
    clock,
    random,
    kernel: () => kernel,
  });
  const reroute = (packet: Packet, at: HookState): boolean => routeLocal(kernel, packet, at.hook, true);
  const rulesets = { 4: options.ruleset4, 6: options.ruleset6 };
  const tracer = options.variant === 'legacy' ? traceLines(services) : traceMessages(recorder, rulesets);
  const programs: [LoadedRuleset, TableProgram[]][] = [];
  const functionsFor = (family: Family, ruleset: LoadedRuleset): HookFunctions => {
    const needs = needsOf(ruleset);
    if (needs.accounting) conntrack.accounting = true;
    const tables = compileRuleset(family, ruleset, needs);
    programs.push([ruleset, [...tables.values()].map((table) => table.program)]);
    return hookFunctions({
      family,
      variant: options.variant,
      tables,
      needs,
      conntrack,
      nat,
      fragments,
      recorder,
      synproxy: needs.synproxy
        ? synproxyHook({
            conntrack,
            secrets: () => cookieSecrets(services),
            now: () => clock.now,
            send: (packet) => services.sendLocal(packet),
          })
        : null,
      reroute,
    });
  };
  function compileRuleset(family: Family, ruleset: LoadedRuleset, needs: Needs): Map<TableName, TableRunner> {
    const lookup: ExtensionLookup = {
      match: (name) => findMatch(name, family),
      target: (name) => findTarget(name, family),
    };
    const tables = new Map<TableName, TableRunner>();
    for (const table of ruleset.tables) {
      const program = compileTable(table, family, options.variant, lookup, services, (key, make) =>
        states.rule(key, make),
      );
      const plain = observer !== null || needs.trace;
      const evaluator: TableEvaluator = plain
        ? new ReferenceEvaluator(program, observer, tracer)
        : new ProgramEvaluator(program, host.devices);
      tables.set(table.name, { program, evaluator });
    }
    return tables;
  }

  const runner = new HookRunner({
    functions4: functionsFor(4, options.ruleset4),
    functions6: functionsFor(6, options.ruleset6),
    recorder,
    queues: options.queues ?? null,
    now: () => clock.real,
    proceed: (stage, packet) => proceed(kernel, stage, packet),
    reroute,
  });
  const loopback = host.device('lo') as Device;
  kernel = {
    host,
    clock,
    random,
    recorder,
    runner,
    conntrack,
    fragments,
    macs,
    peers,
    log,
    share,
    loopback,
    backlog: [],
    icmpBusy: { 4: false, 6: false },
    duplicating: false,
    held: [],
    spare: null,
    connected: new Map(),
    finished: new Set(),
    requests: new Map(),
  };
  const reuses = observer === null && !recorder.collect && (options.queues ?? null) === null;
  return new SimulatedMachine(kernel, programs, states, memory !== null, reuses);
}

/** Legacy TRACE: a line of the kernel log for each rule that a marked packet matches (nf_log_trace). */
function traceLines(services: MachineServices): RuleTracer {
  return {
    matched(packet, at, program, slot) {
      const prefix = `TRACE: ${traceComment(program, slot)} `;
      services.log(packet, at, { level: 4, line: formatLogLine(packet, at, { prefix, flags: DEFAULT_FLAGS }) });
    },
  };
}

/** Where a packet goes on after a hook. */
function proceed(kernel: Kernel, stage: Stage, packet: Packet): void {
  const ipv4 = packet.family === 4;
  switch (stage) {
    case Stage.route:
      if (ipv4) routeIpv4(kernel, packet);
      else routeIpv6(kernel, packet);
      break;
    case Stage.deliver:
      if (ipv4) receiveLocalIpv4(kernel, packet);
      else receiveLocalIpv6(kernel, packet);
      break;
    case Stage.forward:
      if (ipv4) forwardedIpv4(kernel, packet);
      else send(kernel, packet);
      break;
    case Stage.output:
      send(kernel, packet);
      break;
    case Stage.transmit:
      transmit(kernel, packet);
      break;
    case Stage.loopBack:
      loopBack(kernel, packet);
      // What a process sends is received at once (netif_rx), before the original goes on; what the machine answers, when it is done.
      if (packet.twin !== null && isOfProcess(packet.twin)) receiveBacklog(kernel);
      break;
    case Stage.bridgeInput:
      finishBridgeInput(kernel, packet);
      break;
    case Stage.bridgeForward:
      finishBridgeForward(kernel, packet);
      break;
    case Stage.bridgeTransmit:
      finishBridgeTransmit(kernel, packet);
  }
}

function isOfProcess({ local, kernelMade, isCopy }: Packet): boolean {
  return local && !kernelMade && !isCopy;
}

/** So many packets the machine may send to itself because of one; a kernel that comes so far never comes to rest (copies of copies by TEE). */
const ROUNDS = 1000;

/** Receives what was sent to the machine itself, and what comes of that. */
function receiveBacklog(kernel: Kernel): void {
  const { backlog, loopback, recorder } = kernel;
  while (backlog.length > 0) {
    const packet = backlog.shift()!;
    recorder.rounds++;
    if (recorder.rounds > ROUNDS) {
      recorder.dropped(packet, `the machine sends to itself without end: given up after ${ROUNDS} packets`);
      continue;
    }
    receiveIp(kernel, packet, packet.inDevice ?? loopback);
  }
}

class SimulatedMachine implements Machine {
  readonly #kernel: Kernel;
  readonly #programs: readonly [LoadedRuleset, TableProgram[]][];
  readonly #states: NamedStates;
  /** No packet came yet since an earlier run's memory was taken over. */
  #resumed: boolean;
  /** Nobody outside sees packets: an object may serve for the next one. */
  readonly #reuses: boolean;

  constructor(
    kernel: Kernel,
    programs: readonly [LoadedRuleset, TableProgram[]][],
    states: NamedStates,
    resumed: boolean,
    reuses: boolean,
  ) {
    this.#kernel = kernel;
    this.#programs = programs;
    this.#states = states;
    this.#resumed = resumed;
    this.#reuses = reuses;
  }

  receive(arrival: Parameters<Machine['receive']>[0]): Outcome {
    this.#begin(arrival.time);
    receiveFrame(this.#kernel, arrival);
    return this.#end();
  }

  send(packet: Parameters<Machine['send']>[0]): Outcome {
    this.#begin(packet.time);
    const sent = new Packet(packet.bytes[0]! >>> 4 === 6 ? 6 : 4, packet.bytes);
    decode(sent);
    sent.time = this.#kernel.clock.real;
    sent.local = true;
    sent.owner = packet.owner ?? { uid: 0, gid: 0 };
    sent.mark = packet.mark ?? 0;
    if (packet.connected) connectSocket(this.#kernel, sent);
    applyDescription(sent, packet.described);
    this.#kernel.held.push(sent);
    sendFromProcess(this.#kernel, sent);
    return this.#end();
  }

  advance(time: number): void {
    const { clock } = this.#kernel;
    if (this.#resumed && time < clock.real) clock.shift = clock.now - time;
    this.#resumed = false;
    if (time + clock.shift > clock.now) clock.now = time + clock.shift;
  }

  #begin(time: number): void {
    this.advance(time);
    this.#kernel.recorder.begin();
    expireFragments(this.#kernel);
  }

  #end(): Outcome {
    const { runner, recorder } = this.#kernel;
    receiveBacklog(this.#kernel);
    const { outcome } = recorder;
    if (runner.waiting.length > 0) outcome.pending = this.#settle();
    else this.#release();
    return outcome;
  }

  /** Waits for the listeners of all queued packets, and for what their answers set going. */
  async #settle(): Promise<void> {
    const { waiting } = this.#kernel.runner;
    while (waiting.length > 0) await waiting.shift();
    this.#kernel.recorder.outcome.pending = null;
    this.#end();
    const { pending } = this.#kernel.recorder.outcome;
    if (pending !== null) await pending;
  }

  /** Connections of packets that are gone and never confirmed them vanish. */
  #release(): void {
    const { held, conntrack, runner, recorder } = this.#kernel;
    if (held.length === 1 && runner.keepsNone) {
      const packet = held.pop()!;
      conntrack.release(packet);
      if (this.#reuses && recorder.outcome.verdict !== 'stolen') this.#kernel.spare = packet;
      return;
    }
    // What a listener keeps in its queue is not gone.
    const kept = runner.keepsNone ? [] : held.filter((packet) => runner.keeps(packet));
    for (const packet of held) if (!kept.includes(packet)) conntrack.release(packet);
    held.length = 0;
    held.push(...kept);
  }

  counts(): RuleCounts[] {
    return this.#programs.flatMap(([, programs]) =>
      programs.map(({ packets, bytes }) => ({ packets: packets.slice(), bytes: bytes.slice() })),
    );
  }

  addCounts(counts: readonly RuleCounts[]): void {
    const programs = this.#programs.flatMap(([, each]) => each);
    programs.forEach(({ packets, bytes }, index) => {
      const more = counts[index]!;
      for (let slot = 0; slot < packets.length; slot++) {
        packets[slot]! += more.packets[slot]!;
        bytes[slot]! += more.bytes[slot]!;
      }
    });
  }

  writeCounters(): void {
    for (const [ruleset, programs] of this.#programs) {
      ruleset.tables.forEach((table, index) => {
        const program = programs[index]!;
        let slot = 0;
        for (const chain of table.chains) {
          for (const rule of chain.rules) {
            addCounters(rule, program, slot);
            slot++;
          }
          if (chain.policy !== null) addCounters(chain.counters, program, slot);
          slot++;
        }
      });
    }
  }

  memory(): MachineMemory {
    const { clock, random, conntrack, macs, fragments, peers } = this.#kernel;
    const stack: StackMemory = { peers: peers.save(), peers6: peers.save6() };
    return {
      clock: clock.real,
      uptime: clock.now,
      random: [...random.state],
      ruleState: this.#states.saveRules(),
      namedState: this.#states.saveNamed(),
      conntrack: conntrack.save(),
      learnedMacs: macs.save(clock.now),
      fragments: fragments.save(),
      stack,
    };
  }
}

/** Moves what was counted since the last time over to the ruleset. */
function addCounters(counters: { packets: bigint; bytes: bigint }, program: TableProgram, slot: number): void {
  counters.packets = BigInt.asUintN(64, counters.packets + BigInt(program.packets[slot]!));
  counters.bytes = BigInt.asUintN(64, counters.bytes + BigInt(program.bytes[slot]!));
  program.packets[slot] = 0;
  program.bytes[slot] = 0;
}
