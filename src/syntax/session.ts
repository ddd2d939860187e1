import { UsageError } from '../extensions/contract.ts';
import { TableDraft } from '../ruleset/draft.ts';
import type { Counters, RuleSpec } from '../ruleset/rule.ts';
import type { StoredRule } from '../ruleset/ruleset.ts';
import { addTable, isTableName, newTable, type Ruleset } from '../ruleset/ruleset.ts';
import type { SpecPool } from '../ruleset/spec-pool.ts';
import type { CommandLine } from './command-line.ts';
import { type RuleTextSettings, storeRuleSpec } from './rule-text.ts';

/** One run of a command of the iptables family: the ruleset, and where its output goes. */
export interface Session extends RuleTextSettings {
  /** `iptables`, `iptables-restore`: name in messages. */
  program: string;
  /** `1.8.9 (legacy)`. */
  version: string;
  ruleset: Ruleset;
  /** Set when the ruleset must be written back. */
  changed: boolean;
  /** Set when only a table came into being by looking at it (legacy); writing may fail. */
  touched: boolean;
  /** Rules that only got other counters or names: new object to the one it had when the session began. */
  renewed: Map<StoredRule, StoredRule>;
  /** Rules that are added keep their data (`ReadRule`). */
  keepsSpecs?: boolean;
  /** Where these find parts that they can share. */
  specs?: SpecPool;
  out(text: string): void;
  warn(text: string): void;
}

/** Rule counters as given with -c, for each rule of a line. */
export function storedRule(text: string, line: CommandLine): StoredRule {
  return { text, packets: line.counters.packets, bytes: line.counters.bytes };
}

/** A rule of which its reader needs the data; its text is made when somebody asks for it. */
export class ReadRule implements StoredRule {
  packets: bigint;
  bytes: bigint;
  readonly spec: RuleSpec;
  private readonly settings: RuleTextSettings;
  private made: string | null = null;

  constructor(spec: RuleSpec, counters: Counters, settings: RuleTextSettings & { specs?: SpecPool }) {
    this.spec = settings.specs?.share(spec) ?? spec;
    this.packets = counters.packets;
    this.bytes = counters.bytes;
    this.settings = settings;
  }

  get text(): string {
    this.made ??= storeRuleSpec(this.spec, this.settings);
    return this.made;
  }
}

/** The draft of a table that legacy's `iptc_init` would give: the table exists from then on. */
export function openLegacyTable(session: Session, name: string): TableDraft | null {
  if (!isTableName(name)) return null;
  let table = session.ruleset.tables.get(name);
  if (table === undefined) {
    table = newTable(name);
    addTable(session.ruleset, table, 'legacy');
    session.touched = true;
  }
  return new TableDraft(table);
}

/** Takes over an edited table. */
export function commitDraft(session: Session, draft: TableDraft): void {
  addTable(session.ruleset, draft.finished(), session.variant);
  for (const [rule, old] of draft.renewed) session.renewed.set(rule, session.renewed.get(old) ?? old);
  session.changed = true;
}

/** Refusal of a table that does not exist (status 3). */
export function noSuchTable(session: Session, message: string): UsageError {
  const perhaps = `\nPerhaps ${session.program} or your kernel needs to be upgraded.`;
  return new UsageError(message + perhaps, { status: 3 });
}
