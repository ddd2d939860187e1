import { UsageError } from '../extensions/contract.ts';
import type { TableDraft } from '../ruleset/draft.ts';
import type { RuleSpec } from '../ruleset/rule.ts';
import type { Chain, StoredRule } from '../ruleset/ruleset.ts';
import { addedRule } from './added-rule.ts';
import { assertWritable } from './chain-names.ts';
import type { CommandLine } from './command-line.ts';
import { Cmd, Opt } from './command-options.ts';
import { StepError } from './errno.ts';
import { checkTable, needsCheck } from './kernel-checks.ts';
import { dumpTable } from './legacy-dump.ts';
import { formatListLine } from './list-format.ts';
import { echoFormat, listFormat, listRules, listTable } from './listing.ts';
import { expandRules } from './rule-expansion.ts';
import { formatRuleSpec, isStandardExtension, storeRuleSpec } from './rule-text.ts';
import { ruleSpecOf } from './save-format.ts';
import { commitDraft, noSuchTable, openLegacyTable, ReadRule, type Session, storedRule } from './session.ts';

/** Runs one command of iptables-legacy or ip6tables-legacy and commits it. Throws UsageError and StepError. */
export function runLegacy(line: CommandLine, session: Session): void {
  const draft = openLegacyTable(session, line.table);
  if (draft === null) {
    throw noSuchTable(
      session,
      `can't initialize ${session.program} table \`${line.table}': Table does not exist (do you need to insmod?)`,
    );
  }
  if (applyLegacy(line, draft, session)) commitLegacy(draft, session);
}

/** What the kernel says to the table as a whole, then its new state. */
export function commitLegacy(draft: TableDraft, session: Session): void {
  const error = checkTable(draft.table, draft.before, draft.added(), session, draft.revived);
  if (error !== null) throw new StepError('commit', error);
  // libiptc carries the counters of rules over, those of policies only where they were set.
  for (const chain of draft.table.chains.values()) {
    if (chain.policy === null || draft.countersSet.has(chain.name)) continue;
    chain.packets = 0n;
    chain.bytes = 0n;
  }
  commitDraft(session, draft);
}

/** Applies a command to a table as libiptc does; true if the table may have changed. Throws UsageError and StepError. */
export function applyLegacy(line: CommandLine, draft: TableDraft, session: Session): boolean {
  const dump = (): void => {
    if (line.verbose > 1) session.out(dumpTable(draft.before, session.family, session));
  };
  try {
    const changed = apply(line, draft, session);
    dump();
    return changed;
  } catch (error) {
    if (error instanceof StepError) dump();
    throw error;
  }
}

function apply(line: CommandLine, draft: TableDraft, session: Session): boolean {
  const { command } = line;
  const onRule = Cmd.append | Cmd.delete | Cmd.check | Cmd.insert | Cmd.replace;
  if ((command & onRule) !== 0) return applyRule(line, draft, session);
  const verbose = (line.options & Opt.verbose) !== 0;
  const all = (): Chain[] => [...draft.finished().chains.values()];
  const selected = (step: string): Chain[] => (line.chain === null ? all() : [findChain(draft, line.chain, step)]);
  const announce = (what: string, chains: readonly Chain[]): void => {
    if (verbose) for (const chain of chains) session.out(`${what} chain \`${chain.name}'\n`);
  };
  const zero = (): void => {
    // The name is announced before it is looked up.
    if (verbose && line.chain !== null) session.out(`Zeroing chain \`${line.chain}'\n`);
    const chains = selected('zero');
    if (line.chain === null) announce('Zeroing', chains);
    for (const chain of chains) draft.zeroChain(chain);
  };
  const zeroNumber = (): void => {
    const chain = findChain(draft, line.chain as string, 'zero-counter');
    if (line.ruleNumber > chain.rules.length) throw new StepError('zero-counter', 'E2BIG');
    draft.zeroRule(chain, line.ruleNumber - 1);
  };
  switch (command & ~(Cmd.zero | Cmd.zeroNumber)) {
    case Cmd.list:
    case Cmd.listRules: {
      const found =
        (command & Cmd.list) !== 0
          ? listTable(draft, line, listFormat(line, session), session)
          : listRules(draft, line, session);
      if (!found) throw new StepError('list', 'ENOENT');
      if ((command & Cmd.zero) !== 0) zero();
      if ((command & Cmd.zeroNumber) !== 0) zeroNumber();
      return (command & (Cmd.zero | Cmd.zeroNumber)) !== 0;
    }
    case 0:
      if ((command & Cmd.zero) !== 0) zero();
      else if ((command & Cmd.zeroNumber) !== 0) zeroNumber();
      return command !== 0;
    case Cmd.deleteNumber: {
      const chain = findChain(draft, line.chain as string, 'delete-number');
      if (line.ruleNumber > chain.rules.length) throw new StepError('delete-number', 'E2BIG');
      draft.remove(chain, line.ruleNumber - 1);
      return true;
    }
    case Cmd.flush: {
      if (verbose && line.chain !== null) session.out(`Flushing chain \`${line.chain}'\n`);
      const chains = selected('flush');
      if (line.chain === null) announce('Flushing', chains);
      for (const chain of chains) draft.flush(chain);
      return true;
    }
    case Cmd.newChain:
      newChain(line.chain as string, draft);
      return true;
    case Cmd.deleteChain:
      deleteChains(line, draft, session, verbose);
      return true;
    case Cmd.renameChain: {
      const newName = line.newName as string;
      if (draft.chain(newName) !== undefined || isVerdict(newName)) throw new StepError('rename', 'EEXIST');
      const chain = draft.chain(line.chain as string);
      if (chain === undefined || chain.policy !== null) throw new StepError('rename', 'ENOENT');
      if (newName.length > 31) throw new StepError('rename', 'EINVAL');
      assertWritable(newName);
      draft.rename(chain, newName);
      return true;
    }
    case Cmd.setPolicy:
      setPolicy(draft, line.chain as string, line.policy as string, line.counters);
      return true;
    default:
      return false;
  }
}

