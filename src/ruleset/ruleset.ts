import { BUILTIN_CHAINS, TABLE_NAMES, type TableName } from '../datapath/hooks.ts';
import type { Family } from '../packet/family.ts';
import type { RuleSpec } from './rule.ts';

export type Policy = 'ACCEPT' | 'DROP';

/**
 * A rule as it is kept: its specification as canonical `iptables-save` text, read only when somebody needs the data
 * (syntax/rule-text.ts), and its counters as unsigned 64-bit numbers.
 */
export interface StoredRule {
  /** What follows the chain's name, with a leading blank (` -p tcp -j ACCEPT`); '' for a rule that says nothing. */
  text: string;
  packets: bigint;
  bytes: bigint;
  /** Line of the text that it was read from, from 1, where its reader was asked to note that. */
  line?: number;
  /** The data of `text`, where its reader needed that. */
  spec?: RuleSpec;
}

export interface Chain {
  name: string;
  /** Null for a user-defined chain. */
  policy: Policy | null;
  /** Counters of the policy. */
  packets: bigint;
  bytes: bigint;
  rules: StoredRule[];
  /** A built-in chain that iptables-nft has not made yet: only visible in what some commands list (`-v -Z`). */
  absent?: boolean;
}

export interface Table {
  name: TableName;
  /** In the order in which they are printed: built-in chains first, then the others by byte order of their names. */
  chains: Map<string, Chain>;
}

/** All rules of one address family. */
export interface Ruleset {
  family: Family;
  /** Tables that exist, in the order in which -save prints them. */
  tables: Map<TableName, Table>;
}

export function isTableName(name: string): name is TableName {
  return (TABLE_NAMES as readonly string[]).includes(name);
}

export function emptyRuleset(family: Family): Ruleset {
  return { family, tables: new Map() };
}

/** A table with its built-in chains, all empty and accepting. */
export function newTable(name: TableName): Table {
  const chains = new Map<string, Chain>();
  for (const chain of BUILTIN_CHAINS[name]) {
    chains.set(chain, { name: chain, policy: 'ACCEPT', packets: 0n, bytes: 0n, rules: [] });
  }
  return { name, chains };
}

export function isBuiltin(table: TableName, chain: string): boolean {
  return (BUILTIN_CHAINS[table] as readonly string[]).includes(chain);
}

/** A copy that can be edited without touching the original: chains and lists are copied, rules are shared until replaced. */
export function copyTable(table: Table): Table {
  const chains = new Map<string, Chain>();
  for (const chain of table.chains.values()) chains.set(chain.name, { ...chain, rules: chain.rules.slice() });
  return { name: table.name, chains };
}

/** Puts user-defined chains into byte order (their names hold one byte in each character). */
export function sortChains(table: Table): void {
  const user = [...table.chains.values()].filter((chain) => chain.policy === null);
  let sorted = true;
  for (let i = 1; i < user.length; i++) {
    if ((user[i - 1] as Chain).name > (user[i] as Chain).name) {
      sorted = false;
      break;
    }
  }
  if (sorted) return;
  user.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const chain of user) {
    table.chains.delete(chain.name);
    table.chains.set(chain.name, chain);
  }
}

/** Order in which iptables-nft prints tables. */
export const NFT_TABLE_ORDER: readonly TableName[] = ['mangle', 'security', 'raw', 'filter', 'nat'];

/**
 * Makes a table exist. Legacy prints the table that came last first; iptables-nft has an order of its own.
 */
export function addTable(ruleset: Ruleset, table: Table, variant: 'legacy' | 'nft'): void {
  const { tables } = ruleset;
  if (tables.has(table.name)) {
    tables.set(table.name, table);
    return;
  }
  const all = variant === 'legacy' ? [table, ...tables.values()] : [...tables.values(), table];
  if (variant === 'nft') all.sort((a, b) => NFT_TABLE_ORDER.indexOf(a.name) - NFT_TABLE_ORDER.indexOf(b.name));
  tables.clear();
  for (const each of all) tables.set(each.name, each);
}

/** The chain that a rule jumps or goes to; null if it ends in something else. */
export function chainTarget(table: Table, rule: StoredRule): { chain: string; goto: boolean } | null {
  if (rule.spec !== undefined) {
    const { target } = rule.spec;
    return target.kind === 'jump' || target.kind === 'goto'
      ? { chain: target.chain, goto: target.kind === 'goto' }
      : null;
  }
  const { text } = rule;
  const blank = text.lastIndexOf(' ');
  const letter = text.charCodeAt(blank - 1);
  // `j` or `g`, with ` -` before it.
  if ((letter !== 106 && letter !== 103) || text.charCodeAt(blank - 2) !== 45 || text.charCodeAt(blank - 3) !== 32) {
    return null;
  }
  const chain = table.chains.get(text.slice(blank + 1));
  return chain === undefined || chain.policy !== null ? null : { chain: chain.name, goto: letter === 103 };
}
