import type { NameServices, PrintContext, Variant } from '../extensions/contract.ts';
import { findMatch, findTarget } from '../extensions/registry.ts';
import { listWords } from '../extensions/words.ts';
import { formatAddress } from '../packet/address-text.ts';
import { prefixLength } from '../ruleset/addresses.ts';
import type { AddressMatch, InterfaceMatch, RuleSpec, TargetUse } from '../ruleset/rule.ts';
import { protocolName } from '../syntax/protocols.ts';

export interface ExplainSettings {
  variant: Variant;
  names: NameServices;
}

/** A rule as one plain sentence: what it asks of a packet, and what it does with it. */
export function explainRule(rule: RuleSpec, settings: ExplainSettings): string {
  const context: PrintContext = { family: rule.family, numeric: true, rule, ...settings };
  const conditions: string[] = [];
  if (rule.protocol > 0) {
    const name = protocolName(rule.protocol, settings.names) ?? `number ${rule.protocol}`;
    conditions.push(`the protocol is ${rule.protocolInvert ? 'not ' : ''}${name}`);
  }
  addressCondition('source', rule.source, rule, conditions);
  addressCondition('destination', rule.destination, rule, conditions);
  interfaceCondition(['came in', 'did not come in'], rule.inInterface, conditions);
  interfaceCondition(['leaves', 'does not leave'], rule.outInterface, conditions);
  if (rule.fragment !== null) {
    conditions.push(rule.fragment ? 'it is a second or later fragment' : 'it is no second or later fragment');
  }
  const remarks: string[] = [];
  for (const { name, data } of rule.matches) {
    const extension = findMatch(name, rule.family);
    if (extension === undefined) conditions.push(`-m ${name} holds`);
    else {
      const condition = extension.explain(data, context);
      if (condition !== '') conditions.push(condition);
      if (extension.remark !== undefined) remarks.push(extension.remark(data));
      const unknown = extension.unknown?.(data) ?? null;
      if (unknown !== null) remarks.push(unknown);
    }
  }
  const action = explainTarget(rule.target, context, remarks);
  const when = conditions.length === 0 ? 'Always' : `If ${listWords(conditions)}`;
  const notes = remarks.length === 0 ? '' : ` (${remarks.join('; ')})`;
  return `${when}: ${action}.${notes}`;
}

function addressCondition(side: string, match: AddressMatch | null, rule: RuleSpec, conditions: string[]): void {
  if (match === null) return;
  const length = prefixLength(match.mask, rule.family);
  const address = formatAddress(rule.family, match.address);
  const full = length === (rule.family === 4 ? 32 : 128);
  const mask = full ? '' : `/${length >= 0 ? length : formatAddress(rule.family, match.mask)}`;
  conditions.push(`its ${side} is ${match.invert ? 'not ' : ''}${full ? '' : 'in '}${address}${mask}`);
}

function interfaceCondition(
  words: readonly [string, string],
  match: InterfaceMatch | null,
  conditions: string[],
): void {
  if (match === null || match.name === '' || match.name === '+') return;
  const any = match.name.endsWith('+');
  const name = any ? `an interface whose name begins with ${match.name.slice(0, -1)}` : match.name;
  conditions.push(`it ${match.invert ? words[1] : words[0]} through ${name}`);
}

const VERDICTS = {
  ACCEPT: 'this table lets it pass',
  DROP: 'it is dropped without a word',
  QUEUE: 'it goes to the program behind queue 0',
  RETURN: 'it goes back to the calling chain, or to the policy',
} as const;

function explainTarget(target: TargetUse, context: PrintContext, remarks: string[]): string {
  switch (target.kind) {
    case 'none':
      return 'it is only counted';
    case 'verdict':
      return VERDICTS[target.verdict];
    case 'jump':
      return `it goes through chain ${target.chain}, and comes back if nothing there decides`;
    case 'goto':
      return `it goes on in chain ${target.chain}, and does not come back here`;
    case 'extension': {
      const extension = findTarget(target.name, context.family);
      const unknown = extension?.unknown?.(target.data) ?? null;
      if (unknown !== null) remarks.push(unknown);
      return extension?.explain(target.data, context) ?? `target ${target.name}`;
    }
  }
}
