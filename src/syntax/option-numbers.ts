import { UsageError } from '../extensions/contract.ts';
import { parseUnsigned, scanDecimal } from './numbers.ts';

const INT_MAX = 0x7fffffff;

/** A rule number, from 1. Throws UsageError. */
export function parseRuleNumber(text: string): number {
  const number = parseUnsigned(text, 1, INT_MAX);
  if (number === null) throw new UsageError(`Invalid rule number \`${text}'`);
  return number;
}

/** `-w [seconds]`: -1 (wait for ever) without an argument. */
export function parseWait(text: string | null): number {
  if (text === null) return -1;
  const match = /^[\t-\r ]*([+-]?)(0[xX][0-9a-fA-F]+|\d+)/.exec(text);
  if (match === null) throw new UsageError('wait seconds not numeric');
  const digits = match[2] as string;
  const value = /^0[0-7]/.test(digits) ? Number.parseInt(/^0[0-7]*/.exec(digits)![0], 8) : Number(digits);
  return match[1] === '-' ? -value : value;
}

/** `-W`: checked, then ignored with a warning. */
export function parseWaitInterval(text: string | null, warn: (text: string) => void): void {
  if (text === null) throw new UsageError('wait interval value required');
  const value = scanDecimal(text);
  if (value === null) throw new UsageError('wait interval not numeric');
  const wrapped = BigInt.asUintN(32, value);
  if (wrapped > 999999n) throw new UsageError(`too long usec wait ${wrapped} > 999999 usec`);
  warn('Ignoring deprecated --wait-interval option.\n');
}
