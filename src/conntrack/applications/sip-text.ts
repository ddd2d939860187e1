import { parseAddress6 } from '../../packet/address-text.ts';
import type { Family } from '../../packet/family.ts';

/** A part of a message: where it begins and how long it is. */
export interface Span {
  at: number;
  length: number;
}

/** What a search found; `absent`: no such header; `bad`: one that cannot be read. */
export type Found<T extends Span = Span> = T | 'absent' | 'bad';

export function isFound<T extends Span>(found: Found<T>): found is T {
  return typeof found !== 'string';
}

/** An address (as words of a tuple) and a port, and where they stand. */
export interface Uri extends Span {
  address: readonly number[];
  port: number;
}

export const SIP_PORT = 5060;
const LEAST_PORT = 1024;
/** As many as a number of 32 bits has, and one. */
const MOST_DIGITS = 11;

/** Length of an address and its words; null if there is none (in4_pton, in6_pton with any delimiter). */
export function readAddress(
  text: string,
  at: number,
  family: Family,
): { words: readonly number[]; length: number } | null {
  if (family === 4) {
    const match = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?![0-9a-fA-F.])/.exec(text.slice(at, at + 44));
    if (match === null) return null;
    const bytes = match.slice(1).map(Number);
    if (bytes.some((byte) => byte > 255)) return null;
    const word = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
    return { words: [word, 0, 0, 0], length: match[0].length };
  }
  const written = /^[0-9a-fA-F:.]+/.exec(text.slice(at, at + 50))?.[0] ?? '';
  const words = parseAddress6(written);
  return words === null ? null : { words, length: written.length };
}

/** An address in a URI: IPv6 in brackets (sip_parse_addr). */
function readUriAddress(
  text: string,
  at: number,
  family: Family,
  bracketed = true,
): { words: readonly number[]; length: number } | null {
  if (family === 4) return readAddress(text, at, 4);
  const opened = text[at] === '[';
  if (!opened && bracketed) return null;
  const found = readAddress(text, opened ? at + 1 : at, 6);
  if (found === null) return null;
  let length = found.length + (opened ? 1 : 0);
  if (text[at + length] === ']') length++;
  else if (bracketed) return null;
  return { words: found.words, length };
}

type Measure = (text: string, at: number, family: Family) => { shift: number; length: number };

const digits: Measure = (text, at) => ({ shift: 0, length: digitsAt(text, at).length });

function digitsAt(text: string, at: number): string {
  return /^[0-9]*/.exec(text.slice(at, at + 32))![0];
}

/** An address with its port, if it has one (epaddr_len). */
const end: Measure = (text, at, family) => {
  const found = readUriAddress(text, at, family);
  if (found === null) return { shift: 0, length: 0 };
  const port = readPort(text, at + found.length);
  return { shift: 0, length: port === null ? 0 : found.length + port.length };
};

/** The port behind an address, as long as it is with its colon; null: one that cannot be read, or nothing follows it (sip_parse_port). */
function readPort(text: string, at: number): { port: number; length: number } | null {
  if (at >= text.length) return null;
  if (text[at] !== ':') return { port: SIP_PORT, length: 0 };
  const written = digitsAt(text, at + 1);
  const port = Number(written);
  const length = 1 + written.length;
  const isRight = written.length <= 5 && port >= LEAST_PORT && port <= 65535;
  return isRight && at + length < text.length ? { port, length } : null;
}

/** The same behind `user@`, which may be missing (skp_epaddr_len). */
const endOfUser: Measure = (text, at, family) => {
  const line = /^[^@\r\n]*@/.exec(text.slice(at));
  const shift = line === null ? 0 : line[0].length;
  return { shift, length: end(text, at + shift, family).length };
};

interface Header {
  name: string;
  short: string | null;
  search: string | null;
  measure: Measure;
}

/** Headers of a message (RFC 3261) with their compact forms, what to look for in them, and what is there. */
export const HEADERS = {
  cseq: { name: 'CSeq', short: null, search: null, measure: digits },
  from: { name: 'From', short: 'f', search: 'sip:', measure: endOfUser },
  to: { name: 'To', short: 't', search: 'sip:', measure: endOfUser },
  contact: { name: 'Contact', short: 'm', search: 'sip:', measure: endOfUser },
  viaUdp: { name: 'Via', short: 'v', search: 'UDP ', measure: end },
  viaTcp: { name: 'Via', short: 'v', search: 'TCP ', measure: end },
  expires: { name: 'Expires', short: null, search: null, measure: digits },
  contentLength: { name: 'Content-Length', short: 'l', search: null, measure: digits },
} satisfies Record<string, Header>;

