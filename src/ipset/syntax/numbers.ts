import type { ReportType, Session } from './session.ts';
import { ReportType as Report } from './session.ts';

const ULLONG = 2n ** 64n;

/** strtoull() with base 0 over the whole text: the value, null for no number, undefined for one that is too great. */
export function parseUnsigned(text: string): bigint | null | undefined {
  const match = /^[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/.exec(text);
  if (match === null) return null;
  const digits = match[2]!;
  const value = BigInt(
    digits.length > 1 && digits[0] === '0' && !/[xX]/.test(digits) ? `0o${digits.slice(1)}` : digits,
  );
  if (value >= ULLONG) return undefined;
  return match[1] === '-' ? (ULLONG - value) % ULLONG : value;
}

/** Reads a number from `min` to `max`; null after a report. `max` 0: no upper limit but 64 bits. */
export function readNumber(
  session: Session,
  text: string,
  min: bigint,
  max: bigint,
  type: ReportType = Report.error,
): bigint | null {
  const number = parseUnsigned(text);
  if (number === null) {
    session.syntaxError(`'${text}' is invalid as number`, type);
    return null;
  }
  if (number === undefined || number < min || number > max) {
    session.syntaxError(`'${text}' is out of range ${min}-${max}`, type);
    return null;
  }
  return number;
}

export function readUint(session: Session, text: string, max: number, type: ReportType = Report.error): number | null {
  // The common case without big numbers.
  if (/^[1-9][0-9]{0,8}$/.test(text)) {
    const quick = Number(text);
    if (quick <= max) return quick;
  }
  const number = readNumber(session, text, 0n, BigInt(max), type);
  return number === null ? null : Number(number);
}
