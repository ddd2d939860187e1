import type { TableName } from '../datapath/hooks.ts';
import { UsageError } from '../extensions/contract.ts';
import type { AddedRule } from '../ruleset/draft.ts';
import { TableDraft } from '../ruleset/draft.ts';
import { hooksOf, JumpGraph } from '../ruleset/reachability.ts';
import { addTable, type Chain, isBuiltin, newTable, type StoredRule, type Table } from '../ruleset/ruleset.ts';
import { type Errno, errnoText, StepError } from './errno.ts';
import { checkRule, checkTable, isTooDeep, kernelView } from './kernel-checks.ts';
import { ruleSpecOf } from './save-format.ts';
import { commitDraft, type Session } from './session.ts';

/** What the kernel refused in a batch: `text` goes after the program's name and version. */
export class BatchRefused extends Error {
  constructor(text: string) {
    super(text);
  }
}

/** A table while a batch is prepared. */
export interface NftTable {
  draft: TableDraft;
  /** Whether the kernel has the table once the steps so far are done. */
  exists: boolean;
  /** Whether it had it before them. */
  readonly existed: boolean;
  /** Built-in chains that a listing has shown although nobody has made them: the steps after it take them for there. */
  readonly listed: Set<string>;
}

interface QueuedStep {
  line: number;
  run: (transaction: NftTransaction) => void;
}

interface QueuedAppend {
  line: number;
  table: TableName;
  chain: string;
  rule: StoredRule;
}

interface Refusal {
  line: number;
  step: string;
  errno: Errno;
  object: string;
}

/** iptables-nft works on a cache of the tables and sends everything as one batch, which the kernel takes or refuses. */
export class NftTransaction {
  readonly session: Session;
  private readonly tables = new Map<TableName, NftTable>();
  private readonly queue: (QueuedStep | QueuedAppend)[] = [];
  private readonly refusals: Refusal[] = [];
  /** Line of the command that is being prepared, 0 outside of restore. */
  line = 0;

  constructor(session: Session) {
    this.session = session;
  }

  /** Puts a step into the batch; it runs at commit. */
  add(line: number, run: (transaction: NftTransaction) => void): void {
    this.queue.push({ line, run });
  }

  /** Puts the usual step into the batch: a rule at the end of a chain, which needs no more than this. */
  append(line: number, table: TableName, chain: string, rule: StoredRule): void {
    this.queue.push({ line, table, chain, rule });
  }

  table(name: TableName): NftTable {
    const known = this.tables.get(name);
    if (known !== undefined) return known;
    const stored = this.session.ruleset.tables.get(name);
    const table: NftTable = {
      draft: new TableDraft(stored ?? absentTable(name)),
      exists: stored !== undefined,
      existed: stored !== undefined,
      listed: new Set(),
    };
    this.tables.set(name, table);
    return table;
  }

  /** Starts a table anew, as `*table` in a restore without -n does; without any further step it is gone afterwards. */
  flushTable(name: TableName): void {
    const stored = this.session.ruleset.tables.get(name);
    const draft = new TableDraft(stored ?? absentTable(name));
    draft.table.chains = absentTable(name).chains;
    this.tables.set(name, { draft, exists: false, existed: false, listed: new Set() });
  }

  /** A chain in the cache: user-defined, or built-in and made already. */
  find(table: NftTable, name: string): Chain | undefined {
    const chain = table.draft.chain(name);
    return chain?.absent === true && !table.listed.has(name) ? undefined : chain;
  }

  /** Makes the table, and the built-in chain of that name (all of them for null), before something goes into it. */
  make(table: NftTable, name: string | null): void {
    table.exists = true;
    if (name !== null && table.draft.chain(name)?.absent !== true) return;
    for (const chain of table.draft.table.chains.values()) {
      if (chain.absent === true && (name === null || chain.name === name)) delete chain.absent;
    }
  }

  /** A jump's destination must be there when the step is prepared. Throws UsageError. */
  assertChain(table: NftTable, name: string | null): void {
    if (name === null || table.draft.chain(name) !== undefined) return;
    throw new UsageError(`Chain '${name}' does not exist`);
  }

  refuse(step: string, errno: Errno, object: string): void {
    this.refusals.push({ line: this.line, step, errno, object });
  }

  /** What is to be done with a chain that is only taken for there is for the kernel to refuse. */
  checkListed(table: NftTable, step: string, chain: string, object: string): void {
    if (table.listed.has(chain)) this.refuse(step, 'ENOENT', object);
  }

  /** A jump to a built-in chain is for the kernel to refuse. */
  checkJump(table: NftTable, step: string, chain: string, jumpTo: string | null): void {
    if (jumpTo === null || !isBuiltin(table.draft.table.name, jumpTo)) return;
    const missing = table.listed.has(jumpTo) || this.find(table, jumpTo) === undefined;
    const errno = missing ? 'ENOENT' : 'EOPNOTSUPP';
    this.refuse(step, errno, `rule in chain ${chain}`);
  }

