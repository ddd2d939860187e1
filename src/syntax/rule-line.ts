/** A line of a rules file that is no rule to be appended, but tells nothing of the rules before it. */
const OTHER = /^(?:#|:|COMMIT|$)/;
const APPENDED = /^(?:\[\d+:\d+\] )?-A (\S+)/;

/**
 * The line, from 1, of the `rule`-th rule (from 1) of a chain in a rules file, without reading the rules. Null where rules are not only appended, one a line, so
 * that only reading all of them would tell.
 */
export function lineOfRule(text: string, table: string, chain: string, rule: number): number | null {
  let current = '';
  let count = 0;
  let number = 0;
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf('\n', start);
    const end = found < 0 ? text.length : found;
    const line = text.slice(start, end);
    start = end + 1;
    number++;
    if (line.startsWith('*')) current = line.slice(1).trimEnd();
    if (line.startsWith('*') || current !== table || OTHER.test(line)) continue;
    const appended = APPENDED.exec(line);
    if (appended === null) return null;
    if (appended[1] === chain && ++count === rule) return number;
  }
  return null;
}
