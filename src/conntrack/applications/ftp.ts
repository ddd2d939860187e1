import { formatAddress4, parseAddress6, wholeAddress6 } from '../../packet/address-text.ts';
import { readUint32 } from '../../packet/bytes.ts';
import type { Family } from '../../packet/family.ts';
import { ConntrackInfo } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { before } from '../protocols/tcp-window.ts';
import type { Application, Sighting } from './application.ts';
import { expectation, expectOnFreePort, expectOrRefuse, isTranslated, refuse } from './expecting.ts';
import { latin1, replacePayload, tcpData } from './payload.ts';

/** What stands where in a command or answer, and the end that it names. */
interface Found {
  style: 'PORT' | 'EPRT' | 'PASV' | 'EPSV';
  offset: number;
  length: number;
  /** Null: the address is not named (EPSV). */
  address: number[] | null;
  port: number;
}

interface Pattern {
  style: Found['style'];
  text: string;
  skip: string | null;
  read(
    text: string,
    family: Family,
  ): { skipped: number; length: number; address: number[] | null; port: number } | null;
}

/** Numbers parted by `separator`, up to `terminator` (null: any other character). */
function readNumbers(
  text: string,
  count: number,
  separator: string,
  terminator: string | null,
): { length: number; numbers: number[] } | null {
  const numbers = new Array<number>(count).fill(0);
  let at = 0;
  for (let i = 0; i < text.length && at < count; i++) {
    const char = text[i]!;
    if (char >= '0' && char <= '9') numbers[at] = (numbers[at]! * 10 + Number(char)) >>> 0;
    else if (char === separator) at++;
    else return (terminator === null || char === terminator) && at === count - 1 ? { length: i, numbers } : null;
  }
  return null;
}

function readSix(text: string, terminator: string | null) {
  const read = readNumbers(text, 6, ',', terminator);
  if (read === null || read.length === 0) return null;
  const [a, b, c, d, e, f] = read.numbers as [number, number, number, number, number, number];
  const address = [((a << 24) | (b << 16) | (c << 8) | d) >>> 0, 0, 0, 0];
  return { skipped: 0, length: read.length, address, port: ((e << 8) | f) & 0xffff };
}

/** A port number up to the delimiter; the answer counts from the start of `text`. */
function readPort(text: string, start: number, delimiter: string): { length: number; port: number } | null {
  let port = 0;
  for (let i = start; i < text.length; i++) {
    const char = text[i]!;
    if (char === delimiter) return port === 0 ? null : { length: i + 1, port };
    if (char < '0' || char > '9') return null;
    port = (port * 10 + Number(char)) & 0xffff;
  }
  return null;
}

function isDelimiter(char: string): boolean {
  return char > ' ' && char <= '~' && !(char >= '0' && char <= '9');
}

/** `|1|192.0.2.1|6275|` or `|2|2001:db8::1|6275|` (RFC 2428). */
function readExtended(text: string, family: Family) {
  const delimiter = text[0];
  if (text.length <= 3 || delimiter === undefined || !isDelimiter(delimiter) || text[2] !== delimiter) return null;
  if (text[1] !== (family === 4 ? '1' : '2')) return null;
  let address: number[];
  let length: number;
  if (family === 4) {
    const read = readNumbers(text.slice(3), 4, '.', delimiter);
    if (read === null || read.length === 0) return null;
    const [a, b, c, d] = read.numbers as [number, number, number, number];
    address = [((a << 24) | (b << 16) | (c << 8) | d) >>> 0, 0, 0, 0];
    length = read.length;
  } else {
    length = text.indexOf(delimiter, 3) - 3;
    const words = length > 0 ? parseAddress6(text.slice(3, 3 + length)) : null;
    if (words === null) return null;
    address = words;
  }
  const port = readPort(text, 3 + length + 1, delimiter);
  return port === null ? null : { skipped: 0, length: port.length, address, port: port.port };
}

/** `|||6446|` */
function readExtendedPassive(text: string) {
  const delimiter = text[0];
  if (text.length <= 3 || delimiter === undefined || !isDelimiter(delimiter)) return null;
  if (text[1] !== delimiter || text[2] !== delimiter) return null;
  const port = readPort(text, 3, delimiter);
  return port === null ? null : { skipped: 0, length: port.length, address: null, port: port.port };
}

/** By direction: what clients and what servers say. */
const PATTERNS: readonly [readonly Pattern[], readonly Pattern[]] = [
  [
    { style: 'PORT', text: 'PORT', skip: ' ', read: (text) => readSix(text, '\r') },
    { style: 'EPRT', text: 'EPRT', skip: ' ', read: readExtended },
  ],
  [
    {
      style: 'PASV',
      text: '227 ',
      skip: null,
      // RFC 1123: the numbers may stand anywhere in the line.
      read: (text) => {
        const first = text.search(/[0-9]/);
        const six = first < 0 ? null : readSix(text.slice(first), null);
        return six === null ? null : { ...six, skipped: first };
      },
    },
    { style: 'EPSV', text: '229 ', skip: '(', read: readExtendedPassive },
  ],
];

