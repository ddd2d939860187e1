import type { SetAddress } from '../entry.ts';
import { readUint } from './numbers.ts';
import type { Session } from './session.ts';
import { ReportType } from './session.ts';

/** Position of a separator that is neither the first nor the last character; -1 if there is none. */
export function separator(text: string, character: string): number {
  if (text.startsWith(character) || text.endsWith(character)) return -1;
  return text.indexOf(character);
}

/** Whether a range is meant: a `-` outside a bracketed host name. */
function hasRange(text: string): boolean {
  if (!text.startsWith('[')) return separator(text, '-') >= 0;
  const end = text.indexOf(']');
  return end >= 0 && separator(text.slice(end), '-') >= 0;
}

/** Position of the `-` of a range: -1 none, -2 after a report. */
export function rangeSeparator(session: Session, text: string): number {
  if (!text.startsWith('[')) return separator(text, '-');
  const end = text.indexOf(']');
  if (end < 0) {
    session.syntaxError(`cannot find closing escape character ']' in ${text}`);
    return -2;
  }
  if (end === text.length - 1) return -1;
  if (text[end + 1] !== '-') {
    session.syntaxError(`range separator expected after '${text.slice(0, end + 1)}'`);
    return -2;
  }
  return end + 1;
}

/** Takes the brackets off a name; null after a report. */
export function stripEscape(session: Session, text: string): string | null {
  if (!text.startsWith('[')) return text;
  if (!text.endsWith(']')) {
    session.syntaxError(`cannot find closing escape character ']' in ${text}`);
    return null;
  }
  return text.slice(1, -1);
}

/** A dotted number as inet_aton() reads it (parts may be octal, the last one may be long); null if it is none. */
export function parseIpv4(text: string): number | null {
  if (!/^[0-9.]+$/.test(text) || text.endsWith('.')) return null;
  const parts = text.split('.');
  if (parts.length > 4) return null;
  let value = 0;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (!/^(0[0-7]*|[1-9][0-9]*)$/.test(part)) return null;
    const number = part.length > 1 && part[0] === '0' ? Number.parseInt(part, 8) : Number(part);
    const last = i === parts.length - 1;
    const bits = last ? 8 * (4 - i) : 8;
    if (number >= 2 ** bits) return null;
    value = value * 2 ** bits + number;
  }
  return value;
}

