import { parseMac } from '../packet/address-text.ts';
import { fromHex } from '../packet/bytes.ts';
import type { ExtensionHeader } from '../packet/notation/description.ts';
import { Protocol } from '../packet/protocol.ts';

export type PrintedTime =
  /** Since the epoch (`-tt`, `-tttt`). */
  | { kind: 'absolute'; micros: number }
  /** Since midnight (the default). */
  | { kind: 'daytime'; micros: number }
  /** Since the packet before (`-ttt`) or the first one (`-ttttt`). */
  | { kind: 'elapsed'; micros: number };

/** What stands before a packet's addresses. */
export interface Heading {
  time: PrintedTime | null;
  interface: string | null;
  direction: 'In' | 'Out' | 'B' | 'M' | 'P' | null;
  sourceMac: Uint8Array | null;
  destinationMac: Uint8Array | null;
  family: 4 | 6;
  tos?: number;
  ttl?: number;
  ipId?: number;
  fragmentOffset?: number;
  moreFragments?: boolean;
  dontFragment?: boolean;
  flowLabel?: number;
  ipOptions?: Uint8Array;
  extensions?: ExtensionHeader[];
  protocol: number | null;
  /** IP total length. */
  totalLength: number | null;
  badHeaderChecksum: boolean;
  /** The text behind; empty where -v goes on in the next line. */
  rest: string;
  /** Why such a packet cannot be taken (ARP, ...); null if it can. */
  refused: string | null;
}

const TIME =
  '(?:(?<date>\\d{4}-\\d\\d-\\d\\d) )?(?<clock>\\d\\d:\\d\\d:\\d\\d(?:\\.\\d{1,9})?) |(?<epoch>\\d{9,11}\\.\\d{1,9}) ';
const ANY = '(?:(?<interface>\\S+)\\s+(?<direction>In|Out|B|M|P)\\s+)?';
const LINK =
  '(?:(?<from>[0-9a-f:]{17}) > (?<to>[0-9a-f:]{17}), (?:ethertype )?(?<type>\\S+)(?: \\(0x[0-9a-f]+\\))?, length \\d+: )?';
const HEAD = new RegExp(`^(?<blank> ?)(?:${TIME})?${ANY}${LINK}(?<body>.*)$`);

/** Reads the beginning of a line; null if no packet begins there. */
export function readHeading(line: string): Heading | null {
  const match = HEAD.exec(line);
  if (match === null) return null;
  const groups = match.groups as Record<string, string | undefined>;
  let body = groups.body!;
  const protocolWord = /^(IP6|IP|ARP,|Loopback,|LLDP,|STP |802\.1Q|[A-Z][\w.-]*,? )/.exec(body);
  const type = groups.type;
  let family: 4 | 6;
  let refused: string | null = null;
  if (type !== undefined) {
    family = type === 'IPv6' ? 6 : 4;
    if (type !== 'IPv4' && type !== 'IPv6') refused = `${type.replace(/,$/, '')}, not IP`;
  } else if (/^IP6[ :]/.test(body)) family = 6;
  else if (/^IP[ :]/.test(body)) family = 4;
  else {
    // Other protocols are packets only where a time stands before them.
    if (groups.clock === undefined && groups.epoch === undefined) return null;
    if (protocolWord === null) return null;
    refused = `${protocolWord[1]!.replace(/[, ]+$/, '')}, not IP`;
    family = 4;
  }
  const isElapsed = groups.blank === ' ' && groups.date === undefined;
  const heading: Heading = {
    time: printedTime(groups, isElapsed),
    interface: groups.interface ?? null,
    direction: (groups.direction as Heading['direction']) ?? null,
    sourceMac: groups.from === undefined ? null : parseMac(groups.from),
    destinationMac: groups.to === undefined ? null : parseMac(groups.to),
    family,
    protocol: null,
    totalLength: null,
    badHeaderChecksum: false,
    rest: '',
    refused,
  };
  if (refused !== null) return heading;
  body = body.replace(/^IP6? ?/, '');
  if (body.startsWith('(')) {
    const end = closing(body);
    readDetails(body.slice(1, end), heading);
    body = body.slice(end + 1).trimStart();
  }
  heading.rest = body.replace(/^truncated-ip6? - \d+ bytes missing! ?/, '');
  return heading;
}

