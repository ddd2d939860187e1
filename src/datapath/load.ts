import type { Counters, RuleSpec } from '../ruleset/rule.ts';
import type { Ruleset, StoredRule } from '../ruleset/ruleset.ts';
import { SpecPool } from '../ruleset/spec-pool.ts';
import { parseRuleSpec, type RuleTextSettings } from '../syntax/rule-text.ts';
import type { TableName } from './hooks.ts';
import type { LoadedChain, LoadedRuleset, LoadedTable } from './machine-contract.ts';

/** Of the chains without a policy. */
const NOTHING: Counters = { packets: 0n, bytes: 0n };

/** Reads the rules of a family for the datapath. Throws UsageError for a rule that iptables would not take. */
export function loadRuleset(ruleset: Ruleset, settings: RuleTextSettings): LoadedRuleset {
  const tables: LoadedTable[] = [];
  const pool = new SpecPool();
  for (const table of ruleset.tables.values()) {
    const isChain = (name: string): boolean => table.chains.has(name);
    const chains: LoadedChain[] = [];
    for (const chain of table.chains.values()) {
      chains.push({
        name: chain.name,
        policy: chain.policy,
        counters: chain.policy === null ? NOTHING : { packets: chain.packets, bytes: chain.bytes },
        // Rules that were read with their data are taken as they are, counters included: large sets have no room for more objects.
        rules: chain.rules.every(isLoaded)
          ? chain.rules
          : chain.rules.map((rule) => ({
              spec: rule.spec ?? pool.share(parseRuleSpec(rule.text, settings, isChain)),
              packets: rule.packets,
              bytes: rule.bytes,
            })),
      });
    }
    tables.push({ name: table.name, chains });
  }
  return { tables };
}

function isLoaded(rule: StoredRule): rule is StoredRule & { spec: RuleSpec } {
  return rule.spec !== undefined;
}

/** Writes counters back into the ruleset from which `loaded` was made. */
export function storeCounters(loaded: LoadedRuleset, ruleset: Ruleset): void {
  for (const table of loaded.tables) {
    const stored = ruleset.tables.get(table.name as TableName);
    for (const chain of table.chains) {
      const to = stored?.chains.get(chain.name);
      if (to === undefined) throw new RangeError(`chain ${chain.name} of table ${table.name} is gone`);
      if (chain.policy !== null) {
        to.packets = chain.counters.packets;
        to.bytes = chain.counters.bytes;
      }
      chain.rules.forEach((rule, index) => {
        const slot = to.rules[index]!;
        slot.packets = rule.packets;
        slot.bytes = rule.bytes;
      });
    }
  }
}
