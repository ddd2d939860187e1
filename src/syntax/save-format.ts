import type { Family } from '../packet/family.ts';
import type { Counters, RuleSpec } from '../ruleset/rule.ts';
import {
  type Chain,
  chainTarget,
  isTableName,
  newTable,
  type Ruleset,
  type StoredRule,
  type Table,
} from '../ruleset/ruleset.ts';
import { parseRuleSpec, type RuleTextSettings } from './rule-text.ts';

/** A rules file that cannot be read. `line` and `column` count from 1; the column is that of what the message speaks of. */
export class RulesError extends Error {
  readonly line: number;
  readonly column: number;
  constructor(message: string, line: number, column = 1) {
    super(message);
    this.line = line;
    this.column = column;
  }
}

/** `*table` to `COMMIT`, with counters at the rules if `counters`. */
export function formatTable(
  table: Table,
  counters: boolean,
  ruleText = (rule: StoredRule): string => rule.text,
): string {
  const parts: string[] = [`*${table.name}\n`];
  for (const chain of table.chains.values()) {
    parts.push(
      chain.policy === null
        ? `:${chain.name} - [0:0]\n`
        : `:${chain.name} ${chain.policy} [${chain.packets}:${chain.bytes}]\n`,
    );
  }
  for (const chain of table.chains.values()) {
    const head = `-A ${chain.name}`;
    if (!counters) for (const rule of chain.rules) parts.push(head, ruleText(rule), '\n');
    else for (const rule of chain.rules) parts.push(formatCounters(rule), head, ruleText(rule), '\n');
  }
  parts.push('COMMIT\n');
  return parts.join('');
}

function formatCounters(rule: StoredRule): string {
  return rule.packets === 0n && rule.bytes === 0n ? '[0:0] ' : `[${rule.packets}:${rule.bytes}] `;
}

/** A ruleset as `iptables-save -c` text without comments. */
export function formatRuleset(ruleset: Ruleset): string {
  let text = '';
  for (const table of ruleset.tables.values()) text += formatTable(table, true);
  return text;
}

/**
 * Reads text that formatRuleset wrote: canonical rules are taken over as they stand, none is parsed. Throws RulesError.
 * (Text by other hands goes through iptables-restore, see restore-text.ts.)
 */
export function parseCanonicalRuleset(text: string, family: Family): Ruleset {
  const tables: Ruleset['tables'] = new Map();
  let table: Table | null = null;
  let chain: Chain | undefined;
  let number = 0;
  for (let start = 0; start < text.length; ) {
    let end = text.indexOf('\n', start);
    if (end < 0) end = text.length;
    number++;
    const first = text.charCodeAt(start);
    // `[`: a rule with its counters, nearly every line.
    if (first === 91) {
      const close = text.indexOf('] -A ', start);
      const nameStart = close + 5;
      let nameEnd = text.indexOf(' ', nameStart);
      if (nameEnd < 0 || nameEnd > end) nameEnd = end;
      const length = nameEnd - nameStart;
      if (chain === undefined || chain.name.length !== length || !text.startsWith(chain.name, nameStart)) {
        chain = table?.chains.get(text.slice(nameStart, nameEnd));
      }
      if (close < 0 || chain === undefined) throw new RulesError('not a rule', number);
      // A newline inside of quotes belongs to the rule.
      while (end < text.length && opensQuote(text.slice(nameEnd, end))) {
        const next = text.indexOf('\n', end + 1);
        end = next < 0 ? text.length : next;
        number++;
      }
      const rule: StoredRule = { text: text.slice(nameEnd, end), packets: 0n, bytes: 0n };
      if (close - start !== 4 || !text.startsWith('[0:0', start)) {
        const counters = readCounters(text.slice(start, close + 1));
        if (counters === null) throw new RulesError('counters must be [packets:bytes]', number);
        rule.packets = counters.packets;
        rule.bytes = counters.bytes;
      }
      chain.rules.push(rule);
    } else if (first === 58) {
      if (table === null) throw new RulesError('a chain outside of a table', number);
      readChain(text.slice(start + 1, end), table, number);
      chain = undefined;
    } else if (first === 42) {
      const name = text.slice(start + 1, end);
      if (!isTableName(name)) throw new RulesError(`no table is called '${name}'`, number);
      table = newTable(name);
      tables.set(name, table);
      chain = undefined;
    } else if (first !== 35 && end > start && text.slice(start, end) !== 'COMMIT') {
      throw new RulesError('not a line of a rules file', number);
    }
    start = end + 1;
  }
  return { family, tables };
}

/** Whether a text ends inside of double quotes. */
function opensQuote(text: string): boolean {
  let open = false;
  for (let i = text.indexOf('"'); i >= 0 && i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 34) open = !open;
    else if (code === 92 && open) i++;
  }
  return open;
}

/** `[packets:bytes]`, or null. */
export function readCounters(text: string): Counters | null {
  const match = /^\[(\d+):(\d+)\]/.exec(text);
  if (match === null) return null;
  return { packets: BigInt(match[1] as string), bytes: BigInt(match[2] as string) };
}

function readChain(text: string, table: Table, number: number): void {
  const [name = '', policy = '', counters = ''] = text.split(' ');
  const read = readCounters(counters);
  if (read === null) throw new RulesError('a chain line is `:NAME POLICY [packets:bytes]`', number);
  const known = table.chains.get(name);
  if (known !== undefined && (policy === 'ACCEPT' || policy === 'DROP')) {
    known.policy = policy;
    known.packets = read.packets;
    known.bytes = read.bytes;
  } else {
    table.chains.set(name, { name, policy: null, packets: 0n, bytes: 0n, rules: [] });
  }
}

/** The data of a stored rule. Throws UsageError if its text is not canonical. */
export function ruleSpecOf(rule: StoredRule, table: Table, settings: RuleTextSettings): RuleSpec {
  const target = chainTarget(table, rule);
  if (target === null) return parseRuleSpec(rule.text, settings);
  // The chain's name is taken as it stands: it may hold anything but blanks.
  const spec = parseRuleSpec(rule.text.slice(0, -(target.chain.length + 4)), settings);
  spec.target = { kind: target.goto ? 'goto' : 'jump', chain: target.chain };
  return spec;
}
