import { parseIpAddress, parseNetRange, parseNetwork, parseSingleIp, readPrefix } from './addresses.ts';
import { readNumber, readUint } from './numbers.ts';
import { parsePort, parseTcpUdpPort } from './ports.ts';
import type { Session, Values } from './session.ts';
import { ReportType } from './session.ts';
import type { Keyword } from './type-syntax.ts';

/** Sets are named with at most 31 characters, interfaces with 15, comments have 255. */
export const MAX_NAME = 31;
const MAX_IFACE = 15;
const MAX_COMMENT = 255;

/** How an option is written and read. */
export interface OptionSyntax {
  word: string;
  argument: boolean;
  /** Where the value is kept; options with one field exclude each other. */
  field: keyof Values | 'family' | 'probes' | 'resize' | 'gc' | 'flag';
  help: string;
  /** 0, or -1 after a report. */
  parse(session: Session, text: string): number;
}

function number32(field: 'hashsize' | 'maxelem' | 'markmask' | 'size' | 'initval', max = 0xffffffff) {
  return (session: Session, text: string): number => {
    const value = readUint(session, text, max);
    if (value === null) return -1;
    session.values[field] = value;
    return 0;
  };
}

function number64(field: 'packets' | 'bytes') {
  return (session: Session, text: string): number => {
    const value = readNumber(session, text, 0n, 2n ** 64n - 2n);
    if (value === null) return -1;
    session.values[field] = value;
    return 0;
  };
}

function flag(field: 'counters' | 'createComment' | 'skbinfo' | 'forceadd' | 'nomatch' | 'wildcard') {
  return (session: Session): number => {
    session.values[field] = true;
    return 0;
  };
}

function ignored(word: string) {
  return (session: Session, text: string): number => {
    if (!session.ignored.has(word)) {
      session.message(ReportType.warning, `Option '--${word} ${text}' is ignored. Please upgrade your syntax.`);
    }
    session.ignored.add(word);
    return 0;
  };
}

export function tooLongName(session: Session, name: string): boolean {
  if (name.length <= MAX_NAME) return false;
  session.syntaxError(`setname '${name}' is longer than ${MAX_NAME} characters`);
  return true;
}

function beside(before: boolean) {
  return (session: Session, text: string): number => {
    if (tooLongName(session, text)) return -1;
    if (before) session.values.before = true;
    session.values.nameref = text;
    return 0;
  };
}

function parseFamily(session: Session, text: string): number {
  if (text === 'inet' || text === 'ipv4' || text === '-4') session.family = 4;
  else if (text === 'inet6' || text === 'ipv6' || text === '-6') session.family = 6;
  else if (text === 'any' || text === 'unspec') session.family = 0;
  else return session.syntaxError(`unknown inet family ${text}`);
  session.familyIsDefault = false;
  return 0;
}

function parseTimeout(session: Session, text: string): number {
  const value = readUint(session, text, 2147483);
  if (value === null) return -1;
  session.values.timeout = value;
  return 0;
}

function parseNetmask(session: Session, text: string): number {
  if (session.values.bitmask !== undefined) {
    return session.syntaxError('bitmask and netmask are mutually exclusive, provide only one');
  }
  const host = session.addressFamily() === 4 ? 32 : 128;
  const prefix = readPrefix(session, text, 1, host);
  if (prefix === null) return session.syntaxError(`netmask is out of the inclusive range of 1-${host}`);
  session.values.netmask = prefix;
  return 0;
}

function parseBitmask(session: Session, text: string): number {
  if (session.values.netmask !== undefined) {
    return session.syntaxError('bitmask and netmask are mutually exclusive, provide only one');
  }
  const family = session.addressFamily();
  if (parseIpAddress(session, 'bitmask', text, family) !== 0) {
    return session.syntaxError(`bitmask is not valid for family = ${family === 4 ? 'inet' : 'inet6'}`);
  }
  return 0;
}

function parseComment(session: Session, text: string): number {
  if (text.includes('"')) return session.syntaxError('" character is not permitted in comments');
  if (text.length > MAX_COMMENT) {
    return session.syntaxError(`Comment is longer than the maximum allowed ${MAX_COMMENT} characters`);
  }
  session.values.comment = text;
  return 0;
}

/** A number as scanf's %x reads it, modulo 2^32. */
function scanned(text: string): number {
  const negative = text.startsWith('-');
  const value = BigInt(`0x${text.replace(/^[+-]/, '').replace(/^0[xX]/, '')}`);
  return Number(BigInt.asUintN(32, negative ? -value : value));
}

const HEX = String.raw`\s*([+-]?(?:0[xX])?[0-9a-fA-F]+)`;
const MARK_AND_MASK = new RegExp(`^0x${HEX}/0x${HEX}`);
const MARK = new RegExp(`^0x${HEX}`);
const PRIORITY = new RegExp(`^${HEX}:${HEX}`);

function parseSkbmark(session: Session, text: string): number {
  const both = MARK_AND_MASK.exec(text);
  if (both !== null) {
    session.values.skbmark = [scanned(both[1]!), scanned(both[2]!)];
    return 0;
  }
  const alone = MARK.exec(text);
  if (alone === null) {
    return session.syntaxError('Invalid skbmark format, it should be:  MARK/MASK or MARK (see manpage)');
  }
  session.values.skbmark = [scanned(alone[1]!), 0xffffffff];
  return 0;
}

