import type { Ruleset, StoredRule } from '../ruleset/ruleset.ts';
import { readStateFile, StateError, writeStateFile } from './files.ts';

/** File of what rules remember (credit of a limit, rest of a quota, ...), kept by the datapath. */
const FILE = 'rule-state.json';

/** Where each rule stands: `FAMILY TABLE CHAIN NUMBER`, as the keys of the file begin. */
function places(ruleset: Ruleset): Map<StoredRule, string> {
  const map = new Map<StoredRule, string>();
  for (const table of ruleset.tables.values()) {
    for (const chain of table.chains.values()) {
      chain.rules.forEach((rule, i) => {
        map.set(rule, `${ruleset.family} ${table.name} ${chain.name} ${i + 1}`);
      });
    }
  }
  return map;
}

/**
 * Lets the state of rules follow them from where they stood to where they stand now; that of rules that are gone goes
 * too. `renewed` names for a rule the one that it was. Nothing is done if there is no such state.
 */
export function moveRuleState(
  directory: string,
  before: Ruleset,
  after: Ruleset,
  renewed: ReadonlyMap<StoredRule, StoredRule>,
): void {
  const text = readStateFile(directory, FILE);
  if (text === null) return;
  const old = places(before);
  const moved = new Map<string, string>();
  for (const [rule, place] of places(after)) {
    const was = old.get(rule) ?? old.get(renewed.get(rule) ?? rule);
    if (was !== undefined) moved.set(was, place);
  }
  let state: unknown;
  try {
    state = JSON.parse(text);
  } catch {
    throw new StateError(`${directory}/${FILE}: not JSON`);
  }
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(state as Record<string, unknown>)) {
    const place = key.split(' ').slice(0, 4).join(' ');
    if (!key.startsWith(`${before.family} `)) result[key] = value;
    else if (moved.has(place)) result[moved.get(place) + key.slice(place.length)] = value;
  }
  const next = JSON.stringify(result);
  if (next !== text) writeStateFile(directory, FILE, next);
}
