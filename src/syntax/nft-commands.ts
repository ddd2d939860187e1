import type { TableName } from '../datapath/hooks.ts';
import { UsageError } from '../extensions/contract.ts';
import type { RuleSpec } from '../ruleset/rule.ts';
import { type Chain, isTableName, type StoredRule } from '../ruleset/ruleset.ts';
import { addedRule } from './added-rule.ts';
import { assertWritable } from './chain-names.ts';
import type { CommandLine } from './command-line.ts';
import { Cmd, Opt } from './command-options.ts';
import { StepError } from './errno.ts';
import { needsCheck } from './kernel-checks.ts';
import { formatListLine } from './list-format.ts';
import { echoFormat, listFormat, listRules, listTable } from './listing.ts';
import { assertNative, nftRefusal, normalizeForNft } from './nft-rules.ts';
import type { NftTable, NftTransaction } from './nft-transaction.ts';
import { expandRules } from './rule-expansion.ts';
import { storeRuleSpec } from './rule-text.ts';
import { noSuchTable, type Session, storedRule } from './session.ts';

type Step = (transaction: NftTransaction, table: NftTable) => void;

/** Puts a command of iptables-nft into a batch. Throws UsageError for an unknown table. */
export function queueNft(line: CommandLine, transaction: NftTransaction, lineNumber: number): void {
  const { session } = transaction;
  const name = line.table;
  if (!isTableName(name)) throw noSuchTable(session, `table '${name}' does not exist`);
  const put = (step: Step): void => transaction.add(lineNumber, (running) => step(running, running.table(name)));
  const { command, chain } = line;
  const verbose = (line.options & Opt.verbose) !== 0;
  const onRule = Cmd.append | Cmd.delete | Cmd.check | Cmd.insert | Cmd.replace;
  if ((command & onRule) !== 0) {
    queueRules(line, name, lineNumber, transaction, put);
    return;
  }
  switch (command & ~(Cmd.zero | Cmd.zeroNumber)) {
    case Cmd.list:
    case Cmd.listRules:
      put((_, table) => list(line, table, session));
      break;
    case Cmd.deleteNumber:
      put((running, table) => {
        const found = mustFind(running, table, chain as string, 'delete-number');
        if (line.ruleNumber > found.rules.length) throw new StepError('delete-number', 'E2BIG');
        table.draft.remove(found, line.ruleNumber - 1);
      });
      break;
    case Cmd.flush:
      put((running, table) => flush(running, table, chain, verbose));
      break;
    case Cmd.newChain:
      put((_, table) => newChain(table, chain as string));
      break;
    case Cmd.deleteChain:
      put((running, table) => deleteChains(running, table, chain, verbose));
      break;
    case Cmd.renameChain:
      put((running, table) => rename(running, table, chain as string, line.newName as string));
      break;
    case Cmd.setPolicy:
      put((running, table) => setPolicy(running, table, chain as string, line.policy as string, null));
      break;
    default:
      break;
  }
  if ((command & Cmd.zero) !== 0) {
    put((running, table) => zero(running, table, chain, verbose));
  }
  if ((command & Cmd.zeroNumber) !== 0) {
    put((running, table) => {
      const found = mustFind(running, table, chain as string, 'delete');
      table.draft.zeroRule(found, line.ruleNumber - 1);
    });
  }
}

function mustFind(transaction: NftTransaction, table: NftTable, name: string, step: string): Chain {
  const chain = transaction.find(table, name);
  if (chain === undefined) throw new StepError(step, 'ENOENT');
  return chain;
}

function list(line: CommandLine, table: NftTable, session: Session): void {
  const { draft } = table;
  if (line.chain !== null && draft.chain(line.chain) === undefined) {
    throw new UsageError(`chain \`${line.chain}' in table \`${line.table}' is incompatible, use 'nft' tool.`, {
      status: 1,
    });
  }
  if ((line.command & Cmd.list) !== 0) {
    // The kernel counts references, so a chain of the same batch has none to tell.
    const referencesOf = (name: string): number | null =>
      !table.exists || draft.before.chains.has(name) ? draft.references(name) : null;
    listTable(draft, line, listFormat(line, session), session, referencesOf);
  } else listRules(draft, line, session);
  for (const { name, absent } of draft.table.chains.values()) {
    if (absent === true && (line.chain === null || line.chain === name)) table.listed.add(name);
  }
}

