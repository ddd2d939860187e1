import type { TableName } from '../../datapath/hooks.ts';
import { setReferences } from '../../ipset/index.ts';
import type { Family } from '../../packet/family.ts';
import type { HostRules } from '../compile.ts';
import { isOwnChain } from './own.ts';
import { type Permit, readPermit } from './permits.ts';
import { planSets } from './set-stages.ts';
import type { Stage } from './stages.ts';
import { type Chains, planTable, readCompiled, type Tables } from './tables.ts';

/** One call of a tool on a host. */
export type AgentCommand =
  /** `ipset restore` with these lines. */
  | { tool: 'ipset'; lines: readonly string[] }
  /** `iptables-restore --noflush` or `ip6tables-restore --noflush`: one table, whose lines hold at once. */
  | { tool: 'restore'; family: Family; table: TableName; lines: readonly string[] }
  /** `conntrack -D` for each known connection that no group allows any more. */
  | { tool: 'conntrack' };

/** What a host has. */
export interface HostState {
  tables4: Tables;
  tables6: Tables;
  /** `ipset save` text. */
  sets: string;
}

/** What one host has to do in each stage; nothing where there is nothing to do. */
export interface HostPlan {
  host: string;
  stages: Record<Stage, readonly AgentCommand[]>;
  /** Chains and sets of machines that are gone, which stay because rules of others use them. */
  kept: readonly string[];
}

/** Text of a restore command's input. */
export function restoreInput(command: Extract<AgentCommand, { tool: 'restore' }>): string {
  return `*${command.table}\n${command.lines.join('\n')}\nCOMMIT\n`;
}

/** A host without machines. */
export function emptyRules(host: string): HostRules {
  return { host, sets: '', rules4: '', rules6: '', frames: '' };
}

/**
 * The smallest change that brings a host to its goal, in stages. Throws ForeignSetError.
 *
 * @param goal what compileHost makes for the host's machines
 * @param leaving the same with machines that have left for other hosts, while their chains are still here: until these go, what the groups
 *   take away is taken away from them here too
 */
export function planHost(present: HostState, goal: HostRules, leaving: HostRules = goal): HostPlan {
  const families = ([4, 6] as const).map((family) => {
    const now = family === 4 ? present.tables4 : present.tables6;
    const [wanted, gone] = [goal, leaving].map((rules) => readCompiled(family === 4 ? rules.rules4 : rules.rules6));
    const names = new Set([...now.keys(), ...wanted!.keys()]);
    const tables = [...names].map((name): [TableName, ReturnType<typeof planTable>] => [
      name,
      planTable({
        name,
        present: now.get(name),
        goal: wanted!.get(name) ?? new Map(),
        leaving: gone!.get(name) ?? new Map(),
      }),
    ]);
    return { family, now, wanted: wanted!, gone: gone!, tables };
  });
  const chains = families.flatMap(({ now, wanted, gone }) => chainPairs(now, wanted, gone));
  const keptChains = families.flatMap(({ tables }) => tables.flatMap(([, { kept }]) => kept));
  const sets = planSets({
    present: present.sets,
    goal: goal.sets,
    leaving: leaving.sets,
    used: references(
      families.map(({ now }) => now),
      () => true,
    ),
    usedByOthers: references(
      families.map(({ now }) => now),
      (chain) => !isOwnChain(chain) || keptChains.includes(chain),
    ),
    oldChains: chains.map(([old]) => old),
    newChains: chains.map(([, next]) => next),
  });
  const restore = (stage: Stage, raw: boolean): AgentCommand[] =>
    families.flatMap(({ family, tables }) =>
      tables.flatMap(([table, { stages }]): AgentCommand[] =>
        (table === 'raw') === raw && stages[stage].length > 0
          ? [{ tool: 'restore', family, table, lines: stages[stage] }]
          : [],
      ),
    );
  const ipset = (stage: Stage): AgentCommand[] =>
    sets[stage].length === 0 ? [] : [{ tool: 'ipset', lines: sets[stage] }];
  return {
    host: goal.host,
    stages: {
      close: [...ipset('close'), ...restore('close', true), ...restore('close', false), { tool: 'conntrack' }],
      open: [...ipset('open'), ...restore('open', false), ...restore('open', true)],
      clean: [...restore('clean', false), ...restore('clean', true), ...ipset('clean')],
    },
    kept: [...new Set([...keptChains, ...sets.kept])],
  };
}

/** What each chain of machines lets through before and after. */
function chainPairs(now: Tables, wanted: Tables, gone: Tables): [Permit[], Permit[]][] {
  const pairs: [Permit[], Permit[]][] = [];
  const present: Chains = now.get('filter') ?? new Map();
  const next: Chains = new Map([...(gone.get('filter') ?? []), ...(wanted.get('filter') ?? [])]);
  for (const chain of new Set([...present.keys(), ...next.keys()])) {
    if (isOwnChain(chain)) pairs.push([permitsOf(present.get(chain)), permitsOf(next.get(chain))]);
  }
  return pairs;
}

function permitsOf(rules: readonly string[] = []): Permit[] {
  return rules.flatMap((rule) => readPermit(rule) ?? []);
}

/** Sets that rules of some chains name. */
function references(families: readonly Tables[], counts: (chain: string) => boolean): Set<string> {
  const found = new Map<string, number>();
  for (const tables of families) {
    for (const chains of tables.values()) {
      for (const [chain, rules] of chains)
        if (counts(chain)) for (const rule of rules) setReferences(` ${rule}`, found);
    }
  }
  return new Set(found.keys());
}