/** The pattern in `text`, or that it is cut off in the middle (find_pattern). */
function search(text: string, pattern: Pattern, family: Family): Found | 'partial' | null {
  const start = text.slice(0, pattern.text.length).toUpperCase();
  if (text.length <= pattern.text.length) return pattern.text.startsWith(start) ? 'partial' : null;
  if (start !== pattern.text) return null;
  let offset = pattern.text.length;
  if (pattern.skip !== null) {
    offset = text.indexOf(pattern.skip, offset) + 1;
    // The character may not be the last one either.
    if (offset === 0) return 'partial';
  }
  const read = pattern.read(text.slice(offset), family);
  if (read === null) return 'partial';
  return {
    style: pattern.style,
    offset: offset + read.skipped,
    length: read.length,
    address: read.address,
    port: read.port,
  };
}

/** Sequence numbers at which lines begin, of each direction; two are remembered. */
interface Memory {
  lines?: [number[], number[]];
}

function noteLine(memory: Memory, direction: 0 | 1, sequence: number): void {
  memory.lines ??= [[], []];
  const known = memory.lines[direction];
  if (known.includes(sequence)) return;
  if (known.length < 2) {
    known.push(sequence);
    return;
  }
  const oldest = before(known[0]!, known[1]!) ? 0 : 1;
  if (before(known[oldest]!, sequence)) known[oldest] = sequence;
}

function help(sighting: Sighting): string | null {
  const { packet, entry, direction } = sighting;
  const { conntrackInfo, bytes, transport } = packet;
  if (conntrackInfo !== ConntrackInfo.established && conntrackInfo !== ConntrackInfo.establishedReply) return null;
  const data = tcpData(sighting);
  if (data < 0) return null;
  const memory = sighting.memory as Memory;
  const sequence = readUint32(bytes, transport + 4);
  const next = (sequence + bytes.length - data) >>> 0;
  const endsLine = bytes[bytes.length - 1] === 10;
  // Only what begins a line is looked at, and a line begins where an earlier one was seen to end.
  if (memory.lines?.[direction].includes(sequence)) {
    const text = latin1(bytes, data);
    for (const pattern of PATTERNS[direction]) {
      const found = search(text, pattern, entry.family);
      if (found === 'partial') {
        const reason = `a line ends in the middle of ${pattern.text.trim()}`;
        return refuse(sighting, `partial matching of \`${pattern.text}'`, reason);
      }
      if (found === null) continue;
      const refused = announce(sighting, found, data);
      if (refused !== null) return refused;
      break;
    }
  }
  if (endsLine) noteLine(memory, direction, next);
  return null;
}

function announce(sighting: Sighting, found: Found, data: number): string | null {
  const { entry, direction } = sighting;
  const { words } = entry;
  const own = entry.tupleAt(direction);
  const other = entry.tupleAt(direction === 0 ? 1 : 0);
  // Somebody else's address: not taken up (nf_conntrack_ftp loose=0).
  if (found.address?.some((word, i) => word !== words[own + i])) return null;
  const awaited = expectation(sighting, 'ftp', {
    protocol: Protocol.tcp,
    source: { words, at: other },
    destination: { words, at: other + 4 },
    destinationPort: found.port,
  });
  if (!isTranslated(sighting)) return expectOrRefuse(sighting, awaited);
  awaited.translate = 'follow-master';
  awaited.savedPort = found.port;
  awaited.direction = direction === 0 ? 1 : 0;
  const port = expectOnFreePort(sighting, awaited);
  if (port === 0) return refuse(sighting, 'all ports in use', 'all ports are in use');
  const address = words.slice(other + 4, other + 8);
  if (replacePayload(sighting, data + found.offset, found.length, wording(found.style, entry.family, address, port)))
    return null;
  awaited.dead = true;
  return refuse(sighting, 'cannot mangle packet', 'the packet cannot be changed');
}

/** The changed command in the style of the one met (nf_nat_ftp_fmt_cmd). */
function wording(style: Found['style'], family: Family, address: Uint32Array, port: number): string {
  switch (style) {
    case 'PORT':
    case 'PASV':
      return `${formatAddress4(address[0]!).replaceAll('.', ',')},${port >>> 8},${port & 0xff}`;
    case 'EPRT':
      return family === 4 ? `|1|${formatAddress4(address[0]!)}|${port}|` : `|2|${wholeAddress6(address)}|${port}|`;
    case 'EPSV':
      return `|||${port}|`;
  }
}

/** FTP (RFC 959, 2428): PORT, EPRT of the client, 227 and 229 of the server announce the data connection. nf_conntrack_ftp.c, nf_nat_ftp.c. */
export const ftp: Application = {
  name: 'ftp',
  policies: [{ name: 'ftp', max: 1, timeout: 300 }],
  help,
};
