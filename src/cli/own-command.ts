import { type Command, CommanderError } from 'commander';
import type { Io } from './io.ts';

/** A kind of error that a user can mend: told in one line. `exitStatus` where it is not 2. */
type Expected = abstract new (...args: never[]) => Error & { readonly exitStatus?: number };

/** The exit status that an error of commander's stands for: 0 after --help, 2 for wrong usage; null for any other error. */
export function usageStatus(error: unknown): number | null {
  if (!(error instanceof CommanderError)) return null;
  return error.exitCode === 0 ? 0 : 2;
}

/** Lets what commander prints go through `io`, in sub-commands too. */
function speakThrough(program: Command, io: Io): void {
  for (const each of [program, ...program.commands]) {
    each.configureOutput({ writeOut: io.out, writeErr: io.err }).exitOverride();
  }
}

/** Reads the arguments of a command without actions. The exit status where the call ends with that (--help, wrong usage), else null. */
export function readArguments(command: Command, args: readonly string[], io: Io): number | null {
  speakThrough(command, io);
  try {
    command.parse(args as string[], { from: 'user' });
    return null;
  } catch (error) {
    const status = usageStatus(error);
    if (status === null) throw error;
    return status;
  }
}

/**
 * Runs the action that the arguments name. The exit status: what `status` says after it, 0 after --help, 2 for wrong usage and for
 * errors of the kinds in `expected` that do not have another `exitStatus`.
 */
export async function runAction(
  program: Command,
  args: readonly string[],
  io: Io,
  status: () => number,
  expected: readonly Expected[] = [],
): Promise<number> {
  speakThrough(program, io);
  try {
    await program.parseAsync(args as string[], { from: 'user' });
    return status();
  } catch (error) {
    const ended = usageStatus(error);
    if (ended !== null) return ended;
    for (const kind of expected) {
      if (!(error instanceof kind)) continue;
      io.err(`${program.name()}: ${error.message}\n`);
      return error.exitStatus ?? 2;
    }
    throw error;
  }
}
