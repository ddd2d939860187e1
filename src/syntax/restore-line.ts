import { UsageError } from '../extensions/contract.ts';
import type { Counters } from '../ruleset/rule.ts';
import { scanDecimal } from './numbers.ts';
import { splitWords } from './words.ts';

/** A rule line of a restore input cut into counters and words. */
export interface RestoreLine {
  /** Texts of `[packets:bytes]`, or null. */
  counters: readonly [packets: string, bytes: string] | null;
  words: string[];
}

/** Takes the counters off a rule line (`tokenize_rule_counters`). Throws UsageError with the text of the real tool. */
export function splitCounters(line: string, number: number): { counters: RestoreLine['counters']; rest: string } {
  if (line.charCodeAt(0) !== 91) return { counters: null, rest: line };
  const close = line.indexOf(']');
  if (close < 0) throw new UsageError(`Bad line ${number}: need ]`);
  const [packets, after] = token(line.slice(1), ':');
  if (packets === null) throw new UsageError(`Bad line ${number}: need :`);
  const [bytes] = token(after, ']');
  if (bytes === null) throw new UsageError(`Bad line ${number}: need ]`);
  return { counters: [packets, bytes], rest: line.slice(close + 1) };
}

/** Counters and words of a rule line. `before` is how many words stand before those of the line. Throws UsageError. */
export function cutRestoreLine(line: string, number: number, before: number): RestoreLine {
  const { counters, rest } = splitCounters(line, number);
  return { counters, words: splitWords(rest, counters === null ? before : before + 3) };
}

/** The counters of a `:chain` line as `sscanf("[%llu:%llu]")` reads them: two numbers, or fewer where it stops before. */
export function scanCounters(text: string): bigint[] {
  const [, packets, bytes] = /^\[([+-]?\d+)(?::([+-]?\d+))?/.exec(text) ?? [];
  return [packets, bytes].flatMap((number) => (number === undefined ? [] : [scanDecimal(number) ?? 0n]));
}

/** Both counters of a `:chain` line, or null. */
export function readChainCounters(text: string): Counters | null {
  const [packets, bytes] = scanCounters(text);
  return packets === undefined || bytes === undefined ? null : { packets, bytes };
}

/** `strtok`: the text up to a separator, leading separators left out, and what follows. */
function token(text: string, separator: string): [string | null, string] {
  let start = 0;
  while (text[start] === separator) start++;
  if (start === text.length) return [null, ''];
  const end = text.indexOf(separator, start);
  return end < 0 ? [text.slice(start), ''] : [text.slice(start, end), text.slice(end + 1)];
}

/** The words of `*table` and `:chain policy counters` after their first character. */
export function lineFields(line: string): string[] {
  return line
    .slice(1)
    .split(/[ \t\n]+/)
    .filter((field) => field !== '');
}
