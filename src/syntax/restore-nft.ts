import type { TableName } from '../datapath/hooks.ts';
import { UsageError } from '../extensions/contract.ts';
import { isBuiltin, isTableName } from '../ruleset/ruleset.ts';
import { assertValidChainName } from './chain-names.ts';
import { type CommandLineSettings, parseCommandLine } from './command-line.ts';
import { nftErrorText, StepError } from './errno.ts';
import { deleteChains, flush, queueNft, restoreChain, setPolicy } from './nft-commands.ts';
import { BatchRefused, NftTransaction } from './nft-transaction.ts';
import { cutRestoreLine, lineFields, readChainCounters } from './restore-line.ts';
import { forEachLine, RestoreFailure, type RestoreOptions } from './restore-options.ts';
import type { Session } from './session.ts';

/** iptables-nft-restore: each table's commands are one batch, sent at its COMMIT. Throws RestoreFailure. */
export function restoreNft(input: string, options: RestoreOptions, session: Session): void {
  const reader = new NftRestore(options, session);
  const lines = forEachLine(input, (line, number) => reader.take(line, number));
  reader.end(lines);
}

class NftRestore {
  private readonly options: RestoreOptions;
  private readonly session: Session;
  private readonly settings: CommandLineSettings;
  private readonly announced = new Set<string>();
  private readonly transaction: NftTransaction;
  private table: TableName | null = null;
  private inTable = false;

  constructor(options: RestoreOptions, session: Session) {
    this.options = options;
    this.session = session;
    this.transaction = new NftTransaction(session);
    this.settings = {
      ...session,
      restore: true,
      announced: this.announced,
      setByName: session.setByName ?? (() => undefined),
    };
  }

  take(line: string, number: number): void {
    if (line === '\n') return;
    if (line.startsWith('#')) {
      if (this.options.verbose > 0) this.session.out(line);
      return;
    }
    const { program } = this.session;
    try {
      if (this.step(line, number)) return;
    } catch (error) {
      if (error instanceof UsageError || error instanceof BatchRefused) throw new RestoreFailure('', number, error);
      if (!(error instanceof StepError)) throw error;
      const reason = nftErrorText(error.step, error.errno);
      throw new RestoreFailure(`${program}: line ${this.transaction.line} failed: ${reason}.\n`, number);
    }
    if (this.options.table !== null && this.table !== null && this.options.table !== this.table) return;
    throw new RestoreFailure(`${program}: line ${number} failed\n`, number);
  }

  end(lines: number): void {
    if (!this.inTable) return;
    throw new RestoreFailure(`${this.session.program}: COMMIT expected at line ${lines + 1}\n`, lines);
  }

  /** One line; false where the real tool just says that it failed. */
  private step(line: string, number: number): boolean {
    const { options, session, transaction } = this;
    if (!this.inTable) {
      if (!line.startsWith('*')) return false;
      return this.begin(line, number);
    }
    const table = this.table as TableName;
    if (line === 'COMMIT\n' || line === 'COMMIT') {
      if (options.test) transaction.abort();
      else transaction.commit();
      this.inTable = false;
    } else if (line.startsWith(':')) {
      this.chain(line, number, table);
    } else {
      const { counters, words } = cutRestoreLine(line, number, 3 + options.verbose);
      const argv = [session.program, '-t', table];
      if (!options.noflush) for (let i = 0; i < options.verbose; i++) argv.push('-v');
      if (options.counters && counters !== null) argv.push('--set-counters', ...counters);
      queueNft(parseCommandLine(argv.concat(words), table, this.settings), transaction, number);
    }
    return true;
  }

  private begin(line: string, number: number): boolean {
    const { options, session, transaction } = this;
    const [name] = lineFields(line);
    if (name === undefined) throw new UsageError(`${session.program}: line ${number} table name invalid`);
    if (!isTableName(name)) {
      throw new UsageError(`${session.program}: line ${number} table name '${name}' invalid`);
    }
    this.table = name;
    if (options.table !== null && options.table !== name) return true;
    this.inTable = true;
    if (options.noflush) return true;
    if (options.verbose > 0) {
      transaction.add(number, (running) => {
        const table = running.table(name);
        flush(running, table, null, true);
        deleteChains(running, table, null, true);
      });
    } else {
      transaction.add(number, (running) => running.flushTable(name));
    }
    return true;
  }

  private chain(line: string, number: number, table: TableName): void {
    const { options, session, transaction } = this;
    const [name, policy, counters] = lineFields(line);
    if (name === undefined) throw new UsageError(`${session.program}: line ${number} chain name invalid`);
    this.announced.add(name);
    assertValidChainName(name, session.family, this.announced);
    if (policy === undefined) throw new UsageError(`${session.program}: line ${number} policy invalid`);
    if (!isBuiltin(table, name)) {
      transaction.add(number, (running) => restoreChain(running.table(table), name));
      return;
    }
    const read = options.counters ? readChainCounters(counters ?? '') : null;
    if (options.counters && read === null) throw new UsageError(`invalid policy counters for chain '${name}'`);
    transaction.add(number, (running) => setPolicy(running, running.table(table), name, policy, read));
  }
}