/** An IPv6 address as inet_pton() reads it; null if it is none. */
export function parseIpv6(text: string): SetAddress | null {
  let source = text;
  const tail = /^(.*:)(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (tail !== null) {
    const bytes = tail.slice(2).map(Number);
    if (bytes.some((byte, i) => byte > 255 || (tail[i + 2]!.length > 1 && tail[i + 2]![0] === '0'))) return null;
    source = `${tail[1]}${((bytes[0]! << 8) | bytes[1]!).toString(16)}:${((bytes[2]! << 8) | bytes[3]!).toString(16)}`;
  }
  const halves = source.split('::');
  if (halves.length > 2) return null;
  const groupsOf = (half: string): string[] => (half === '' ? [] : half.split(':'));
  const head = groupsOf(halves[0]!);
  const rest = halves.length === 2 ? groupsOf(halves[1]!) : [];
  const missing = 8 - head.length - rest.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const groups = [...head, ...Array<string>(halves.length === 2 ? missing : 0).fill('0'), ...rest];
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return null;
  const n = groups.map((group) => Number.parseInt(group, 16));
  return [0, 2, 4, 6].map((i) => ((n[i]! << 16) | n[i + 1]!) >>> 0);
}

/** An address or host name; null after a report. */
function resolve(session: Session, text: string, family: 4 | 6): SetAddress | null {
  if (family === 4) {
    const number = parseIpv4(text);
    if (number !== null) return [number];
  } else {
    const words = parseIpv6(text);
    if (words !== null) return words;
  }
  const numeric = /^[0-9.]+$/.test(text) || text.includes(':');
  const found = numeric ? [] : session.names.hostByName(text, family);
  if (found.length === 0) {
    session.syntaxError(`cannot parse ${text}: resolving to IPv${family} address failed`);
    return null;
  }
  if (found.length > 1) {
    const note = `${text} resolves to multiple addresses: using only the first one returned by the resolver.`;
    session.message(ReportType.warning, note);
    if (!session.quiet) session.warnNow(`Warning: ${session.report}`);
    session.clearReport();
  }
  return found[0]!;
}

export type AddressField = 'ip' | 'ip2' | 'bitmask';

/** Reads ADDRESS, ADDRESS/PREFIX or ADDRESS-ADDRESS into the session. 0, or -1 after a report. */
export function parseIpAddress(session: Session, field: AddressField, text: string, family: 4 | 6): number {
  const values = session.values;
  let address = text;
  let to: string | null = null;
  const slash = separator(text, '/');
  if (slash >= 0) {
    address = text.slice(0, slash);
    const host = family === 4 ? 32 : 128;
    const prefix = readPrefix(session, text.slice(slash + 1), 0, host);
    if (prefix === null) return -1;
    if (field === 'ip') values.cidr = prefix;
    else values.cidr2 = prefix;
  } else {
    const dash = rangeSeparator(session, text);
    if (dash === -2) return -1;
    if (dash >= 0) {
      address = text.slice(0, dash);
      to = text.slice(dash + 1);
    }
  }
  const name = stripEscape(session, address);
  if (name === null) return -1;
  const found = resolve(session, name, family);
  if (found === null) return -1;
  values[field] = found;
  if (to === null) return 0;
  const toName = stripEscape(session, to);
  if (toName === null) return -1;
  const foundTo = resolve(session, toName, family);
  if (foundTo === null) return -1;
  if (field === 'ip') values.ipTo = foundTo;
  else values.ip2To = foundTo;
  return 0;
}

/** A prefix length; null after a report. */
export function readPrefix(session: Session, text: string, min: number, max: number): number | null {
  const number = readUint(session, text, 255);
  if (number === null) return null;
  if (number < min || number > max) {
    session.syntaxError(`'${text}' is out of range ${min}-${max}`);
    return null;
  }
  return number;
}

export function parseIp(session: Session, field: 'ip' | 'ip2', text: string): number {
  return parseIpAddress(session, field, text, session.addressFamily());
}

/** One address, possibly with the prefix of a host. */
export function parseSingleIp(session: Session, field: 'ip' | 'ipTo' | 'ip2', text: string): number {
  const family = session.addressFamily();
  const slash = separator(text, '/');
  if (hasRange(text) || (slash >= 0 && text.slice(slash) !== (family === 4 ? '/32' : '/128'))) {
    return session.syntaxError(`plain IP address must be supplied: ${text}`);
  }
  if (field !== 'ipTo') return parseIpAddress(session, field, text, family);
  // The prefix of an upper end is stored as that of the second address.
  const name = slash >= 0 ? text.slice(0, slash) : text;
  const found = resolve(session, stripEscape(session, name) ?? name, family);
  if (found === null) return -1;
  if (slash >= 0) session.values.cidr2 = family === 4 ? 32 : 128;
  session.values.ipTo = found;
  return 0;
}

export function parseNetwork(session: Session, text: string): number {
  const family = session.addressFamily();
  if (separator(text, '/') < 0 || hasRange(text)) return session.syntaxError(`IP/netblock must be supplied: ${text}`);
  return parseIpAddress(session, 'ip', text, family);
}

/** The range of a bitmap. */
export function parseNetRange(session: Session, text: string): number {
  if (!hasRange(text) && separator(text, '/') < 0) {
    return session.syntaxError(`IP/cidr or IP-IP range must be specified: ${text}`);
  }
  return parseIp(session, 'ip', text);
}

export function parseIp4Single6(session: Session, field: 'ip' | 'ip2', text: string): number {
  return session.addressFamily() === 4 ? parseIp(session, field, text) : parseSingleIp(session, field, text);
}

export function parseIp4Net6(session: Session, field: 'ip' | 'ip2', text: string): number {
  if (session.addressFamily() === 6 && hasRange(text)) {
    return session.syntaxError(`IP address or IP/cidr must be specified: ${text}`);
  }
  return parseIp(session, field, text);
}
