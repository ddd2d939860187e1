import type { Values } from '../syntax/session.ts';

/**
 * Reads the commonest line of a restore, `add SET A.B.C.D[/N] [timeout N]`, between `from` and `to` of the text without
 * taking it apart into words. null: anything else, to be read the long way.
 */
export function fastAddLine(text: string, from: number, to: number, setName: string): Values | null {
  let i = from + 4 + setName.length;
  if (
    i + 8 > to ||
    text.charCodeAt(from) !== 97 ||
    text.charCodeAt(from + 3) !== 32 ||
    text.charCodeAt(i) !== 32 ||
    !text.startsWith('add ', from) ||
    !text.startsWith(setName, from + 4)
  ) {
    return null;
  }
  i++;
  let address = 0;
  for (let part = 0; part < 4; part++) {
    const start = i;
    let value = 0;
    let digit = text.charCodeAt(i) - 48;
    while (digit >= 0 && digit <= 9 && i < to) {
      value = value * 10 + digit;
      digit = text.charCodeAt(++i) - 48;
    }
    // Leading zeros mean octal, which is not for here.
    if (i === start || value > 255 || (i - start > 1 && text.charCodeAt(start) === 48)) return null;
    address = address * 256 + value;
    if (part < 3 && text.charCodeAt(i++) !== 46) return null;
  }
  const values: Values = { ip: [address] };
  if (i < to && text.charCodeAt(i) === 47) {
    const start = ++i;
    let prefix = 0;
    let digit = text.charCodeAt(i) - 48;
    while (digit >= 0 && digit <= 9 && i < to) {
      prefix = prefix * 10 + digit;
      digit = text.charCodeAt(++i) - 48;
    }
    if (i === start || prefix > 32 || (i - start > 1 && text.charCodeAt(start) === 48)) return null;
    values.cidr = prefix;
  }
  if (i === to) return values;
  if (!text.startsWith(' timeout ', i)) return null;
  const start = i + 9;
  let seconds = 0;
  for (i = start; i < to; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return null;
    seconds = seconds * 10 + digit;
  }
  if (i === start || i - start > 7 || (i - start > 1 && text.charCodeAt(start) === 48)) return null;
  if (seconds > 2147483) return null;
  values.timeout = seconds;
  return values;
}
