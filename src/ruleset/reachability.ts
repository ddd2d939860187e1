import { HOOK_NAMES, type Hook, type HookName } from '../datapath/hooks.ts';
import { chainTarget, type StoredRule, type Table } from './ruleset.ts';

/** All sets of hooks, by the bits of their members: there are few, and chains by the ten thousand. */
const HOOK_SETS: readonly ReadonlySet<Hook>[] = Array.from(
  { length: 1 << HOOK_NAMES.length },
  (_, bits) => new Set(HOOK_NAMES.map((_, hook) => hook as Hook).filter((hook) => bits & (1 << hook))),
);
const ENDS: ReadonlySet<string> = new Set([' -j ACCEPT', ' -j DROP', ' -j RETURN', ' -j QUEUE']);

/** Whether every packet that meets the rule leaves the chain by a plain verdict. */
export function endsChain({ text }: StoredRule): boolean {
  return ENDS.has(text);
}

/**
 * Which chains jump where, and from which base chains each chain can be reached. With `stopsAtEnds`, legacy's way (`mark_source_chains`): nothing
 * behind a rule that every packet leaves the chain by is reached; nftables takes all rules of a chain for reached.
 */
export class JumpGraph {
  private readonly table: Table;
  /** Some stand there twice. */
  private readonly edges = new Map<string, string[]>();
  private readonly unreached = new Set<StoredRule>();

  constructor(table: Table, stopsAtEnds: boolean) {
    this.table = table;
    for (const chain of table.chains.values()) {
      let ended = false;
      for (const rule of chain.rules) {
        if (ended) {
          this.unreached.add(rule);
          continue;
        }
        const target = chainTarget(table, rule);
        if (target !== null) this.addEdge(chain.name, target.chain);
        else if (stopsAtEnds) ended = endsChain(rule);
      }
    }
  }

  /** Whether the rule stands behind one that ends its chain. */
  isBehindEnd(rule: StoredRule): boolean {
    return this.unreached.has(rule);
  }

  addEdge(from: string, to: string): void {
    const known = this.edges.get(from);
    if (known === undefined) this.edges.set(from, [to]);
    else if (known.at(-1) !== to) known.push(to);
  }

  /** Hooks of the base chains from which each reachable chain can be reached, as bits; base chains have their own. */
  hooks(): ReadonlyMap<string, number> {
    const reached = new Map<string, number>();
    for (const chain of this.table.chains.values()) {
      if (chain.policy === null) continue;
      const bit = 1 << HOOK_NAMES.indexOf(chain.name as HookName);
      const pending = [chain.name];
      for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
        const known = reached.get(name) ?? 0;
        if (known & bit) continue;
        reached.set(name, known | bit);
        for (const next of this.edges.get(name) ?? []) pending.push(next);
      }
    }
    return reached;
  }

  /** Chains on the longest way of jumps from a base chain, itself included. There must be no loop. */
  depth(): number {
    const depths = new Map<string, number>();
    const depthOf = (name: string): number => {
      let depth = depths.get(name);
      if (depth === undefined) {
        depth = 1;
        for (const next of this.edges.get(name) ?? []) depth = Math.max(depth, 1 + depthOf(next));
        depths.set(name, depth);
      }
      return depth;
    };
    let deepest = 0;
    for (const chain of this.table.chains.values()) {
      if (chain.policy !== null) deepest = Math.max(deepest, depthOf(chain.name));
    }
    return deepest;
  }

  /** Whether a packet could come back to a chain that it is in, starting from a base chain. */
  hasLoop(): boolean {
    const done = new Set<string>();
    const open = new Set<string>();
    const visit = (name: string): boolean => {
      if (done.has(name)) return false;
      if (open.has(name)) return true;
      open.add(name);
      for (const next of this.edges.get(name) ?? []) if (visit(next)) return true;
      open.delete(name);
      done.add(name);
      return false;
    };
    for (const chain of this.table.chains.values()) if (chain.policy !== null && visit(chain.name)) return true;
    return false;
  }
}

/** Those of one chain; none if it cannot be reached. */
export function hooksOf(hooks: ReadonlyMap<string, number>, chain: string): ReadonlySet<Hook> {
  return HOOK_SETS[hooks.get(chain) ?? 0]!;
}