/** -Z, which knows only chains that are there; what a listing has shown is made by it, unless the table is missing too. */
function zero(transaction: NftTransaction, table: NftTable, name: string | null, verbose: boolean): void {
  const { draft } = table;
  const chains =
    name === null
      ? [...draft.finished().chains.values()].filter((chain) => transaction.find(table, chain.name) !== undefined)
      : [mustFind(transaction, table, name, 'zero')];
  for (const chain of chains) {
    if (verbose) transaction.session.out(`Zeroing chain \`${chain.name}'\n`);
    if (!table.exists) transaction.checkListed(table, 'CHAIN_ZERO', chain.name, `chain ${chain.name}`);
    else transaction.make(table, chain.name);
    draft.zeroChain(chain);
  }
}

/** -F. */
export function flush(transaction: NftTransaction, table: NftTable, name: string | null, verbose: boolean): void {
  if (name !== null || verbose) transaction.make(table, name);
  // All chains at once are only flushed in a table that was there before.
  else if (!table.existed) return;
  const { draft } = table;
  const chains = name === null ? [...draft.finished().chains.values()] : [mustFind(transaction, table, name, 'flush')];
  for (const chain of chains) {
    if (verbose) transaction.session.out(`Flushing chain \`${chain.name}'\n`);
    if (name !== null || verbose) {
      transaction.checkListed(table, 'RULE_FLUSH', chain.name, `rule in chain ${chain.name}`);
    }
    draft.flush(chain);
  }
}

function newChain(table: NftTable, name: string): void {
  table.exists = true;
  if (table.draft.chain(name) !== undefined) throw new StepError('create-chain', 'EEXIST');
  assertWritable(name);
  table.draft.addChain(name);
}

/** `:CHAIN -` of a restore: made, or emptied if it is there. */
export function restoreChain(table: NftTable, name: string): void {
  table.exists = true;
  const chain = table.draft.chain(name);
  if (chain === undefined) {
    assertWritable(name);
    table.draft.addChain(name);
  } else table.draft.flush(chain);
}

/** -P and `:CHAIN POLICY`; null counters keep those that are there. */
export function setPolicy(
  transaction: NftTransaction,
  table: NftTable,
  name: string,
  policy: string,
  counters: { packets: bigint; bytes: bigint } | null,
): void {
  if (policy !== 'ACCEPT' && policy !== 'DROP' && policy !== '-') throw new StepError('set-policy', 'EINVAL');
  const chain = table.draft.chain(name);
  if (chain === undefined || chain.policy === null) throw new StepError('set-policy', 'ENOENT');
  transaction.make(table, name);
  table.listed.delete(name);
  if (policy !== '-') chain.policy = policy;
  if (counters === null) return;
  chain.packets = counters.packets;
  chain.bytes = counters.bytes;
}

/** -X. */
export function deleteChains(
  transaction: NftTransaction,
  table: NftTable,
  name: string | null,
  verbose: boolean,
): void {
  const { draft } = table;
  const chains =
    name === null
      ? [...draft.finished().chains.values()].filter((chain) => transaction.find(table, chain.name) !== undefined)
      : [mustFind(transaction, table, name, 'delete-chain')];
  for (const chain of chains) {
    if (chain.policy !== null) {
      transaction.checkListed(table, 'CHAIN_DEL', chain.name, `chain ${chain.name}`);
      // A built-in chain goes too if nothing would be lost; with a name, rules are for the kernel to find.
      if (chain.policy === 'ACCEPT' && chain.rules.length === 0) chain.absent = true;
      else if (name !== null && chain.policy === 'ACCEPT') {
        transaction.refuse('CHAIN_DEL', 'EBUSY', `chain ${chain.name}`);
      } else if (name !== null) throw new StepError('delete-chain', 'EBUSY');
      continue;
    }
    if (verbose) transaction.session.out(`Deleting chain \`${chain.name}'\n`);
    if (chain.rules.length > 0 || draft.references(chain.name) > 0) {
      transaction.refuse('CHAIN_DEL', 'EBUSY', `chain ${chain.name}`);
    }
    draft.removeChain(chain.name);
  }
}

function rename(transaction: NftTransaction, table: NftTable, name: string, newName: string): void {
  const { draft } = table;
  if (draft.chain(newName) !== undefined) throw new StepError('rename', 'EEXIST');
  const chain = mustFind(transaction, table, name, 'rename');
  if (chain.policy !== null) {
    if (draft.before.chains.get(name)?.absent === true) {
      // Made in the same batch: the kernel does not know it yet by its old name.
      transaction.refuse('CHAIN_RENAME', 'ENOENT', `chain ${newName}`);
      return;
    }
    throw new UsageError('renaming a built-in chain, which nftables allows, is not simulated', { status: 1 });
  }
  assertWritable(newName);
  draft.rename(chain, newName);
}

