import type { MachineMemory } from '../../datapath/machine-contract.ts';
import type { HostTexts } from '../../network/files.ts';
import { createNode, hostOf, type NetworkNode, type NodeSettings } from '../../network/node.ts';
import type { HostPlan } from '../../network/plan.ts';
import { portChain } from '../compile.ts';
import { establishment, exchange, firstPacket, flowText, type ProbeFlow } from './probe.ts';

/** What must not happen while a change is under way, and did. */
export interface Violation {
  /** After which step. */
  step: string;
  what: 'an established connection breaks' | 'a forbidden packet passes';
  flow: string;
}

/** Rules and sets of a host as they stand: iptables-save, ip6tables-save and ipset save text. */
export interface StandingRules {
  rules4: string;
  rules6: string;
  sets: string;
}

/** A host on the way of a flow: the bridge takes the frame from one port to another. */
export interface Passage {
  host: string;
  in: string;
  out: string;
  sourceMac: Uint8Array;
  destinationMac: Uint8Array;
  /** Taps of the machines at its ends, where they are on this host. */
  taps: readonly string[];
}

/** A flow, and the hosts on its way: where its machines were when the change began, and where they are in the end. */
export interface WatchedFlow {
  flow: ProbeFlow;
  /** Null: there was no such way, for a machine was not there yet. */
  before: readonly Passage[] | null;
  /** The same array as `before` where nothing moved. */
  after: readonly Passage[] | null;
}

/** What packets do on one way after one step. */
interface Seen {
  /** The first packet of a new flow passes. */
  fresh: boolean;
  /** Packets of the established flow pass in both directions. */
  known: boolean;
  /** The machines on it are under the rules of their hosts: not so before their chains come, and after these went. */
  guarded: boolean;
}

const FIRST_PORT = 20000;
/** Source ports of a flow: of the established one, of new ones on each way, and of one that is played in the end. */
const STRIDE = 4;

/**
 * Follows representative packets through the hosts of a cloud between the steps of a change: what is allowed before and after must go on
 * where it is established; what is forbidden before and after must never pass.
 */
export class Watch {
  private readonly flows: readonly WatchedFlow[];
  private readonly plans: ReadonlyMap<string, HostPlan>;
  private readonly settings: NodeSettings;
  private readonly standing: Map<string, StandingRules>;
  private readonly nodes = new Map<string, NetworkNode>();
  private readonly memories = new Map<string, MachineMemory>();
  /** By way, then by host on it. */
  private readonly seen = new Map<readonly Passage[], Map<string, Seen>>();
  /** By flow: connection tracking knew it before the change. */
  private readonly tracked: readonly boolean[];
  /** By flow: it was established before the change. */
  private readonly established: readonly boolean[];
  private readonly records: { step: string; seen: (Seen | null)[][] }[] = [];

  /** Plays the connections that the rules allow before the change. Throws NetworkError. */
  constructor(
    flows: readonly WatchedFlow[],
    plans: ReadonlyMap<string, HostPlan>,
    standing: ReadonlyMap<string, StandingRules>,
    settings: NodeSettings,
  ) {
    this.flows = flows;
    this.plans = plans;
    this.settings = settings;
    this.standing = new Map(standing);
    const hosts = new Set(
      flows.flatMap(({ before, after }) => [...(before ?? []), ...(after ?? [])].map(({ host }) => host)),
    );
    for (const host of hosts) this.start(host);
    this.tracked = flows.map(
      ({ before }) => before?.every((way) => way.taps.every((tap) => this.tracks(way.host, tap))) ?? false,
    );
    this.established = flows.map(
      ({ flow, before, after }, index) =>
        before !== null && before === after && this.plays(flow, before, FIRST_PORT + STRIDE * index),
    );
    for (const [host, node] of this.nodes) this.memories.set(host, node.machine.memory());
    for (const host of hosts) this.look(host);
    this.record('the beginning');
  }

  /**
   * A host has carried out a step.
   *
   * @param known what is left of its connections (lines as src/conntrack/store.ts has them), where the step was about these
   */
  step(
    name: string,
    host: string,
    rules: StandingRules,
    known: ((lines: readonly string[]) => readonly string[]) | null,
  ): void {
    this.standing.set(host, rules);
    const memory = this.memories.get(host);
    if (memory !== undefined) {
      if (known !== null) {
        const left = known(String(memory.conntrack).split('\n'));
        this.memories.set(host, { ...memory, conntrack: left.join('\n') });
      }
      this.look(host);
    }
    this.record(name);
  }

  /** What went wrong, once all steps are done. */
  violations(): Violation[] {
    const found: Violation[] = [];
    const lasting = this.flows.map(
      ({ flow, after }, index) =>
        this.established[index]! && this.plays(flow, after!, FIRST_PORT + STRIDE * index + STRIDE - 1),
    );
    const last = this.records.at(-1)!;
    for (const { step, seen } of this.records) {
      seen.forEach((ways, index) => {
        const { flow, after } = this.flows[index]!;
        const was = this.records[0]!.seen[index]!.some((way) => way?.fresh === true);
        const will = after !== null && last.seen[index]![1]!.fresh;
        if (!was && !will && ways.some((way) => way?.fresh === true && way.guarded)) {
          found.push({ step, what: 'a forbidden packet passes', flow: flowText(flow) });
        }
        if (lasting[index]! && !ways[0]!.known) {
          found.push({ step, what: 'an established connection breaks', flow: flowText(flow) });
        }
      });
    }
    return found;
  }