const VERDICTS: ReadonlySet<string> = new Set(['ACCEPT', 'DROP', 'QUEUE', 'RETURN']);
const isVerdict = (name: string): boolean => VERDICTS.has(name);

function findChain(draft: TableDraft, name: string, step: string): Chain {
  const chain = draft.chain(name);
  if (chain === undefined) throw new StepError(step, 'ENOENT');
  return chain;
}

/** Makes a user-defined chain (`iptc_create_chain`). */
export function newChain(name: string, draft: TableDraft): void {
  if (draft.chain(name) !== undefined || isVerdict(name)) throw new StepError('create-chain', 'EEXIST');
  assertWritable(name);
  draft.addChain(name);
}

/** Sets the policy of a built-in chain with its counters (`iptc_set_policy`). */
export function setPolicy(
  draft: TableDraft,
  name: string,
  policy: string,
  counters: { packets: bigint; bytes: bigint },
): void {
  const chain = draft.chain(name);
  if (chain === undefined || chain.policy === null) throw new StepError('set-policy', 'ENOENT');
  if (policy !== 'ACCEPT' && policy !== 'DROP') throw new StepError('set-policy', 'EINVAL');
  chain.policy = policy;
  chain.packets = counters.packets;
  chain.bytes = counters.bytes;
  draft.countersSet.add(name);
}

/** Deletes one user-defined chain, or all of them; the last refusal counts. */
function deleteChains(line: CommandLine, draft: TableDraft, session: Session, verbose: boolean): void {
  const names =
    line.chain !== null
      ? [line.chain]
      : [...draft.finished().chains.values()].flatMap((chain) => (chain.policy === null ? [chain.name] : []));
  let refusal: StepError | null = null;
  for (const name of names) {
    if (verbose) session.out(`Deleting chain \`${name}'\n`);
    const chain = draft.chain(name);
    if (chain === undefined) refusal = new StepError('delete-chain', 'ENOENT');
    else if (chain.policy !== null) refusal = new StepError('delete-chain', 'EINVAL');
    else if (draft.references(name) > 0) refusal = new StepError('delete-chain', 'EMLINK');
    else if (chain.rules.length > 0) refusal = new StepError('delete-chain', 'ENOTEMPTY');
    else draft.removeChain(name);
  }
  if (refusal !== null) throw refusal;
}

/** Decides what `-j NAME` means in this table: a chain, or an extension. Throws UsageError. */
function resolveTarget(line: CommandLine, draft: TableDraft, session: Session): void {
  const { jumpTo, rule } = line;
  const chain = draft.chain(jumpTo);
  if (line.target !== null && chain !== undefined) {
    session.warn(`Warning: using chain ${jumpTo}, not extension\n`);
  }
  if (jumpTo === '') return;
  if (chain !== undefined) {
    rule.target = { kind: line.goto ? 'goto' : 'jump', chain: chain.name };
  } else if (line.goto) {
    throw new UsageError(`goto '${jumpTo}' is not a chain`);
  } else if (rule.target.kind === 'none') {
    throw new UsageError(`Couldn't load target \`${jumpTo}':No such file or directory\n`);
  }
}