export type HeaderName = keyof typeof HEADERS;

/** Where a header goes on behind the end of a line; -1 if the next line is another one's. */
function continued(text: string, at: number): number {
  let next = at + 1;
  if (next >= text.length) return -1;
  if (text[at] === '\r' && text[next] === '\n' && ++next >= text.length) return -1;
  if (text[next] !== ' ' && text[next] !== '\t') return -1;
  while (next < text.length && (text[next] === ' ' || text[next] === '\t')) next++;
  return next;
}

function skipBlanks(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === ' ' || text[at] === '\t') continue;
    return text[at] === '\r' || text[at] === '\n' ? continued(text, at) : at;
  }
  return text.length;
}

function startsWith(text: string, at: number, what: string): boolean {
  return text.slice(at, at + what.length).toLowerCase() === what.toLowerCase();
}

/** Finds something in the value of a header, over its continuation lines; -1 if it is not there before `limit`. */
function searchValue(text: string, from: number, what: string, limit = text.length): number {
  const last = limit - what.length;
  for (let at = from; at < last; at++) {
    if (text[at] === '\r' || text[at] === '\n') {
      at = continued(text.slice(0, Math.max(last, 0)), at);
      if (at < 0) return -1;
      continue;
    }
    if (startsWith(text, at, what)) return at;
  }
  return -1;
}

/** Offsets at which lines begin, from the first end of a line at or behind `from`. */
function* lines(text: string, from: number): Generator<number> {
  for (let at = from; at < text.length; at++) {
    if (text[at] !== '\r' && text[at] !== '\n') continue;
    at++;
    if (at < text.length && text[at - 1] === '\r' && text[at] === '\n') at++;
    if (at >= text.length) return;
    const resume = at;
    yield at;
    at = resume;
  }
}

interface At extends Span {
  /** Where a search has to go on if this could not be read. */
  resume: number;
}

/** The first header of the kind behind `from` (ct_sip_get_header). */
function headerFrom(text: string, family: Family, name: HeaderName, from: number): Found<At> | { bad: number } {
  const header: Header = HEADERS[name];
  for (const line of lines(text, from)) {
    if (text[line] === ' ' || text[line] === '\t') continue;
    let at = line;
    if (startsWith(text, at, header.name)) at += header.name.length;
    else if (header.short !== null && startsWith(text, at, header.short) && !/[a-z]/i.test(text[at + 1] ?? 'x'))
      at += header.short.length;
    else continue;
    at = skipBlanks(text, at);
    if (at < 0 || text[at] !== ':' || ++at >= text.length) return 'absent';
    at = skipBlanks(text, at);
    if (at < 0) return 'absent';
    const value = at;
    if (header.search !== null) {
      at = searchValue(text, at, header.search);
      if (at < 0) return { bad: value };
      at += header.search.length;
    }
    const { shift, length } = header.measure(text, at, family);
    if (length === 0) return { bad: value };
    return { at: at + shift, length, resume: value };
  }
  return 'absent';
}

/** The value of a header. */
export function getHeader(text: string, family: Family, name: HeaderName): Found {
  const found = headerFrom(text, family, name, 0);
  if (found === 'absent' || found === 'bad') return found;
  return 'bad' in found ? 'bad' : found;
}

/** The next value of a header with several (ct_sip_next_header). */
function nextValue(text: string, family: Family, name: HeaderName, from: number): Found | { bad: number } {
  const header: Header = HEADERS[name];
  let at = searchValue(text, from, ',');
  if (at < 0 || header.search === null) return 'absent';
  at = searchValue(text, at, header.search);
  if (at < 0) return 'absent';
  at += header.search.length;
  const { shift, length } = header.measure(text, at, family);
  return length === 0 ? { bad: at } : { at: at + shift, length };
}

/** Where a walk over all values of a header stands. */
export interface Walk {
  from: number;
  inHeader: boolean;
}

/** The next value that can be read; moves the walk behind it (ct_sip_parse_header_uri). */
export function nextUri(text: string, family: Family, name: HeaderName, walk: Walk): Found<Uri> {
  const found = walkHeaders(text, family, name, walk);
  if (found === null) return 'absent';
  const uri = readUri(text, family, found);
  if (isFound(uri)) walk.from = uri.at + uri.length;
  return uri;
}

/** The first value of a header that can be read as an address with a port. */
export function firstUri(text: string, family: Family, name: HeaderName): Found<Uri> {
  return nextUri(text, family, name, { from: 0, inHeader: false });
}

