import { type NameServices, UsageError, type Variant } from '../extensions/contract.ts';
import { readSetHeaders } from '../ipset/index.ts';
import type { Family } from '../packet/family.ts';
import type { RuleSpec } from '../ruleset/rule.ts';
import type { Ruleset, StoredRule, Table } from '../ruleset/ruleset.ts';
import { parseRuleSpec, type RuleTextSettings, storeRuleSpec } from '../syntax/rule-text.ts';
import { readRulesWithLines } from '../syntax/rules-reader.ts';
import { RulesError, ruleSpecOf } from '../syntax/save-format.ts';
import { wellKnownNames } from './names.ts';

export interface RulesetOptions {
  /** Default 4. */
  family?: Family;
  /** Default nft. */
  variant?: Variant;
  /** `ipset save` text of the sets that rules may name. */
  sets?: string;
  /** Default: services and protocols of the common lists. */
  names?: NameServices;
}

/**
 * Reads rules in the language of iptables-restore into data; all rules are in canonical form, and each knows the line that it
 * comes from. Throws RulesError with line and column.
 */
export function parseRuleset(text: string, options: RulesetOptions = {}): Ruleset {
  return readRulesWithLines(text, ruleSettings(options));
}

/** The data of a rule of a ruleset: addresses, interfaces, and what each match and the target were told. */
export function ruleData(rule: StoredRule, table: Table, options: RulesetOptions = {}): RuleSpec {
  return ruleSpecOf(rule, table, ruleSettings(options));
}

/**
 * A rule for a chain of `table`, from its data or from what follows `-A CHAIN` on a command line. Put it into `chain.rules`.
 * Throws RulesError (line 1) where the text is no rule.
 */
export function makeRule(rule: RuleSpec | string, table: Table, options: RulesetOptions = {}): StoredRule {
  const settings = ruleSettings(options);
  let spec: RuleSpec;
  if (typeof rule !== 'string') spec = rule;
  else {
    try {
      spec = parseRuleSpec(rule, settings, (name) => table.chains.has(name));
    } catch (error) {
      if (error instanceof UsageError || error instanceof RangeError) throw new RulesError(error.message.trim(), 1);
      throw error;
    }
  }
  return { text: storeRuleSpec(spec, settings), packets: 0n, bytes: 0n };
}

/** What reading rules needs to know. */
export function ruleSettings(options: RulesetOptions): RuleTextSettings {
  const headers = new Map(readSetHeaders(options.sets ?? '').map((header) => [header.name, header]));
  return {
    family: options.family ?? 4,
    variant: options.variant ?? 'nft',
    names: options.names ?? wellKnownNames(),
    setByName: (name) => headers.get(name),
  };
}
