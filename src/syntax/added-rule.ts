import type { Variant } from '../extensions/contract.ts';
import { findMatch, findTarget } from '../extensions/registry.ts';
import type { MatchUse, RuleSpec, TargetUse } from '../ruleset/rule.ts';

/** The rule as the kernel gives it back once it has been added. */
export function addedRule(rule: RuleSpec, variant: Variant): RuleSpec {
  const { family } = rule;
  let changed = false;
  const matches = rule.matches.map((use): MatchUse => {
    const data = findMatch(use.name, family)?.added?.(use.data, variant) ?? use.data;
    changed ||= data !== use.data;
    return data === use.data ? use : { name: use.name, data };
  });
  let target: TargetUse = rule.target;
  if (target.kind === 'extension') {
    const data = findTarget(target.name, family)?.added?.(target.data, variant) ?? target.data;
    if (data !== target.data) target = { ...target, data };
  }
  return changed || target !== rule.target ? { ...rule, matches, target } : rule;
}
