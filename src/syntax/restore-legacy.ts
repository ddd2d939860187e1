import { UsageError } from '../extensions/contract.ts';
import type { TableDraft } from '../ruleset/draft.ts';
import { MAX_CHAIN_NAME } from './chain-names.ts';
import { type CommandLineSettings, parseCommandLine } from './command-line.ts';
import { errnoText, legacyErrorText, StepError } from './errno.ts';
import { applyLegacy, commitLegacy, newChain, setPolicy } from './legacy-commands.ts';
import { cutRestoreLine, lineFields, readChainCounters } from './restore-line.ts';
import { forEachLine, RestoreFailure, type RestoreOptions } from './restore-options.ts';
import { openLegacyTable, type Session } from './session.ts';

/** iptables-legacy-restore: tables are committed one by one. Throws RestoreFailure. */
export function restoreLegacy(input: string, options: RestoreOptions, session: Session): void {
  const reader = new LegacyRestore(options, session);
  const lines = forEachLine(input, (line, number) => reader.take(line, number));
  reader.end(lines);
}

class LegacyRestore {
  private readonly options: RestoreOptions;
  private readonly session: Session;
  private readonly settings: CommandLineSettings;
  private readonly announced = new Set<string>();
  private draft: TableDraft | null = null;
  private currentTable = '';

  constructor(options: RestoreOptions, session: Session) {
    this.options = options;
    this.session = session;
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
    try {
      if (this.step(line, number)) return;
    } catch (error) {
      if (error instanceof UsageError) throw new RestoreFailure('', number, error);
      if (!(error instanceof StepError)) throw error;
    }
    if (this.options.table !== null && this.options.table !== this.currentTable) return;
    throw new RestoreFailure(`${this.session.program}: line ${number} failed\n`, number);
  }

  end(lines: number): void {
    if (this.draft === null) return;
    throw new RestoreFailure(`${this.session.program}: COMMIT expected at line ${lines + 1}\n`, lines);
  }

  /** One line; false where the real tool just says that it failed. */
  private step(line: string, number: number): boolean {
    const { draft, options, session } = this;
    if (draft === null) {
      if (!line.startsWith('*')) return false;
      this.table(line, number);
      return true;
    }
    if (line === 'COMMIT\n') {
      this.draft = null;
      if (!options.test) commitLegacy(draft, session);
    } else if (line.startsWith(':')) {
      this.chain(line, number, draft);
    } else {
      const { counters, words } = cutRestoreLine(line, number, 3 + options.verbose);
      const argv = [session.program, '-t', this.currentTable];
      if (!options.noflush) for (let i = 0; i < options.verbose; i++) argv.push('-v');
      if (options.counters && counters !== null) argv.push('--set-counters', ...counters);
      applyLegacy(parseCommandLine(argv.concat(words), this.currentTable, this.settings), draft, session);
    }
    return true;
  }

  private table(line: string, number: number): void {
    const { options, session } = this;
    const [name] = lineFields(line);
    if (name === undefined) throw new UsageError(`${session.program}: line ${number} table name invalid`);
    this.currentTable = name.slice(0, 32);
    if (options.table !== null && options.table !== name) return;
    const draft = openLegacyTable(session, name);
    if (draft === null) throw new UsageError(`${session.program}: unable to initialize table '${name}'`);
    this.draft = draft;
    if (options.noflush) return;
    for (const chain of [...draft.finished().chains.values()]) {
      if (options.verbose > 0) session.out(`Flushing chain \`${chain.name}'\n`);
      draft.flush(chain);
    }
    for (const chain of [...draft.table.chains.values()]) {
      if (chain.policy !== null) continue;
      if (options.verbose > 0) session.out(`Deleting chain \`${chain.name}'\n`);
      draft.removeChain(chain.name);
    }
  }

  private chain(line: string, number: number, draft: TableDraft): void {
    const { options, session } = this;
    const [name, policy, counters] = lineFields(line);
    if (name === undefined) throw new UsageError(`${session.program}: line ${number} chain name invalid`);
    if (name.length > MAX_CHAIN_NAME) {
      throw new UsageError(`Invalid chain name \`${name}' (${MAX_CHAIN_NAME} chars max)`);
    }
    const known = draft.chain(name);
    if (known === undefined || known.policy === null) {
      if (options.noflush && known !== undefined) draft.flush(known);
      else this.create(name, draft);
    }
    if (policy === undefined) throw new UsageError(`${session.program}: line ${number} policy invalid`);
    if (policy !== '-') {
      let read = { packets: 0n, bytes: 0n };
      if (options.counters) {
        const given = readChainCounters(counters ?? '');
        if (given === null) throw new UsageError(`invalid policy counters for chain '${name}'`);
        read = given;
      }
      try {
        setPolicy(draft, name, policy, read);
      } catch (error) {
        if (!(error instanceof StepError)) throw error;
        const reason = legacyErrorText(error.step, error.errno);
        throw new UsageError(`Can't set policy \`${policy}' on \`${name}' line ${number}: ${reason}`, { status: 1 });
      }
    }
    this.announced.add(name);
  }

  private create(name: string, draft: TableDraft): void {
    try {
      newChain(name, draft);
    } catch (error) {
      if (!(error instanceof StepError)) throw error;
      throw new UsageError(`error creating chain '${name}':${errnoText(error.errno)}`);
    }
  }
}