function parseSkbprio(session: Session, text: string): number {
  const match = PRIORITY.exec(text);
  if (match === null) {
    return session.syntaxError('Invalid skbprio format, it should be:MAJOR:MINOR (see manpage)');
  }
  session.values.skbprio = ((scanned(match[1]!) << 16) | (scanned(match[2]!) & 0xffff)) >>> 0;
  return 0;
}

function small(field: 'bucketsize' | 'skbqueue', max: number) {
  return (session: Session, text: string): number => {
    const value = readUint(session, text, max);
    if (value === null) return -1;
    session.values[field] = value;
    return 0;
  };
}

/** Reads `[physdev:]IFACE`. */
export function parseIface(session: Session, text: string): number {
  let name = text;
  if (text.startsWith('physdev:')) {
    session.values.physdev = true;
    name = text.slice(8);
  }
  if (name.length > MAX_IFACE) {
    return session.syntaxError(`interface name '${name}' is longer than ${MAX_IFACE} characters`);
  }
  session.values.iface = name;
  return 0;
}

/** Reads six hexadecimal bytes. */
export function parseEther(session: Session, text: string): number {
  const parts = text.length > 17 ? [] : text.split(':');
  const bytes = parts.map((part) =>
    part === '' ? 0 : /^\s*\+?(0[xX])?[0-9a-fA-F]+$/.test(part) ? Number.parseInt(part, 16) : 256,
  );
  if (bytes.length !== 6 || bytes.some((byte) => byte > 255)) {
    return session.syntaxError(`cannot parse '${text}' as ethernet address`);
  }
  session.values.ether = bytes;
  return 0;
}

function option(
  word: string,
  field: OptionSyntax['field'],
  parse: OptionSyntax['parse'],
  help = '',
  argument = true,
): OptionSyntax {
  return { word, field, parse, help, argument };
}

/** All options of `create` and of elements. */
export const OPTIONS: Readonly<Record<Keyword, OptionSyntax>> = {
  family: option('family', 'family', parseFamily, '[family inet|inet6]|[-4|-6]'),
  inet: option('-4', 'family', parseFamily, '', false),
  inet6: option('-6', 'family', parseFamily, '', false),
  hashsize: option('hashsize', 'hashsize', number32('hashsize'), '[hashsize VALUE]'),
  maxelem: option('maxelem', 'maxelem', number32('maxelem'), '[maxelem VALUE]'),
  probes: option('probes', 'probes', ignored('probes')),
  resize: option('resize', 'resize', ignored('resize')),
  gc: option('gc', 'gc', ignored('gc')),
  ignoredFrom: option('from', 'ip', ignored('from')),
  ignoredTo: option('to', 'ipTo', ignored('to')),
  // The real tool names the first ignored option with the same field.
  ignoredNetwork: option('network', 'ip', ignored('from')),
  size: option('size', 'size', number32('size'), '[size VALUE]'),
  ipRange: option('range', 'ip', parseNetRange),
  netmask: option('netmask', 'netmask', parseNetmask, '[netmask CIDR]'),
  portRange: option('range', 'port', parseTcpUdpPort),
  before: option('before', 'nameref', beside(true), '[before|after NAME]'),
  after: option('after', 'nameref', beside(false)),
  fromIp: option('from', 'ip', (session, text) => parseSingleIp(session, 'ip', text)),
  toIp: option('to', 'ipTo', (session, text) => parseSingleIp(session, 'ipTo', text)),
  network: option('network', 'ip', parseNetwork),
  fromPort: option('from', 'port', (session, text) => parsePort(session, 'port', text, 'tcp')),
  toPort: option('to', 'portTo', (session, text) => parsePort(session, 'portTo', text, 'tcp')),
  forceadd: option('forceadd', 'flag', flag('forceadd'), '[forceadd]', false),
  markmask: option('markmask', 'markmask', number32('markmask'), 'markmask VALUE'),
  nomatch: option('nomatch', 'flag', flag('nomatch'), '[nomatch]', false),
  wildcard: option('wildcard', 'flag', flag('wildcard'), '[wildcard]', false),
  timeout: option('timeout', 'timeout', parseTimeout, '[timeout VALUE]'),
  counters: option('counters', 'flag', flag('counters'), '[counters]', false),
  packets: option('packets', 'packets', number64('packets'), '[packets VALUE]'),
  bytes: option('bytes', 'bytes', number64('bytes'), '[bytes VALUE]'),
  comment: option('comment', 'flag', flag('createComment'), '[comment]', false),
  elementComment: option('comment', 'comment', parseComment, '[comment "string"]'),
  skbinfo: option('skbinfo', 'flag', flag('skbinfo'), '[skbinfo]', false),
  skbmark: option('skbmark', 'skbmark', parseSkbmark, '[skbmark VALUE]'),
  skbprio: option('skbprio', 'skbprio', parseSkbprio, '[skbprio VALUE]'),
  skbqueue: option('skbqueue', 'skbqueue', small('skbqueue', 65535), '[skbqueue VALUE]'),
  bucketsize: option('bucketsize', 'bucketsize', small('bucketsize', 255), '[bucketsize VALUE]'),
  initval: option('initval', 'initval', number32('initval'), '[initval VALUE]'),
  bitmask: option('bitmask', 'bitmask', parseBitmask, '[bitmask bitmask]'),
};

/** Reads an option's argument unless its field has been given already. */
export function readOption(session: Session, syntax: OptionSyntax, text: string): number {
  const { field } = syntax;
  const given =
    field === 'family'
      ? session.family !== undefined && !session.familyIsDefault
      : field !== 'flag' && session.values[field as keyof Values] !== undefined;
  if (given) return session.syntaxError(`${syntax.word} already specified`);
  return syntax.parse(session, text);
}
