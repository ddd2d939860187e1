import path from 'node:path';
import type { TableName } from '../datapath/hooks.ts';
import type { Family } from '../packet/family.ts';
import { emptyRuleset, type Ruleset } from '../ruleset/ruleset.ts';
import type { RuleTextSettings } from '../syntax/rule-text.ts';
import { readRules } from '../syntax/rules-reader.ts';
import { formatRuleset, parseCanonicalRuleset, RulesError } from '../syntax/save-format.ts';
import { readStateFile, StateError, writeStateFile } from './files.ts';

/** Name of the rules file of a family. */
export function rulesFileName(family: Family): string {
  return family === 4 ? 'rules.v4' : 'rules.v6';
}

/**
 * First line of a rules file that iptsim wrote: the variant whose canonical form the rules have, a checksum of the rest
 * (whoever edits the file makes iptsim read it with care again), and built-in chains that nft has not made yet.
 */
const STAMP = /^# iptsim (legacy|nft) ([0-9a-f]{8})((?: \w+\/\w+)*)$/;

/** Mixes all characters; fast rather than strong. */
function checksum(text: string): string {
  let a = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) a = Math.imul(a ^ text.charCodeAt(i), 0x01000193);
  return (a >>> 0).toString(16).padStart(8, '0');
}

/**
 * The rules of a family in a state directory; none if there is no file. Throws StateError with file and line.
 *
 * @param keepsSpecs whether rules that have to be parsed keep their data
 */
export function loadRules(directory: string, settings: RuleTextSettings, keepsSpecs = false): Ruleset {
  const name = rulesFileName(settings.family);
  const text = readStateFile(directory, name);
  if (text === null) return emptyRuleset(settings.family);
  try {
    const end = text.indexOf('\n');
    const stamp = STAMP.exec(text.slice(0, Math.max(end, 0)));
    if (stamp !== null && stamp[1] === settings.variant) {
      const rest = text.slice(end + 1);
      if (checksum(rest) === stamp[2]) {
        const ruleset = parseCanonicalRuleset(rest, settings.family);
        markAbsent(ruleset, stamp[3] as string);
        return ruleset;
      }
    }
    return readRules(text, settings, keepsSpecs);
  } catch (error) {
    if (error instanceof RulesError) {
      throw new StateError(`${path.join(directory, name)}:${error.line}: ${error.message}`);
    }
    throw error;
  }
}

function markAbsent(ruleset: Ruleset, list: string): void {
  for (const item of list.split(' ')) {
    const [table, name] = item.split('/');
    const chain = ruleset.tables.get(table as TableName)?.chains.get(name ?? '');
    if (chain !== undefined) chain.absent = true;
  }
}

/** Writes the rules of a family. Throws StateError. */
export function saveRules(directory: string, ruleset: Ruleset, settings: RuleTextSettings): void {
  const text = formatRuleset(ruleset);
  let absent = '';
  for (const table of ruleset.tables.values()) {
    for (const chain of table.chains.values()) if (chain.absent === true) absent += ` ${table.name}/${chain.name}`;
  }
  const stamp = `# iptsim ${settings.variant} ${checksum(text)}${absent}\n`;
  writeStateFile(directory, rulesFileName(ruleset.family), stamp + text);
}