  /** Runs all steps and commits. Throws StepError (its line is in `line`), UsageError, BatchRefused; then nothing has changed. */
  commit(): void {
    this.prepare();
    for (const table of this.tables.values()) this.checkRules(table);
    if (this.refusals.length > 0) throw new BatchRefused(refusalText(this.refusals));
    for (const [name, { draft, exists }] of this.tables) {
      if (exists) {
        const { ruleset } = this.session;
        if (ruleset.tables.get(name) !== draft.before) addTable(ruleset, draft.before, 'nft');
        commitDraft(this.session, draft);
      } else if (this.session.ruleset.tables.delete(name)) {
        this.session.changed = true;
      }
    }
    this.tables.clear();
  }

  /** Runs all steps and forgets the result, as restore --test does. */
  abort(): void {
    this.queue.length = 0;
    this.tables.clear();
  }

  private prepare(): void {
    for (const step of this.queue.splice(0)) {
      this.line = step.line;
      if ('run' in step) {
        step.run(this);
        continue;
      }
      const table = this.table(step.table);
      this.make(table, step.chain);
      const chain = this.find(table, step.chain);
      if (chain === undefined) throw new StepError('append', 'ENOENT');
      this.checkListed(table, 'RULE_APPEND', step.chain, `rule in chain ${step.chain}`);
      table.draft.insert(chain, chain.rules.length, step.rule, null);
    }
  }

  private checkRules({ draft }: NftTable): void {
    const added = draft.added();
    if (added.length === 0) return;
    const error = checkTable(draft.table, draft.before, added, this.session);
    if (error === null) return;
    // Something is wrong: find out which steps the kernel takes, one after the other.
    const replay = new Replay(draft, this.session);
    for (const step of added) {
      const errno = replay.take(step);
      if (errno !== null) {
        this.refusals.push({ line: step.line, step: step.step, errno, object: `rule in chain ${step.chain}` });
      }
    }
    this.refusals.sort((a, b) => a.line - b.line);
  }
}

/** A table of which the kernel has nothing yet. */
function absentTable(name: TableName): Table {
  const table = newTable(name);
  for (const chain of table.chains.values()) chain.absent = true;
  return table;
}

/** Adds rules one by one to what was there, asking for each what the kernel would say. */
class Replay {
  private readonly draft: TableDraft;
  private readonly session: Session;
  private readonly edges: [string, string][] = [];
  private readonly pending: Set<StoredRule>;
  private readonly base: Table;

  constructor(draft: TableDraft, session: Session) {
    this.draft = draft;
    this.session = session;
    this.pending = new Set(draft.added().map(({ rule }) => rule));
    const chains = new Map<string, Chain>();
    for (const chain of draft.table.chains.values()) {
      chains.set(chain.name, { ...chain, rules: chain.rules.filter((rule) => !this.pending.has(rule)) });
    }
    this.base = { name: draft.table.name, chains };
  }

  take({ chain, rule, spec }: AddedRule): Errno | null {
    const { target } = spec;
    const jumpTo = target.kind === 'jump' || target.kind === 'goto' ? target.chain : null;
    const before = this.graph().hooks();
    const list = this.base.chains.get(chain)?.rules;
    if (jumpTo !== null) this.edges.push([chain, jumpTo]);
    const errno = this.verdict(chain, spec, jumpTo, before);
    if (errno === null) list?.push(rule);
    else if (jumpTo !== null) this.edges.pop();
    return errno;
  }

  private graph(): JumpGraph {
    const graph = new JumpGraph(this.base, false);
    for (const [from, to] of this.edges) graph.addEdge(from, to);
    return graph;
  }

  private verdict(
    chain: string,
    spec: AddedRule['spec'],
    jumpTo: string | null,
    before: ReturnType<JumpGraph['hooks']>,
  ): Errno | null {
    const { table } = this.draft;
    const graph = this.graph();
    if (jumpTo !== null && (graph.hasLoop() || isTooDeep(graph))) return 'EMLINK';
    const hooks = graph.hooks();
    const view = kernelView(this.base, this.session);
    const own = checkRule(spec, table.name, view, hooksOf(hooks, chain));
    if (own !== null || jumpTo === null) return own;
    for (const other of this.base.chains.values()) {
      const reached = hooksOf(hooks, other.name);
      if (reached.size === hooksOf(before, other.name).size) continue;
      for (const old of other.rules) {
        const error = checkRule(ruleSpecOf(old, table, this.session), table.name, view, reached);
        if (error !== null) return error;
      }
    }
    return null;
  }
}

/** All refusals of a restore; of a single command only the first one is told. */
function refusalText(refusals: readonly Refusal[]): string {
  let text = '';
  for (const { line, step, errno, object } of refusals) {
    text += `${line > 0 ? `\nline ${line}:` : ''} ${step} failed (${errnoText(errno)}): ${object}`;
    if (line === 0) break;
  }
  return text;
}
