import type { MatchExtension, Memory, TargetExtension } from '../extensions/contract.ts';
import { findMatch, findTarget } from '../extensions/registry.ts';
import type { Family } from '../packet/family.ts';
import type { RuleSpec } from '../ruleset/rule.ts';
import type { TableName } from './hooks.ts';
import type { LoadedRuleset } from './machine-contract.ts';
import { isPure } from './program.ts';

/** A rule that ties packets of all flows together. */
export interface TiedRule {
  family: Family;
  table: TableName;
  chain: string;
  /** From 1. */
  rule: number;
  /** What does it: `-m limit`, `-j SNAT`. */
  use: string;
}

/** What a use of a match remembers; one that depends on the packet alone has nothing to remember. */
function matchMemory(extension: MatchExtension | undefined, data: unknown): Memory {
  if (extension === undefined) return 'machine';
  if (isPure(extension, data)) return 'flow';
  return declared(extension.memory, data);
}

function declared(memory: (MatchExtension | TargetExtension)['memory'], data: unknown): Memory {
  return (typeof memory === 'function' ? memory(data) : memory) ?? 'machine';
}

function tieIn({ matches, target }: RuleSpec, family: Family): string | null {
  for (const { name, data } of matches) {
    if (matchMemory(findMatch(name, family), data) === 'machine') return `-m ${name}`;
  }
  if (target.kind !== 'extension') return null;
  return declared(findTarget(target.name, family)?.memory, target.data) === 'machine' ? `-j ${target.name}` : null;
}

/** The first rule that remembers something from one flow to the next; null if every packet can be judged by its own flow alone. */
export function tiedRule(ruleset: LoadedRuleset, family: Family): TiedRule | null {
  for (const { name: table, chains } of ruleset.tables) {
    for (const { name: chain, rules } of chains) {
      for (let i = 0; i < rules.length; i++) {
        const use = tieIn(rules[i]!.spec, family);
        if (use !== null) return { family, table, chain, rule: i + 1, use };
      }
    }
  }
  return null;
}

/** Whether a rule may read any byte of a packet. */
export function looksAnywhere(ruleset: LoadedRuleset, family: Family): boolean {
  return ruleset.tables.some(({ chains }) =>
    chains.some(({ rules }) =>
      rules.some(({ spec }) => spec.matches.some(({ name }) => findMatch(name, family)?.looksAnywhere === true)),
    ),
  );
}