function walkHeaders(text: string, family: Family, name: HeaderName, walk: Walk): Span | null {
  let { from } = walk;
  while (walk.inHeader) {
    const found = nextValue(text, family, name, from);
    if (found === 'absent') walk.inHeader = false;
    else if (typeof found === 'object' && 'bad' in found) from = found.bad;
    else if (typeof found === 'object') return found;
  }
  for (;;) {
    const found = headerFrom(text, family, name, from);
    if (typeof found !== 'object') return null;
    if ('bad' in found) from = found.bad;
    else {
      walk.inHeader = true;
      return found;
    }
  }
}

function readUri(text: string, family: Family, { at }: Span): Found<Uri> {
  const found = readUriAddress(text, at, family);
  if (found === null) return 'bad';
  const port = readPort(text, at + found.length);
  if (port === null) return 'bad';
  return { at, length: found.length + port.length, address: found.words, port: port.port };
}

/** The address in the first line of a request (ct_sip_parse_request). */
export function requestUri(text: string, family: Family): Found<Uri> {
  const method = /^[a-z]+/i.exec(text)?.[0].length ?? 0;
  if (method === 0 || method + 1 >= text.length) return 'absent';
  const scheme = /^[^\r\n]*?sip:/i.exec(text.slice(method + 1));
  const line = /[\r\n]/.test(text.slice(method + 1, -4));
  if (scheme === null && line) return 'bad';
  const start = scheme === null ? Math.max(method + 1, text.length - 4) : method + 1 + scheme[0].length;
  const { shift, length } = endOfUser(text, start, family);
  return length === 0 ? 'absent' : readUri(text, family, { at: start + shift, length });
}

/** Where the values of a header that goes on at `from` end. */
function valueEnd(text: string, from: number): number {
  const comma = searchValue(text, from, ',');
  return comma < 0 ? text.length : comma;
}

/** A parameter of a header, as text; null if it is not there (ct_sip_parse_param). */
export function parameter(text: string, from: number, name: string): string | null {
  const limit = valueEnd(text, from);
  const at = searchValue(text, from, name, limit);
  if (at < 0) return null;
  const stop = searchValue(text, at + name.length, ';', limit);
  return text.slice(at + name.length, stop < 0 ? limit : stop);
}

/** A parameter that is a number (ct_sip_parse_numerical_param). */
export function numberParameter(text: string, from: number, name: string): Found<Span & { value: number }> {
  const at = searchValue(text, from, name, valueEnd(text, from));
  if (at < 0) return 'absent';
  const start = at + name.length;
  const value = numberAt(text, start);
  return value === null ? 'bad' : { at: start, length: digitsAt(text, start).length, value };
}

/** A parameter that is an address (ct_sip_parse_address_param). */
export function addressParameter(
  text: string,
  family: Family,
  from: number,
  name: string,
  bracketed: boolean,
): (Span & { address: readonly number[] }) | null {
  const at = searchValue(text, from, name, valueEnd(text, from));
  if (at < 0) return null;
  const found = readUriAddress(text, at + name.length, family, bracketed);
  return found === null ? null : { at: at + name.length, length: found.length, address: found.words };
}

/** A number at the beginning of a part of the text; null if there is none of 32 bits (sip_strtouint). */
export function numberAt(text: string, at: number): number | null {
  const written = digitsAt(text, at);
  const value = Number(written);
  return written === '' || written.length > MOST_DIGITS || value > 0xffffffff ? null : value;
}

/** Lines of a session description (RFC 4566): version, owner, connection, media. */
export type SessionLine = 'v' | 'o' | 'c' | 'm';

/** The first line of the kind behind `from`, before a line of kind `before` (ct_sip_get_sdp_header). */
export function sessionLine(
  text: string,
  family: Family,
  line: SessionLine,
  from: number,
  before: SessionLine | null = null,
): Found {
  for (const start of lines(text, from)) {
    if (before !== null && startsWith(text, start, `${before}=`)) return 'absent';
    if (!startsWith(text, start, `${line}=`)) continue;
    let at = start + 2;
    let length = 0;
    if (line === 'v') length = digitsAt(text, at).length;
    else if (line === 'm') length = /^[a-z]* [0-9]*/i.exec(text.slice(at))?.[0].length ?? 0;
    else {
      const kind = `IN IP${family} `;
      const stop = text.slice(at).search(/[\r\n]/);
      const found = text.slice(at, stop < 0 ? text.length - 1 : at + stop).indexOf(kind);
      if (found < 0) return 'bad';
      at += found + kind.length;
      length = readAddress(text, at, family)?.length ?? 0;
    }
    return length === 0 ? 'bad' : { at, length };
  }
  return 'absent';
}
