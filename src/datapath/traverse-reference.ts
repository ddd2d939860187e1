import type { Packet } from '../packet/packet.ts';
import type { AddressMatch, RuleSpec } from '../ruleset/rule.ts';
import type { Observer } from '../trace/steps.ts';
import type { TableEvaluator } from './evaluator.ts';
import type { HookState } from './hooks.ts';
import { packetHas } from './near-miss.ts';
import { Action, type CompiledRule, interfaceFits, type TableProgram } from './program.ts';
import { protocolOf } from './traverse.ts';
import { Verdict, type VerdictCode } from './verdicts.ts';

/** What a rule with TRACE set off wants to know of the rules and policies that a packet meets. */
export interface RuleTracer {
  /** It matches; its target has not acted yet. */
  matched?(packet: Packet, at: HookState, program: TableProgram, slot: number): void;
  /** What it came to; `isFirst`: it is the first in this table at this hook that is told. */
  decided?(packet: Packet, at: HookState, program: TableProgram, slot: number, to: Decision, isFirst: boolean): void;
}

/** A verdict, or the chain where the packet goes on. */
export type Decision = { verdict: VerdictCode } | { way: 'JUMP' | 'GOTO'; chain: string };

const CONTINUE: Decision = { verdict: Verdict.next };
const RETURN: Decision = { verdict: Verdict.return };

/**
 * The plain evaluator: ipt_do_table (net/ipv4/netfilter/ip_tables.c) as it reads, one rule after the other, telling an observer
 * what it does. The fast one has to give the same results.
 */
export class ReferenceEvaluator implements TableEvaluator {
  decided = 0;
  readonly #program: TableProgram;
  readonly #observer: Observer | null;
  readonly #tracer: RuleTracer | null;

  constructor(program: TableProgram, observer: Observer | null, tracer: RuleTracer | null) {
    this.#program = program;
    this.#observer = observer;
    this.#tracer = tracer;
  }

