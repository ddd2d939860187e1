import { endsChain } from './reachability.ts';
import type { RuleSpec } from './rule.ts';
import { type Chain, chainTarget, copyTable, type StoredRule, sortChains, type Table } from './ruleset.ts';

/** A rule that a transaction adds and that the kernel will want to check. */
export interface AddedRule {
  chain: string;
  rule: StoredRule;
  spec: RuleSpec;
  /** Line of the restore input, 0 outside. */
  line: number;
  /** Name of the step in nft's messages. */
  step: string;
}

/**
 * A table while it is being edited. The original stays as it is; rules that are only renewed (other counters, another
 * chain name in their text) are remembered, so that state kept beside the rules can follow them.
 */
export class TableDraft {
  readonly before: Table;
  readonly table: Table;
  readonly renewed = new Map<StoredRule, StoredRule>();
  /** Chains whose policy counters were set, so that they stay when legacy commits. */
  readonly countersSet = new Set<string>();
  /** A rule is gone that every packet left the chain by: what stands behind it is reached again. */
  revived = false;
  private additions: AddedRule[] = [];
  private removed = false;
  private referenceCounts: Map<string, number> | null = null;

  constructor(before: Table) {
    this.before = before;
    this.table = copyTable(before);
  }

  chain(name: string): Chain | undefined {
    return this.table.chains.get(name);
  }

  /** Rules of the table that jump or go to a chain. */
  references(name: string): number {
    if (this.referenceCounts === null) {
      const counts = new Map<string, number>();
      for (const chain of this.table.chains.values()) {
        for (const rule of chain.rules) {
          const target = chainTarget(this.table, rule);
          if (target !== null) counts.set(target.chain, (counts.get(target.chain) ?? 0) + 1);
        }
      }
      this.referenceCounts = counts;
    }
    return this.referenceCounts.get(name) ?? 0;
  }

  /** Rules added and still there, among those that were handed in with their data. */
  added(): readonly AddedRule[] {
    if (this.removed) {
      const present = new Set<StoredRule>();
      for (const chain of this.table.chains.values()) for (const rule of chain.rules) present.add(rule);
      this.additions = this.additions.filter(({ rule }) => present.has(rule));
      this.removed = false;
    }
    return this.additions;
  }

  /** Puts a rule at an index (from 0). `spec` only where the kernel has something to check. */
  insert(chain: Chain, index: number, rule: StoredRule, spec: RuleSpec | null, line = 0, step = ''): void {
    if (index === chain.rules.length) chain.rules.push(rule);
    else chain.rules.splice(index, 0, rule);
    if (spec === null) return;
    this.additions.push({ chain: chain.name, rule, spec, line, step });
    if (spec.target.kind === 'jump' || spec.target.kind === 'goto') this.referenceCounts = null;
  }

  replace(chain: Chain, index: number, rule: StoredRule, spec: RuleSpec | null, line = 0, step = ''): void {
    this.noteEnd(chain, index);
    chain.rules[index] = rule;
    this.forget();
    if (spec !== null) this.additions.push({ chain: chain.name, rule, spec, line, step });
  }

  remove(chain: Chain, index: number): void {
    this.noteEnd(chain, index);
    chain.rules.splice(index, 1);
    this.forget();
  }

  flush(chain: Chain): void {
    if (chain.rules.length === 0) return;
    chain.rules = [];
    this.forget();
  }

  zeroRule(chain: Chain, index: number): void {
    const rule = chain.rules[index];
    if (rule === undefined || (rule.packets === 0n && rule.bytes === 0n)) return;
    this.renew(chain, index, { text: rule.text, packets: 0n, bytes: 0n });
  }

  zeroChain(chain: Chain): void {
    chain.packets = 0n;
    chain.bytes = 0n;
    for (let i = 0; i < chain.rules.length; i++) this.zeroRule(chain, i);
  }

  addChain(name: string): Chain {
    const chain: Chain = { name, policy: null, packets: 0n, bytes: 0n, rules: [] };
    this.table.chains.set(name, chain);
    return chain;
  }

  removeChain(name: string): void {
    this.table.chains.delete(name);
    this.forget();
  }

  /** Gives a chain another name, in the rules that jump to it too. */
  rename(chain: Chain, name: string): void {
    const old = chain.name;
    for (const other of this.table.chains.values()) {
      other.rules.forEach((rule, i) => {
        const target = chainTarget(this.table, rule);
        if (target?.chain !== old) return;
        const text = rule.text.slice(0, rule.text.length - old.length) + name;
        this.renew(other, i, { text, packets: rule.packets, bytes: rule.bytes });
      });
    }
    this.table.chains.delete(old);
    chain.name = name;
    this.table.chains.set(name, chain);
    this.referenceCounts = null;
  }

  /** The edited table, with its chains in order. */
  finished(): Table {
    sortChains(this.table);
    return this.table;
  }

  private renew(chain: Chain, index: number, rule: StoredRule): void {
    const old = chain.rules[index] as StoredRule;
    chain.rules[index] = rule;
    this.renewed.set(rule, this.renewed.get(old) ?? old);
    for (const addition of this.additions) if (addition.rule === old) addition.rule = rule;
  }

  private noteEnd(chain: Chain, index: number): void {
    if (index < chain.rules.length - 1 && endsChain(chain.rules[index] as StoredRule)) this.revived = true;
  }

  private forget(): void {
    this.removed = true;
    this.referenceCounts = null;
  }
}
