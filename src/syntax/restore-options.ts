import type { UsageError } from '../extensions/contract.ts';
import type { StepError } from './errno.ts';
import type { BatchRefused } from './nft-transaction.ts';

/** Options of iptables-restore. */
export interface RestoreOptions {
  /** -c. */
  counters: boolean;
  /** How often -v was given. */
  verbose: number;
  /** -t. */
  test: boolean;
  /** -n. */
  noflush: boolean;
  /** -T, null for all tables. */
  table: string | null;
}

/**
 * Why a restore ended. Without a `reason` the message is the whole text for stderr; with one, it is worded as for a
 * single command, `line` being what "Error occurred at line" names.
 */
export class RestoreFailure extends Error {
  readonly line: number;
  readonly reason: UsageError | StepError | BatchRefused | null;
  constructor(message: string, line: number, reason: UsageError | StepError | BatchRefused | null = null) {
    super(message);
    this.line = line;
    this.reason = reason;
  }
}

/** Longest piece that the real tools read at once (a buffer of 10,240 bytes with its final NUL). */
const PIECE = 10239;

/** Calls `take` with each line as `fgets` gives it, with its newline and its number from 1. */
export function forEachLine(input: string, take: (line: string, number: number) => void): number {
  let number = 0;
  for (let start = 0; start < input.length; ) {
    const newline = input.indexOf('\n', start);
    let end = newline < 0 ? input.length : newline + 1;
    if (end - start > PIECE) end = start + PIECE;
    take(input.slice(start, end), ++number);
    start = end;
  }
  return number;
}
