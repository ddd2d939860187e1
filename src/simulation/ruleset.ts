import type { NameServices, Variant } from '../extensions/contract.ts';
import { readSetHeaders } from '../ipset/index.ts';
import type { Family } from '../packet/family.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import type { RuleTextSettings } from '../syntax/rule-text.ts';
import { readRules } from '../syntax/rules-reader.ts';
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

/** Reads rules in the language of iptables-restore into data; all rules are in canonical form. Throws RulesError with the line. */
export function parseRuleset(text: string, options: RulesetOptions = {}): Ruleset {
  return readRules(text, ruleSettings(options));
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
