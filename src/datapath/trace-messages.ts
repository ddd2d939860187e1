import type { Family } from '../packet/family.ts';
import type { Packet } from '../packet/packet.ts';
import { monitoredPacket } from '../trace/reporters/monitor-packet.ts';
import type { LoadedRuleset } from './machine-contract.ts';
import type { Recorder } from './recorder.ts';
import type { Decision, RuleTracer } from './traverse-reference.ts';
import { Verdict } from './verdicts.ts';

/** NFT_RETURN, as the messages have it. */
const NFT_RETURN = 0xfffffffb;

/** What xtables-monitor prints for a decision. */
function decisionText(to: Decision): string {
  if ('way' in to) return `${to.way}:${to.chain}`;
  switch (to.verdict) {
    case Verdict.accept:
      return 'ACCEPT';
    case Verdict.drop:
      return 'DROP';
    case Verdict.next:
      return 'CONTINUE';
    case Verdict.return:
      return `0x${NFT_RETURN.toString(16)}`;
    default:
      return `0x${to.verdict.toString(16)}`;
  }
}

/** Numbers as nftables gives them out in a table that was loaded at once: first its chains, then its rules. */
function handlesOf(rulesets: Readonly<Record<Family, LoadedRuleset>>): (family: Family, key: string) => number {
  const first = new Map<string, number>();
  for (const family of [4, 6] as const) {
    for (const { name, chains } of rulesets[family].tables) {
      let next = chains.length + 1;
      for (const chain of chains) {
        first.set(`${family} ${name} ${chain.name}`, next);
        next += chain.rules.length;
      }
    }
  }
  return (family, key) => first.get(`${family} ${key}`) ?? 0;
}

/** The messages of nftables about packets that TRACE marked (nf_tables_trace.c). */
export function traceMessages(recorder: Recorder, rulesets: Readonly<Record<Family, LoadedRuleset>>): RuleTracer {
  // Made for the first packet that is traced: few ever are, and there may be many chains.
  let handle: ReturnType<typeof handlesOf> | null = null;
  const ids = new WeakMap<Packet, number>();
  let next = 1;
  return {
    decided(packet, at, program, slot, to, isFirst) {
      const id = ids.get(packet) ?? next++;
      ids.set(packet, id);
      const chain = program.chainOf[slot]!;
      const rule = program.specs[slot] === null ? null : program.numberOf[slot]!;
      handle ??= handlesOf(rulesets);
      recorder.traced({
        family: at.family,
        id,
        packet: isFirst ? monitoredPacket(packet, at) : null,
        table: program.name,
        chain,
        rule,
        handle: rule === null ? 0 : handle(at.family, `${program.name} ${chain}`) + rule - 1,
        verdict: decisionText(to),
      });
    },
  };
}
