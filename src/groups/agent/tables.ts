import type { TableName } from '../../datapath/hooks.ts';
import type { Ruleset } from '../../ruleset/ruleset.ts';
import { isBuiltin } from '../../ruleset/ruleset.ts';
import { align } from './align.ts';
import { isBaseChain, isOwnChain, ownJump } from './own.ts';
import { type Passage, passagesOf, STAGES, type Stage, stageLines } from './stages.ts';

/** The chains of a table: for each its rules, as what follows the chain's name in iptables-save. */
export type Chains = ReadonlyMap<string, readonly string[]>;

/** The chains of each table that exists. */
export type Tables = ReadonlyMap<TableName, Chains>;

export function tablesOf(ruleset: Ruleset): Tables {
  return new Map(
    [...ruleset.tables.values()].map(({ name, chains }) => [
      name,
      new Map([...chains.values()].map((chain) => [chain.name, chain.rules.map(({ text }) => text.trimStart())])),
    ]),
  );
}

/** Reads what compile.ts wrote. */
export function readCompiled(text: string): Tables {
  const tables = new Map<TableName, Map<string, string[]>>();
  let chains = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      chains = new Map();
      tables.set(line.slice(1) as TableName, chains);
    } else if (line.startsWith(':')) chains.set(line.slice(1, line.indexOf(' ')), []);
    else if (line.startsWith('-A ')) {
      const end = line.indexOf(' ', 3);
      chains.get(line.slice(3, end))!.push(line.slice(end + 1));
    }
  }
  return tables;
}

/** What becomes of one table: the lines of each stage, between `*TABLE` and `COMMIT`. */
export type TableStages = Record<Stage, string[]>;

/** What a table is to be like. */
export interface TableGoal {
  name: TableName;
  present: Chains | undefined;
  /** What the host loads in the end. */
  goal: Chains;
  /** Chains of machines that are on other hosts now, as they would be here. */
  leaving: Chains;
}

/** The fewest lines that bring a table to its goal, by stages; names of chains that must stay because rules of others jump to them. */
export function planTable({ name, present, goal, leaving }: TableGoal): { stages: TableStages; kept: string[] } {
  const stages: TableStages = { close: [], open: [], clean: [] };
  const now: Chains = present ?? new Map();
  const isGone = (chain: string): boolean => isOwnChain(chain) && !goal.has(chain);
  const edited: Record<Stage, string[]> = { close: [], open: [], clean: [] };
  const edit = (chain: string, passages: readonly Passage[]): void => {
    for (const stage of STAGES) edited[stage].push(...stageLines(chain, passages, stage));
  };
  // What says whose packets are not tracked comes last and goes first: then nothing known is forgotten while rules still ask for it.
  const isRaw = name === 'raw';
  const comes: Stage = isRaw ? 'open' : 'close';
  if (present === undefined)
    for (const chain of goal.keys()) if (!isOwnChain(chain)) stages[comes].push(`:${chain} - [0:0]`);
  const fresh = [...goal].filter(([chain]) => isOwnChain(chain) && !now.has(chain));
  for (const [chain] of fresh) stages[comes].push(`:${chain} - [0:0]`);
  for (const [chain, rules] of fresh) stages[comes].push(...rules.map((rule) => `-A ${chain} ${rule}`));
  for (const [chain, rules] of now) {
    const wanted = goal.get(chain) ?? (isGone(chain) ? leaving.get(chain) : undefined);
    if (!isOwnChain(chain)) {
      if (isBuiltin(name, chain)) edit(chain, jumpPassages(rules, goal.get(chain) ?? [], comes));
    } else if (wanted !== undefined) {
      edit(
        chain,
        isRaw ? rawPassages(rules, wanted) : passagesOf(rules, wanted, isBaseChain(chain) ? 'clean' : 'open'),
      );
    } else if (isRaw) edit(chain, rawPassages(rules, []));
  }
  for (const [chain, rules] of goal) {
    if (!isOwnChain(chain) && !now.has(chain)) edit(chain, jumpPassages([], rules, comes));
  }
  for (const stage of STAGES) stages[stage].push(...edited[stage]);
  const needed = foreignJumps(name, now);
  const gone = [...now.keys()].filter(isGone);
  const removable = gone.filter((chain) => !needed.has(chain));
  stages.clean.push(...removable.map((chain) => `-F ${chain}`), ...removable.map((chain) => `-X ${chain}`));
  return { stages, kept: gone.filter((chain) => needed.has(chain)) };
}

function rawPassages(from: readonly string[], to: readonly string[]): Passage[] {
  return align(from, to).map(({ kind, text }) => ({
    text,
    comes: kind === 'add' ? 'open' : null,
    goes: kind === 'remove' ? 'close' : null,
  }));
}

/** A jump without any condition to a chain of the agent. */
function isOwnRule(rule: string): boolean {
  return /^-j \S+$/.test(rule) && ownJump(rule) !== null;
}

/** In a built-in chain only jumps are the agent's. New ones go before the rules of others, as Neutron puts them. */
function jumpPassages(from: readonly string[], to: readonly string[], comes: Stage): Passage[] {
  const edits = align(from.filter(isOwnRule), to);
  const passages: Passage[] = [];
  let at = 0;
  const takeAdded = (): void => {
    for (; edits[at]?.kind === 'add'; at++) passages.push({ text: edits[at]!.text, comes, goes: null });
  };
  takeAdded();
  for (const text of from) {
    if (!isOwnRule(text)) {
      passages.push({ text, comes: null, goes: null });
      continue;
    }
    passages.push({ text, comes: null, goes: edits[at++]!.kind === 'remove' ? 'clean' : null });
    takeAdded();
  }
  return passages;
}

/** Chains of the agent to which rules of others jump, and those to which these jump in turn. */
function foreignJumps(name: TableName, chains: Chains): Set<string> {
  const found = new Set<string>();
  for (const [chain, rules] of chains) {
    if (isOwnChain(chain)) continue;
    for (const rule of rules) {
      const target = ownJump(rule);
      if (target !== null && !(isBuiltin(name, chain) && isOwnRule(rule))) found.add(target);
    }
  }
  for (const chain of found) {
    for (const rule of chains.get(chain) ?? []) {
      const target = ownJump(rule);
      if (target !== null) found.add(target);
    }
  }
  return found;
}
