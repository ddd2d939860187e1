import type { Variant } from '../extensions/contract.ts';

/** What a command may do to the world outside: all of its input and output, given to it by the entry. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** All of standard input, bytes decoded as latin1 so that none is lost (`Buffer.from(text, 'latin1')` gives them back). */
  readStdin(): string;
  /**
   * Called before a file that an argument names is opened, with nothing changed yet. A process that works for others and
   * does not see their files throws here, and its caller runs the command itself.
   */
  openingFile?(path: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  /** State directory; may not exist yet. */
  readonly directory: string;
  /** What `IPTSIM_VARIANT` says, else nft. A name with -legacy or -nft overrides it. */
  readonly variant: Variant;
  /** Whether hints may be printed to stderr (bare `iptsim -A`, a terminal, IPTSIM_HINTS). */
  readonly hints: boolean;
}

/** A command: the name it was called by, its arguments; returns the exit status. */
export type Command = (name: string, args: readonly string[], io: Io) => number | Promise<number>;