  run(packet: Packet, at: HookState): VerdictCode {
    const program = this.#program;
    const table = program.name;
    const observer = this.#observer;
    const entry = program.entry[at.hook]!;
    if (entry < 0) return Verdict.accept;
    /** Slots to come back to, with the chain that jumped. */
    const stack: number[] = [];
    const policy = program.action.indexOf(Action.policy, entry);
    const end = (slot: number, verdict: VerdictCode): VerdictCode => {
      this.decided = slot;
      return verdict;
    };
    const back = (from: number): number => {
      const slot = stack.pop() ?? policy;
      observer?.({ kind: 'return', table, chain: program.chainOf[from]!, to: program.chainOf[slot]! });
      return slot;
    };
    let isFirst = true;
    const told = (from: number, to: Decision): void => {
      if (!packet.trace || this.#tracer?.decided === undefined) return;
      this.#tracer.decided(packet, at, program, from, to, isFirst);
      isFirst = false;
    };
    packet.hotdrop = false;
    let slot = entry;
    for (;;) {
      const rule = program.rule(slot);
      const chain = program.chainOf[slot]!;
      const number = program.numberOf[slot]!;
      if (rule !== null) {
        const failed =
          failedHeader(rule.spec, packet, at, program) ?? failedMatch(packet, at, rule, program.variant === 'nft');
        observer?.(
          failed === null
            ? { kind: 'rule', table, chain, rule: number, matched: true }
            : { kind: 'rule', table, chain, rule: number, matched: false, failed, has: packetHas(failed, packet, at) },
        );
        if (failed !== null) {
          if (packet.hotdrop) return end(slot, Verdict.drop);
          slot++;
          continue;
        }
      }
      program.packets[slot]! += 1;
      program.bytes[slot]! += packet.bytes.length;
      if (packet.trace) this.#tracer?.matched?.(packet, at, program, slot);

      if (packet.hotdrop) {
        // A match held and set it: ipt_do_table sees that when it is done with the rule.
        if (program.action[slot] === Action.target) rule!.target!(packet, at);
        told(slot, { verdict: Verdict.drop });
        return end(slot, Verdict.drop);
      }
      const argument = program.argument[slot]!;
      const to = program.chainOf[argument]!;
      switch (program.action[slot]) {
        case Action.next:
          told(slot, CONTINUE);
          slot++;
          break;
        case Action.verdict:
          told(slot, { verdict: argument });
          return end(slot, argument);
        case Action.policy:
          told(slot, { verdict: argument });
          observer?.({ kind: 'policy', table, chain, policy: argument === Verdict.drop ? 'DROP' : 'ACCEPT' });
          return end(slot, argument);
        case Action.return:
          told(slot, RETURN);
          slot = back(slot);
          break;
        case Action.chainEnd:
          slot = back(slot);
          break;
        case Action.jump:
          told(slot, { way: 'JUMP', chain: to });
          observer?.({ kind: 'jump', table, from: chain, rule: number, chain: to });
          stack.push(slot + 1);
          slot = argument;
          break;
        case Action.goto:
          told(slot, { way: 'GOTO', chain: to });
          observer?.({ kind: 'goto', table, from: chain, rule: number, chain: to });
          slot = argument;
          break;
        default: {
          const verdict = rule!.target!(packet, at);
          told(slot, { verdict });
          if (verdict === Verdict.next) slot++;
          else if (verdict === Verdict.return) slot = back(slot);
          else return end(slot, verdict);
        }
      }
    }
  }
}

/** The first part of the rule's header that does not fit, as its option; null if all fit. */
function failedHeader(spec: RuleSpec, packet: Packet, at: HookState, program: TableProgram): string | null {
  if (spec.source !== null && !addressFits(spec.source, packet.src)) return '-s';
  if (spec.destination !== null && !addressFits(spec.destination, packet.dst)) return '-d';
  if (spec.inInterface !== null && !interfaceFits(spec.inInterface, at.inDevice?.name ?? '')) return '-i';
  if (spec.outInterface !== null && !interfaceFits(spec.outInterface, at.outDevice?.name ?? '')) return '-o';
  if (spec.protocol !== 0) {
    const protocol = protocolOf(packet, program);
    if (protocol < 0 || (protocol === spec.protocol) === spec.protocolInvert) return '-p';
  }
  if (spec.fragment !== null && spec.fragment !== (packet.fragmentOffset !== 0)) return '-f';
  return null;
}

function addressFits(match: AddressMatch, address: Uint32Array): boolean {
  const same = address.every((word, i) => (word & match.mask[i]!) >>> 0 === (match.address[i]! & match.mask[i]!) >>> 0);
  return same !== match.invert;
}

/** Tests matches from left to right; those behind the first that fails are not asked, nor with `dropsAtOnce` those behind one that sets `hotdrop`. */
function failedMatch(packet: Packet, at: HookState, rule: CompiledRule, dropsAtOnce: boolean): string | null {
  const { matches, matchNames } = rule;
  for (let i = 0; i < matches.length; i++) {
    if (!matches[i]!(packet, at) || (dropsAtOnce && packet.hotdrop)) return `-m ${matchNames[i]}`;
  }
  return null;
}

/**
 * `table:chain:what:number` of a TRACE line (get_chainname_rulenum). The kernel takes an unconditional rule with a plain verdict for the end of its
 * chain: `-A FORWARD -j ACCEPT` shows as policy, `-j RETURN` in a chain of the user as return.
 */
export function traceComment(program: TableProgram, slot: number): string {
  const chain = program.chainOf[slot]!;
  const spec = program.specs[slot]!;
  const previous = slot > 0 && program.chainOf[slot - 1] === chain ? program.numberOf[slot - 1]! : 0;
  const number = spec === null ? previous + 1 : program.numberOf[slot]!;
  const ends = spec === null || (spec.target.kind === 'verdict' && isUnconditional(spec));
  const what = ends ? (isBaseChain(program, slot) ? 'policy' : 'return') : 'rule';
  return `${program.name}:${chain}:${what}:${number}`;
}

function isBaseChain(program: TableProgram, slot: number): boolean {
  let end = slot;
  while (program.specs[end] !== null) end++;
  return program.action[end] === Action.policy;
}

function isUnconditional(spec: RuleSpec): boolean {
  return (
    spec.source === null &&
    spec.destination === null &&
    spec.inInterface === null &&
    spec.outInterface === null &&
    spec.protocol === 0 &&
    spec.fragment === null &&
    spec.matches.length === 0
  );
}
