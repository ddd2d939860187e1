import { UsageError } from '../../extensions/contract.ts';
import { type Chain, isTableName } from '../../ruleset/ruleset.ts';
import { type CommandLine, parseCommandLine } from '../../syntax/command-line.ts';
import { Cmd } from '../../syntax/command-options.ts';
import { EarlyExit } from '../../syntax/early-exit.ts';
import { legacyErrorText, nftErrorText, StepError } from '../../syntax/errno.ts';
import { hintsFor } from '../../syntax/hints.ts';
import { runLegacy } from '../../syntax/legacy-commands.ts';
import { queueNft } from '../../syntax/nft-commands.ts';
import { BatchRefused, NftTransaction } from '../../syntax/nft-transaction.ts';
import type { Session } from '../../syntax/session.ts';
import type { Io } from '../io.ts';
import type { FamilyName } from './family-name.ts';
import { newSession, withRules } from './rules-session.ts';

/** iptables and ip6tables of both variants. */
export function iptables(name: FamilyName, args: readonly string[], io: Io): number {
  const session = newSession(name, name.base, io);
  try {
    const line = parseCommandLine([name.base, ...args], 'filter', {
      ...session,
      program: name.base,
      restore: false,
      announced: new Set(),
      setByName: session.setByName ?? (() => undefined),
    });
    // Legacy waits for ever without -w; nft knows no lock, here it waits its turn.
    const wait = name.variant === 'legacy' && line.wait !== null && line.wait >= 0 ? line.wait : -1;
    return withRules(session, { wait, io }, () => run(line, session));
  } catch (error) {
    const status = report(error, session, io, null);
    if (io.hints && status > 0) for (const hint of hintsFor(args, name.family)) io.err(`hint: ${hint}\n`);
    return status;
  }
}

function run(line: CommandLine, session: Session): number {
  if (session.variant === 'legacy') {
    runLegacy(line, session);
  } else {
    const transaction = new NftTransaction(session);
    queueNft(line, transaction, 0);
    transaction.commit();
    if (line.verbose > 1 && showsRules(line, session)) {
      session.warn('iptsim: the expressions of nftables that -vv prints are not simulated\n');
    }
  }
  return 0;
}

/** Whether the real tool has rules to print in another form: one that was added, or those of a listing. */
function showsRules({ command, table, chain }: CommandLine, { ruleset }: Session): boolean {
  if ((command & (Cmd.append | Cmd.insert | Cmd.replace)) !== 0) return true;
  if ((command & (Cmd.list | Cmd.listRules)) === 0 || !isTableName(table)) return false;
  const chains = ruleset.tables.get(table)?.chains ?? new Map<string, Chain>();
  return [...chains.values()].some(({ name, rules }) => rules.length > 0 && (chain === null || chain === name));
}

/** Prints why a command ended and returns its status. `line` is that of a restore input. Passes on what is no refusal. */
export function report(error: unknown, session: Session, io: Io, line: number | null): number {
  const { program, version } = session;
  if (error instanceof EarlyExit) {
    io.out(error.stdout);
    io.err(error.stderr);
    return error.status;
  }
  if (error instanceof UsageError) {
    let text = error.showProgram ? `${program} v${version}: ${error.message}\n` : '';
    if (!error.showProgram && error.message !== '') text = `${error.message}\n`;
    if (error.showTry) {
      if (line !== null) text += `Error occurred at line: ${line}\n`;
      text += `Try \`${program} -h' or '${program} --help' for more information.\n`;
    }
    io.err(text);
    return error.status;
  }
  if (error instanceof BatchRefused) {
    io.err(`${program} v${version}: ${error.message}\n`);
    return 4;
  }
  if (error instanceof StepError) {
    const word = session.variant === 'legacy' ? legacyErrorText : nftErrorText;
    const dmesg = error.errno === 'EINVAL' ? " Run `dmesg' for more information." : '';
    io.err(`${program}: ${word(error.step, error.errno)}.${dmesg}\n`);
    return 1;
  }
  throw error;
}