  /**
   * Flows watched; how many are allowed before, and in the end; how many of those that are allowed both before and in the end would not have
   * begun after some step (`delayed`: what asks again gets through a moment later).
   */
  counts(): { flows: number; before: number; after: number; delayed: number } {
    const passes = (seen: Seen | null | undefined): boolean => seen?.fresh === true;
    const [first, last] = [this.records[0]!, this.records.at(-1)!];
    const delayed = this.flows.filter(
      ({ before, after }, index) =>
        before === after &&
        passes(first.seen[index]![0]) &&
        passes(last.seen[index]![1]) &&
        this.records.some(({ seen }) => !passes(seen[index]![0])),
    );
    return {
      flows: this.flows.length,
      before: first.seen.filter(([way]) => passes(way)).length,
      after: last.seen.filter(([, way]) => passes(way)).length,
      delayed: delayed.length,
    };
  }

  private start(host: string): void {
    const plan = this.plans.get(host)!;
    const { rules4, rules6, sets } = this.standing.get(host)!;
    const from = `rules of ${host}`;
    const texts: HostTexts = {
      rules4: { text: rules4, from },
      rules6: { text: rules6, from },
      sets: { text: sets, from },
    };
    const memory = this.memories.get(host) ?? null;
    const node = createNode({ ...plan, texts, memory }, hostOf(plan), 0, this.settings, () => null, {});
    this.nodes.set(host, node);
  }

  /** Sends the packets of all flows over a host that starts anew from what it remembers: a bridge learns where machines are, and were. */
  private look(host: string): void {
    this.start(host);
    this.flows.forEach((flow, index) => {
      if (flow.before !== null) this.lookAt(host, flow, flow.before, index, 1);
    });
    if (!this.flows.some(({ before, after }) => before !== after)) return;
    this.start(host);
    this.flows.forEach((flow, index) => {
      if (flow.after !== null && flow.after !== flow.before) this.lookAt(host, flow, flow.after, index, 2);
    });
  }

  private lookAt(
    host: string,
    { flow, before, after }: WatchedFlow,
    ways: readonly Passage[],
    index: number,
    offset: number,
  ): void {
    const { rules4 } = this.standing.get(host)!;
    const port = FIRST_PORT + STRIDE * index;
    for (const way of ways) {
      if (way.host !== host) continue;
      const known =
        before === after &&
        exchange(flow, port, this.tracked[index]!).every(({ bytes, back }) => this.crosses(way, bytes(), back));
      const fresh = this.crosses(way, firstPacket(flow, port + offset), false);
      const guarded = way.taps.every((tap) => rules4.includes(`:${portChain('i', tap)} `));
      this.seenOn(ways).set(host, { fresh, known, guarded });
    }
  }

  /** Whether the rules of a machine ask for known connections: those of stateless groups do not, and without rules Linux tracks none. */
  private tracks(host: string, tap: string): boolean {
    return this.standing.get(host)!.rules4.includes(`-A ${portChain('i', tap)} -m state --state RELATED,ESTABLISHED `);
  }

  private seenOn(ways: readonly Passage[]): Map<string, Seen> {
    let seen = this.seen.get(ways);
    if (seen === undefined) {
      seen = new Map();
      this.seen.set(ways, seen);
    }
    return seen;
  }

  /** Whether a flow is established over all hosts on its way. */
  private plays(flow: ProbeFlow, ways: readonly Passage[], port: number): boolean {
    return establishment(flow, port).every(({ bytes, back }) => {
      const path = back ? [...ways].reverse() : ways;
      return path.every((way) => this.crosses(way, bytes(), back));
    });
  }

  private crosses(way: Passage, bytes: Uint8Array, back: boolean): boolean {
    const { host, machine } = this.nodes.get(way.host)!;
    const device = host.device(back ? way.out : way.in)!;
    const linkHeader = new Uint8Array(14);
    linkHeader.set(back ? way.sourceMac : way.destinationMac, 0);
    linkHeader.set(back ? way.destinationMac : way.sourceMac, 6);
    linkHeader.set(bytes[0]! >> 4 === 6 ? [0x86, 0xdd] : [0x08, 0x00], 12);
    const { emitted } = machine.receive({ device, bytes, linkHeader, time: 0 });
    const out = back ? way.in : way.out;
    return emitted.some((frame) => frame.device.name === out);
  }

  private record(step: string): void {
    const over = (ways: readonly Passage[] | null): Seen | null => {
      if (ways === null) return null;
      const all = ways.map(({ host }) => this.seenOn(ways).get(host)!);
      const every = (key: keyof Seen): boolean => all.every((each) => each[key]);
      return { fresh: every('fresh'), known: every('known'), guarded: every('guarded') };
    };
    this.records.push({ step, seen: this.flows.map(({ before, after }) => [over(before), over(after)]) });
  }
}