function printedTime(groups: Record<string, string | undefined>, isElapsed: boolean): PrintedTime | null {
  if (groups.epoch !== undefined) {
    const [seconds, fraction = ''] = groups.epoch.split('.');
    return { kind: 'absolute', micros: Number(seconds) * 1e6 + Number(fraction.padEnd(6, '0').slice(0, 6)) };
  }
  if (groups.clock === undefined) return null;
  const [whole = '', fraction = ''] = groups.clock.split('.');
  const [hours, minutes, seconds] = whole.split(':').map(Number);
  const micros = (hours! * 3600 + minutes! * 60 + seconds!) * 1e6 + Number(fraction.padEnd(6, '0').slice(0, 6));
  // Dates are taken as UTC: the text does not say whose time it is.
  if (groups.date !== undefined)
    return { kind: 'absolute', micros: Date.parse(`${groups.date}T00:00:00Z`) * 1000 + micros };
  return { kind: isElapsed ? 'elapsed' : 'daytime', micros };
}

/** Index of the bracket that closes the first one. */
function closing(text: string): number {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth++;
    else if (text[i] === ')' && --depth === 0) return i;
  }
  return text.length;
}

/** What -v prints in brackets: `tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto TCP (6), length 60`. */
function readDetails(text: string, heading: Heading): void {
  const number = (pattern: RegExp): number | null => {
    const match = pattern.exec(text);
    return match === null ? null : Number(match[1]);
  };
  const put = (key: 'tos' | 'ttl' | 'ipId' | 'fragmentOffset' | 'flowLabel', pattern: RegExp): void => {
    const value = number(pattern);
    if (value !== null) heading[key] = value;
  };
  if (heading.family === 6) {
    put('tos', /\bclass (0x[0-9a-f]+)/);
    put('flowLabel', /\bflowlabel (0x[0-9a-f]+)/);
    put('ttl', /\bhlim (\d+)/);
    const payload = number(/payload length: (\d+)/);
    if (payload !== null) heading.totalLength = payload + 40;
    return;
  }
  put('tos', /\btos (0x[0-9a-f]+)/);
  put('ttl', /\bttl (\d+)/);
  put('ipId', /\bid (\d+)/);
  const offset = number(/\boffset (\d+)/);
  if (offset) heading.fragmentOffset = offset;
  const flags = /\bflags \[([^\]]*)\]/.exec(text)?.[1] ?? '';
  if (flags.includes('DF')) heading.dontFragment = true;
  if (flags.includes('+')) heading.moreFragments = true;
  heading.protocol = number(/\bproto \S+ \((\d+)\)/);
  heading.totalLength = number(/\blength (\d+)/);
  heading.badHeaderChecksum = /\bbad cksum /.test(text);
  const options = /\boptions \((.*)\)/.exec(text)?.[1];
  if (options !== undefined) {
    const bytes = optionBytes(options);
    if (bytes !== null) heading.ipOptions = bytes;
  }
}

/** IPv4 options by tcpdump's names, as far as they have no data of their own. */
function optionBytes(text: string): Uint8Array | null {
  let hex = '';
  for (const name of text.split(',')) {
    if (name === 'NOP') hex += '01';
    else if (name === 'EOL') hex += '00';
    else if (name === 'RA') hex += '94040000';
    else return null;
  }
  return fromHex(hex);
}

/** Extension headers by tcpdump's words at the beginning of a text, and what follows them. */
export function readExtensions(text: string): { extensions: ExtensionHeader[]; rest: string } {
  const extensions: ExtensionHeader[] = [];
  const padding = Uint8Array.from([0, 1, 4, 0, 0, 0, 0]);
  for (;;) {
    const match = /^(HBH|DSTOPT) (?:\((?:[^()]|\([^()]*\))*\) ?)*/.exec(text);
    if (match === null) return { extensions, rest: text };
    extensions.push({ kind: match[1] === 'HBH' ? Protocol.hopByHop : Protocol.destinationOptions, body: padding });
    text = text.slice(match[0].length);
  }
}