/** -A, -I, -R, -D, -C: one step for each pair of addresses. */
function queueRules(
  line: CommandLine,
  tableName: TableName,
  lineNumber: number,
  transaction: NftTransaction,
  put: (step: Step) => void,
): void {
  const { rule } = line;
  const { session } = transaction;
  // Without an extension of that name it must be a chain, which is looked for when the step runs.
  const jumpTo = line.jumpTo !== '' && rule.target.kind === 'none' ? line.jumpTo : null;
  if (jumpTo !== null) rule.target = { kind: line.goto ? 'goto' : 'jump', chain: jumpTo };
  const chainName = line.chain as string;
  // ip6tables-nft 1.8.9 reads -c and forgets it.
  if (session.family === 6) line.counters = { packets: 0n, bytes: 0n };
  const verbose = (line.options & Opt.verbose) !== 0;
  for (const each of expandRules(line)) {
    assertNative(each);
    const spec = normalizeForNft(each);
    const kept = (line.command & (Cmd.check | Cmd.delete)) === 0 ? addedRule(spec, session.variant) : spec;
    const stored = storedRule(storeRuleSpec(kept, session), line);
    const echo = (): void => {
      if (verbose) session.out(formatListLine(spec, stored, 0, echoFormat(session)));
    };
    const checked = needsCheck(spec, chainName, tableName, session.variant);
    const refusal = nftRefusal(spec);
    if (line.command === Cmd.append && jumpTo === null && checked === null && refusal === null && !verbose) {
      transaction.append(lineNumber, tableName, chainName, stored);
      continue;
    }
    put((running, table) => {
      running.assertChain(table, jumpTo);
      ruleStep(running, table, { line, chainName, jumpTo, spec, stored, checked, refusal, echo });
    });
  }
}

interface RuleStep {
  line: CommandLine;
  chainName: string;
  jumpTo: string | null;
  spec: RuleSpec;
  stored: StoredRule;
  checked: RuleSpec | null;
  refusal: ReturnType<typeof nftRefusal>;
  echo: () => void;
}

function ruleStep(running: NftTransaction, table: NftTable, step: RuleStep): void {
  const { line, chainName, jumpTo, stored, refusal, echo } = step;
  const { draft } = table;
  // What the kernel refuses for a reason of its own is not checked once more.
  const checked = refusal !== null || (jumpTo !== null && draft.chain(jumpTo)?.policy !== null) ? null : step.checked;
  const ask = (name: string): void => {
    if (table.listed.has(chainName)) running.refuse(name, 'ENOENT', `rule in chain ${chainName}`);
    else if (refusal !== null) running.refuse(name, refusal, `rule in chain ${chainName}`);
    else running.checkJump(table, name, chainName, jumpTo);
  };
  switch (line.command) {
    case Cmd.append: {
      running.make(table, chainName);
      echo();
      const chain = mustFind(running, table, chainName, 'append');
      ask('RULE_APPEND');
      draft.insert(chain, chain.rules.length, stored, checked, running.line, 'RULE_APPEND');
      break;
    }
    case Cmd.insert: {
      running.make(table, chainName);
      const chain = mustFind(running, table, chainName, 'insert');
      const index = line.ruleNumber - 1;
      if (index > chain.rules.length) throw new StepError('insert', 'E2BIG');
      echo();
      const name = index > 0 && index === chain.rules.length ? 'RULE_APPEND' : 'RULE_INSERT';
      ask(name);
      draft.insert(chain, index, stored, checked, running.line, name);
      break;
    }
    case Cmd.replace: {
      const chain = mustFind(running, table, chainName, 'replace');
      if (line.ruleNumber > chain.rules.length) throw new StepError('replace', 'E2BIG');
      echo();
      ask('RULE_REPLACE');
      draft.replace(chain, line.ruleNumber - 1, stored, checked, running.line, 'RULE_REPLACE');
      break;
    }
    default: {
      const check = line.command === Cmd.check;
      const name = check ? 'check' : 'delete';
      const chain = mustFind(running, table, chainName, name);
      const index = chain.rules.findIndex((rule) => rule.text === stored.text);
      if (index < 0) throw new StepError(name, 'ENOENT');
      if (!check) draft.remove(chain, index);
      echo();
    }
  }
}
