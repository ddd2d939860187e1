import type { NameServices } from '../../extensions/contract.ts';
import type { Family } from '../../packet/family.ts';
import { emptyRuleset, type Ruleset } from '../../ruleset/ruleset.ts';
import { readStateFile, StateError } from '../../state/files.ts';
import { LockTimeout, lockDirectory } from '../../state/lock.ts';
import { systemNames } from '../../state/names.ts';
import { moveRuleState } from '../../state/rule-state.ts';
import { loadRules, rulesFileName, saveRules } from '../../state/rules-file.ts';
import { setHeaders } from '../../state/set-names.ts';
import { rateEstimatorsIn } from '../../syntax/kernel-checks.ts';
import type { Session } from '../../syntax/session.ts';
import type { Io } from '../io.ts';
import type { FamilyName } from './family-name.ts';

/** A session without any rules yet: enough to read a command line. */
export function newSession(name: FamilyName, program: string, io: Io): Session {
  const names: NameServices = systemNames();
  const session: Session = {
    family: name.family,
    variant: name.variant,
    program,
    version: name.version,
    names,
    setByName: setHeaders(io.directory),
    kernel: kernelKnowledge(name.family, names, () => session.ruleset, io),
    ruleset: emptyRuleset(name.family),
    changed: false,
    touched: false,
    renewed: new Map(),
    out: (text) => io.out(text),
    warn: (text) => io.err(text),
  };
  return session;
}

/** What the kernel would know from the rules of both families and from the machine. */
function kernelKnowledge(
  family: Family,
  names: NameServices,
  ruleset: () => Ruleset,
  io: Io,
): NonNullable<Session['kernel']> {
  return {
    names,
    rateEstimators() {
      const own = [...ruleset().tables.values()].flatMap((table) =>
        [...table.chains.values()].flatMap(({ rules }) => rules.flatMap(({ text }) => rateEstimatorsIn(text))),
      );
      const other = (readStateFile(io.directory, rulesFileName(family === 4 ? 6 : 4)) ?? '').split('\n');
      return new Set([...own, ...other.flatMap(rateEstimatorsIn)]);
    },
  };
}

/** How the rules are held while a command works on them. */
export interface Holding {
  /** Seconds to wait for the lock, -1 for ever. */
  wait: number;
  io: Io;
}

const LOCKED = 4;

/**
 * Locks the state directory, reads the rules into the session, lets `work` change them, and writes back what has
 * changed, even when `work` throws (tables that a restore has committed stay). Returns the status of `work`, or 4 if
 * the lock was not to be had.
 */
export function withRules(session: Session, { wait, io }: Holding, work: () => number): number {
  let unlock: (() => void) | null;
  try {
    unlock = lockDirectory(io.directory, wait);
  } catch (error) {
    if (!(error instanceof LockTimeout)) throw error;
    io.err(
      `Another app is currently holding the xtables lock. ${wait === 0 ? 'Perhaps you want to use the -w option?' : `Stopped waiting after ${wait}s.`}\n`,
    );
    return LOCKED;
  }
  try {
    session.ruleset = loadRules(io.directory, session);
    const before: Ruleset = { family: session.family, tables: new Map(session.ruleset.tables) };
    try {
      return work();
    } finally {
      store(session, before, io);
    }
  } finally {
    unlock?.();
  }
}

function store(session: Session, before: Ruleset, io: Io): void {
  if (session.changed) {
    saveRules(io.directory, session.ruleset, session);
    moveRuleState(io.directory, before, session.ruleset, session.renewed);
    return;
  }
  if (!session.touched) return;
  try {
    saveRules(io.directory, session.ruleset, session);
  } catch (error) {
    // A table that only came into being by being looked at is not worth an error where nothing can be written.
    if (!(error instanceof StateError)) throw error;
  }
}
