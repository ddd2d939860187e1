import { Direction } from '../conntrack/connection.ts';
import { Entry } from '../conntrack/entry.ts';
import type { Conntrack } from '../conntrack/service.ts';
import { directionOf } from '../conntrack/tracking.ts';
import type { Nat } from '../nat/service.ts';
import { summedHeader } from '../packet/checksum.ts';
import type { Family } from '../packet/family.ts';
import type { Packet } from '../packet/packet.ts';
import type { FragmentQueues } from './defragment.ts';
import type { TableEvaluator } from './evaluator.ts';
import { type HookFunction, type HookFunctions, routeKeyChanged, routeKeyOf } from './hook-runner.ts';
import { HOOK_NAMES, Hook, type HookEntry, type HookState, hookEntries, type TableName } from './hooks.ts';
import type { Needs } from './needs.ts';
import type { TableProgram } from './program.ts';
import { isInput, type Recorder } from './recorder.ts';
import { Verdict, type VerdictCode } from './verdicts.ts';

/** A table ready to run. */
export interface TableRunner {
  program: TableProgram;
  evaluator: TableEvaluator;
}

export interface HookFunctionDependencies {
  family: Family;
  variant: 'legacy' | 'nft';
  tables: ReadonlyMap<TableName, TableRunner>;
  needs: Needs;
  conntrack: Conntrack;
  nat: Nat;
  fragments: FragmentQueues;
  recorder: Recorder;
  /** The SYN proxy's own hook (ipv4_synproxy_hook); null if no rule uses it. */
  synproxy: ((packet: Packet, at: HookState) => VerdictCode) | null;
  /** Routes a packet of OUTPUT again; false if there is no way any more. */
  reroute(packet: Packet, at: HookState): boolean;
}

/** What is called at each hook of a family, in the order of `hookEntries`; what no rule needs is left out. */
export function hookFunctions(dependencies: HookFunctionDependencies): HookFunctions {
  return HOOK_NAMES.map((name, hook) =>
    hookEntries(name, dependencies.variant).flatMap((entry) => hookFunction(entry, hook as Hook, dependencies) ?? []),
  );
}

function hookFunction(entry: HookEntry, hook: Hook, d: HookFunctionDependencies): HookFunction | null {
  const { needs, conntrack } = d;
  const plain = (run: HookFunction['run']): HookFunction => ({ name: entry, program: null, evaluator: null, run });
  switch (entry) {
    case 'defrag':
      return needs.defragmentation ? plain(defragment(d, hook)) : null;
    case 'conntrack':
      return needs.conntrack ? plain(tracking(d, hook)) : null;
    case 'helper':
      return needs.conntrack ? plain((packet, at) => conntrack.help(packet, at)) : null;
    case 'confirm':
      return needs.conntrack ? plain((packet, at) => conntrack.confirm(packet, at)) : null;
    case 'synproxy':
      return d.synproxy === null ? null : plain(d.synproxy);
    case 'nat-destination':
    case 'nat-source':
      return natFunction(entry, hook, d);
    default:
      return tableFunction(entry, hook, d);
  }
}

function tracking({ conntrack, family }: HookFunctionDependencies, hook: Hook): HookFunction['run'] {
  if (family === 4 || hook !== Hook.prerouting) return (packet, at) => conntrack.in(packet, at);
  return (packet, at) => {
    const verdict = conntrack.in(packet, at);
    if (packet.verified) packet.summedHeader = summedHeader(packet);
    return verdict;
  };
}

function defragment(d: HookFunctionDependencies, hook: Hook): HookFunction['run'] {
  const user = hook === Hook.output ? 'out' : 'in';
  return (packet) => {
    if (!packet.moreFragments && packet.fragmentOffset === 0 && packet.fragmentHeader === 0) return Verdict.accept;
    return d.fragments.reassemble(packet, user, d.recorder) ? Verdict.accept : Verdict.stolen;
  };
}

function tableFunction(entry: HookEntry & TableName, hook: Hook, d: HookFunctionDependencies): HookFunction | null {
  const table = d.tables.get(entry);
  if (table === undefined || table.program.entry[hook]! < 0) return null;
  const { program, evaluator } = table;
  let run: HookFunction['run'] = (packet, at) => evaluator.run(packet, at);
  if (entry === 'filter') {
    run = (packet, at) => {
      const verdict = evaluator.run(packet, at);
      if (isInput(packet)) d.recorder.filtered(program, evaluator.decided);
      return verdict;
    };
  } else if (entry === 'mangle' && hook === Hook.output) {
    run = (packet, at) => {
      const key = routeKeyOf(packet);
      const verdict = evaluator.run(packet, at);
      if (verdict === Verdict.drop || verdict === Verdict.stolen) return verdict;
      return routeKeyChanged(packet, key) && !d.reroute(packet, at) ? Verdict.drop : verdict;
    };
  }
  return { name: entry, program, evaluator, run };
}

function natFunction(
  entry: 'nat-destination' | 'nat-source',
  hook: Hook,
  d: HookFunctionDependencies,
): HookFunction | null {
  const table = d.tables.get('nat');
  if (table === undefined || !d.needs.conntrack) return null;
  const { program, evaluator } = table;
  const { nat } = d;
  const chain = program.entry[hook]! < 0 ? null : (packet: Packet, at: HookState) => evaluator.run(packet, at);
  const manip = entry === 'nat-source' ? 'source' : 'destination';
  let run: HookFunction['run'] = (packet, at) => nat.run(packet, at, manip, chain);
  if (hook === Hook.prerouting) {
    // After DNAT a packet that came over `lo` with its route is routed anew (nf_nat_ipv4_pre_routing).
    run = (packet, at) => {
      const { dst } = packet;
      const d0 = dst[0];
      const d1 = dst[1];
      const d2 = dst[2];
      const d3 = dst[3];
      const verdict = nat.run(packet, at, manip, chain);
      if (dst[0] !== d0 || dst[1] !== d1 || dst[2] !== d2 || dst[3] !== d3) packet.route = null;
      return verdict;
    };
  } else if (hook === Hook.output) {
    // Whatever it was before: where a connection has another destination, its packets are routed anew (nf_nat_ipv4_local_fn).
    run = (packet, at) => {
      const verdict = nat.run(packet, at, manip, chain);
      if (verdict !== Verdict.accept || !isRedirected(packet)) return verdict;
      return d.reroute(packet, at) ? Verdict.accept : Verdict.drop;
    };
  }
  return { name: entry, program, evaluator, run };
}

/** Whether packets of the connection go to another address than their sender wrote, in the direction of this one. */
function isRedirected(packet: Packet): boolean {
  const { connection } = packet;
  if (!(connection instanceof Entry)) return false;
  const { words } = connection;
  const direction = directionOf(packet);
  const there = connection.tupleAt(direction) + 4;
  const back = connection.tupleAt(direction === Direction.original ? Direction.reply : Direction.original);
  for (let i = 0; i < 4; i++) if (words[there + i] !== words[back + i]) return true;
  return false;
}
