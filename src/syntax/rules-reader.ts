import { UsageError } from '../extensions/contract.ts';
import { ownText } from '../extensions/words.ts';
import { TableDraft } from '../ruleset/draft.ts';
import { emptyRuleset, isTableName, newTable, type Policy, type Ruleset, type StoredRule } from '../ruleset/ruleset.ts';
import { SpecPool } from '../ruleset/spec-pool.ts';
import { addedRule } from './added-rule.ts';
import { type CommandLineSettings, parseCommandLine } from './command-line.ts';
import { EarlyExit } from './early-exit.ts';
import { legacyErrorText, StepError } from './errno.ts';
import { checkTable } from './kernel-checks.ts';
import { applyLegacy } from './legacy-commands.ts';
import { assertNative, normalizeForNft } from './nft-rules.ts';
import { cutRestoreLine, lineFields } from './restore-line.ts';
import { type RuleTextSettings, storeRuleSpec } from './rule-text.ts';
import { RulesError, readCounters, ruleSpecOf } from './save-format.ts';
import { ReadRule, type Session } from './session.ts';

/**
 * Reads rules in the language of iptables-restore, counters included, into a new ruleset with all its rules in
 * canonical form. Tables keep the order of the text; an empty one exists. Throws RulesError with the line.
 *
 * @param keepsSpecs whether the rules keep their data, for who needs all of it at once
 */
export function readRules(text: string, settings: RuleTextSettings, keepsSpecs = false): Ruleset {
  return new RulesReader(text, settings, keepsSpecs, false).read();
}

/** As readRules; each rule notes the line that it comes from. */
export function readRulesWithLines(text: string, settings: RuleTextSettings): Ruleset {
  return new RulesReader(text, settings, false, true).read();
}

class RulesReader {
  private readonly text: string;
  private readonly ruleset: Ruleset;
  private readonly session: Session;
  private readonly settings: CommandLineSettings;
  private readonly announced = new Set<string>();
  private draft: TableDraft | null = null;
  private number = 0;
  private readonly notesLines: boolean;

  constructor(text: string, settings: RuleTextSettings, keepsSpecs: boolean, notesLines: boolean) {
    this.text = text;
    this.notesLines = notesLines;
    this.ruleset = emptyRuleset(settings.family);
    const { kernel: _kernel, ...rest } = settings;
    this.session = {
      ...rest,
      program: settings.family === 4 ? 'iptables' : 'ip6tables',
      version: '',
      ruleset: this.ruleset,
      changed: false,
      touched: false,
      renewed: new Map(),
      keepsSpecs,
      ...(keepsSpecs ? { specs: new SpecPool() } : {}),
      out: () => undefined,
      warn: () => undefined,
    };
    this.settings = {
      ...this.session,
      restore: true,
      announced: this.announced,
      setByName: settings.setByName ?? (() => undefined),
    };
  }

  read(): Ruleset {
    const { text } = this;
    for (let start = 0, end = 0; start < text.length; start = end + 1) {
      end = text.indexOf('\n', start);
      if (end < 0) end = text.length;
      const line = text.slice(start, end);
      this.number++;
      try {
        this.line(line);
      } catch (error) {
        const reason = reasonOf(error);
        throw new RulesError(reason, this.number, columnOf(reason, line));
      }
    }
    if (this.draft !== null) throw new RulesError(`COMMIT expected at line ${this.number + 1}`, this.number);
    return this.ruleset;
  }

  private line(line: string): void {
    const first = line.charAt(0);
    if (line === '' || line === '\r' || first === '#') return;
    if (this.draft === null) {
      const [name] = lineFields(line);
      if (first !== '*' || name === undefined) throw new UsageError('a table must begin with *NAME');
      if (!isTableName(name)) throw new UsageError(`table '${name}' does not exist`);
      this.draft = new TableDraft(this.ruleset.tables.get(name) ?? newTable(name));
      return;
    }
    const { draft } = this;
    if (line === 'COMMIT') {
      const error = checkTable(draft.table, draft.before, draft.added(), this.session);
      if (error !== null) throw new StepError('commit', error);
      const table = draft.finished();
      // A copy has no spare places, of which many chains would keep many.
      for (const chain of table.chains.values()) chain.rules = chain.rules.slice();
      this.ruleset.tables.set(table.name, this.session.variant === 'nft' ? this.normalized(table) : table);
      this.draft = null;
    } else if (first === ':') this.chain(line, draft);
    else this.rule(line, draft);
  }

  private chain(line: string, draft: TableDraft): void {
    const [name, policy, counters] = lineFields(line);
    if (name === undefined || policy === undefined)
      throw new UsageError('a chain line is `:NAME POLICY [packets:bytes]`');
    const chain = draft.chain(name) ?? draft.addChain(ownText(name));
    this.announced.add(chain.name);
    if (policy === '-' || chain.policy === null) return;
    if (policy !== 'ACCEPT' && policy !== 'DROP') throw new UsageError(`bad policy \`${policy}'`);
    chain.policy = policy as Policy;
    if (counters === undefined) return;
    const read = readCounters(counters);
    if (read === null) throw new UsageError(`invalid policy counters for chain '${name}'`);
    chain.packets = read.packets;
    chain.bytes = read.bytes;
  }

  private rule(line: string, draft: TableDraft): void {
    const { session } = this;
    const { counters, words } = cutRestoreLine(line, this.number, 3);
    const argv = [session.program, '-t', draft.table.name];
    if (counters !== null) argv.push('--set-counters', ...counters);
    const command = parseCommandLine(argv.concat(words), draft.table.name, this.settings);
    if (session.variant === 'nft') assertNative(command.rule);
    applyLegacy(command, draft, session);
    if (this.notesLines) noteLine(draft.chain(command.chain ?? '')?.rules ?? [], this.number);
  }

  /** The rules as iptables-nft would read them back. */
  private normalized(table: ReturnType<TableDraft['finished']>): typeof table {
    for (const chain of table.chains.values()) {
      chain.rules.forEach((rule, i) => {
        // Only ports and flags of tcp and udp are ever written differently.
        if (rule.spec === undefined && !/ -m (tcp|udp)\b| -[io] \+| --limit-burst 0/.test(rule.text)) return;
        const spec = rule.spec ?? ruleSpecOf(rule, table, this.session);
        const normal = addedRule(normalizeForNft(spec), 'nft');
        if (normal === spec) return;
        chain.rules[i] =
          rule.spec === undefined
            ? { ...rule, text: storeRuleSpec(normal, this.session) }
            : new ReadRule(normal, rule, this.session);
      });
    }
    return table;
  }
}

/** Notes the line at the rules that have come, which are usually the last ones. */
function noteLine(rules: readonly StoredRule[], line: number): void {
  for (let i = rules.length - 1; i >= 0 && rules[i]!.line === undefined; i--) rules[i]!.line = line;
  for (let i = 0; i < rules.length && rules[i]!.line === undefined; i++) rules[i]!.line = line;
}

/** Where in a line stands what a message quotes; otherwise where the line's text begins. */
function columnOf(message: string, line: string): number {
  for (const [, word] of message.matchAll(/[`'"]([^`'"]+)['"]/g)) {
    const index = line.indexOf(word!);
    if (index >= 0) return index + 1;
  }
  return Math.max(line.search(/\S/), 0) + 1;
}

function reasonOf(error: unknown): string {
  if (error instanceof UsageError) return error.message.trim();
  if (error instanceof StepError) return legacyErrorText(error.step, error.errno);
  if (error instanceof EarlyExit) return 'help and version are no rules';
  throw error;
}