function applyRule(line: CommandLine, draft: TableDraft, session: Session): boolean {
  resolveTarget(line, draft, session);
  const { command } = line;
  const rules = expandRules(line);
  let refusal: StepError | null = null;
  for (const spec of rules) {
    if ((line.options & Opt.verbose) !== 0) {
      session.out(formatListLine(spec, line.counters, 0, echoFormat(session)));
    }
    try {
      applyOne(spec, line, draft, session);
    } catch (error) {
      if (!(error instanceof StepError)) throw error;
      refusal = error;
    }
  }
  if (refusal !== null) throw refusal;
  return command !== Cmd.check;
}

function applyOne(spec: RuleSpec, line: CommandLine, draft: TableDraft, session: Session): void {
  const name = line.chain as string;
  const { target } = spec;
  const toBuiltin =
    target.kind === 'jump' || target.kind === 'goto' ? draft.chain(target.chain)?.policy !== null : false;
  const checkedSpec = (): RuleSpec | null => needsCheck(spec, name, draft.table.name, session.variant);
  const add = (chain: Chain, index: number): void => {
    if (toBuiltin) throw new StepError('map-target', 'EINVAL');
    if (isStandardExtension(spec)) throw new StepError('commit', 'ENOENT');
    const kept = addedRule(spec, session.variant);
    const rule = session.keepsSpecs
      ? new ReadRule(kept, line.counters, session)
      : storedRule(storeRuleSpec(kept, session), line);
    draft.insert(chain, index, rule, checkedSpec());
  };
  switch (line.command) {
    case Cmd.append: {
      const chain = findChain(draft, name, 'append');
      add(chain, chain.rules.length);
      return;
    }
    case Cmd.insert: {
      const chain = findChain(draft, name, 'insert');
      if (line.ruleNumber - 1 > chain.rules.length) throw new StepError('insert', 'E2BIG');
      add(chain, line.ruleNumber - 1);
      return;
    }
    case Cmd.replace: {
      const chain = findChain(draft, name, 'replace');
      if (line.ruleNumber > chain.rules.length) throw new StepError('replace', 'E2BIG');
      if (toBuiltin) throw new StepError('map-target', 'EINVAL');
      if (isStandardExtension(spec)) throw new StepError('commit', 'ENOENT');
      const rule = storedRule(storeRuleSpec(addedRule(spec, session.variant), session), line);
      draft.replace(chain, line.ruleNumber - 1, rule, checkedSpec());
      return;
    }
    default: {
      const chain = findChain(draft, name, 'delete');
      if (toBuiltin) throw new StepError('map-target', 'EINVAL');
      const index = findRule(chain, spec, line.command === Cmd.check, draft, session);
      if (index < 0) {
        // Looking whether the target is a chain is the last thing that libiptc did then.
        const plain = target.kind === 'none' || target.kind === 'verdict';
        throw new StepError(plain ? 'delete' : 'is-builtin', 'ENOENT');
      }
      if (line.command === Cmd.delete) draft.remove(chain, index);
    }
  }
}

/** Index of the first rule that is the same, or -1. */
function findRule(chain: Chain, spec: RuleSpec, check: boolean, draft: TableDraft, session: Session): number {
  // ip6tables-legacy -C gives the comparison a mask of the wrong size: data of matches and targets do not count.
  if (check && spec.family === 6) {
    const shape = shapeOf(spec, session);
    return chain.rules.findIndex(
      (rule: StoredRule) => shapeOf(ruleSpecOf(rule, draft.table, session), session) === shape,
    );
  }
  const text = storeRuleSpec(spec, session);
  return chain.rules.findIndex((rule: StoredRule) => rule.text === text);
}

function shapeOf(spec: RuleSpec, session: Session): string {
  const { target, matches } = spec;
  const head = formatRuleSpec({ ...spec, matches: [], target: { kind: 'none' } }, session);
  const goal = target.kind === 'extension' ? `extension ${target.name}` : JSON.stringify(target);
  return [head, ...matches.map(({ name }) => name), goal].join(' | ');
}
