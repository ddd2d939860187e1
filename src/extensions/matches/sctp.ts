import { readUint16 } from '../../packet/bytes.ts';
import type { Packet } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { defineMatch, UsageError } from '../contract.ts';
import { explainPorts, fitsPorts, listPorts, type PortTest, parsePortRange, portText } from '../ports.ts';
import { not, rangeText } from '../words.ts';

/** Flags asked of a chunk type. */
interface FlagTest {
  /** The place of the type in the real tool's table, which it stores instead of the type itself. */
  type: number;
  mask: number;
  flags: number;
}

interface ChunkTest {
  match: 'any' | 'all' | 'only';
  /** Chunk types in rising order. */
  types: number[] | 'all';
  flags: FlagTest[];
  invert: boolean;
}

/** `struct xt_sctp_info`: each part is null if it is not asked for. */
interface SctpMatch {
  source: PortTest | null;
  destination: PortTest | null;
  chunks: ChunkTest | null;
}

const NO_FLAGS = '--------';
/** Names of chunk types with the letters of their flags, high bit first; in the order of libxt_sctp.c. */
const CHUNKS: readonly [name: string, type: number, flags: string][] = [
  ['DATA', 0, '----IUBE'],
  ['INIT', 1, NO_FLAGS],
  ['INIT_ACK', 2, NO_FLAGS],
  ['SACK', 3, NO_FLAGS],
  ['HEARTBEAT', 4, NO_FLAGS],
  ['HEARTBEAT_ACK', 5, NO_FLAGS],
  ['ABORT', 6, '-------T'],
  ['SHUTDOWN', 7, NO_FLAGS],
  ['SHUTDOWN_ACK', 8, NO_FLAGS],
  ['ERROR', 9, NO_FLAGS],
  ['COOKIE_ECHO', 10, NO_FLAGS],
  ['COOKIE_ACK', 11, NO_FLAGS],
  ['ECN_ECNE', 12, NO_FLAGS],
  ['ECN_CWR', 13, NO_FLAGS],
  ['SHUTDOWN_COMPLETE', 14, '-------T'],
  ['I_DATA', 64, '----IUBE'],
  ['RE_CONFIG', 130, NO_FLAGS],
  ['PAD', 132, NO_FLAGS],
  ['ASCONF', 193, NO_FLAGS],
  ['ASCONF_ACK', 128, NO_FLAGS],
  ['FORWARD_TSN', 192, NO_FLAGS],
  ['I_FORWARD_TSN', 194, NO_FLAGS],
];
/** XT_NUM_SCTP_FLAGS */
const MAX_FLAG_TESTS = 4;

function parseChunks(matchWord: string, text: string, invert: boolean): ChunkTest {
  const match = matchWord.toLowerCase();
  if (match !== 'any' && match !== 'all' && match !== 'only')
    throw new UsageError('Match type has to be one of "ALL", "ANY" or "ONLY"');
  const test: ChunkTest = { match, types: [], flags: [], invert };
  if (text.toUpperCase() === 'ALL') return { ...test, types: 'all' };
  if (text.toUpperCase() === 'NONE') return test;
  const types = new Set<number>();
  for (const part of text.split(',')) {
    if (part === '') continue;
    const colon = part.indexOf(':');
    const name = colon < 0 ? part : part.slice(0, colon);
    const index = CHUNKS.findIndex(([known]) => known === name.toUpperCase());
    if (index < 0) throw new UsageError(`Unknown sctp chunk \`${name}'`);
    const [, type, letters] = CHUNKS[index]!;
    types.add(type);
    for (const letter of colon < 0 ? '' : part.slice(colon + 1)) {
      const place = letters.indexOf(letter.toUpperCase());
      if (place < 0) throw new UsageError(`Invalid flags for chunk type ${index}`);
      addFlag(test.flags, index, 1 << (7 - place), /[A-Z]/.test(letter));
    }
  }
  test.types = [...types].sort((a, b) => a - b);
  return test;
}

function addFlag(flags: FlagTest[], type: number, bit: number, set: boolean): void {
  let test = flags.find((known) => known.type === type);
  if (test === undefined) {
    if (flags.length === MAX_FLAG_TESTS)
      throw new UsageError(
        'Number of chunk types with flags exceeds currently allowed limit. Increasing this limit involves changing IPT_NUM_SCTP_FLAGS and recompiling both the kernel space and user space modules',
      );
    test = { type, mask: 0, flags: 0 };
    flags.push(test);
  }
  test.mask |= bit;
  if (set) test.flags |= bit;
}

function chunksText({ match, types, flags }: ChunkTest, numeric: boolean): string {
  if (types === 'all') return ` ${match} ALL`;
  if (types.length === 0) return ` ${match} NONE`;
  const words = types.map((type) => {
    const name = CHUNKS.find(([, known]) => known === type)![0];
    const word = numeric ? `0x${type.toString(16).toUpperCase().padStart(4, '0')}` : name;
    return (
      word +
      flags
        .filter((test) => test.type === type)
        .map(flagsText)
        .join('')
    );
  });
  return ` ${match} ${words.join(',')}`;
}

function flagsText({ type, mask, flags }: FlagTest): string {
  let text = mask === 0 ? '' : ':';
  for (let bit = 7; bit >= 0; bit--) {
    if ((mask & (1 << bit)) === 0) continue;
    const letter = CHUNKS[type]![2][7 - bit]!;
    text += flags & (1 << bit) ? letter : letter.toLowerCase();
  }
  return text;
}

const HELP = `sctp match options
[!] --source-port port[:port]                          match source port(s)
 --sport ...
[!] --destination-port port[:port]                     match destination port(s)
 --dport ...
[!] --chunk-types (all|any|none) (chunktype[:flags])+	match if all, any or none of
						        chunktypes are present
chunktypes - DATA INIT INIT_ACK SACK HEARTBEAT HEARTBEAT_ACK ABORT SHUTDOWN SHUTDOWN_ACK ERROR COOKIE_ECHO COOKIE_ACK ECN_ECNE ECN_CWR SHUTDOWN_COMPLETE ASCONF ASCONF_ACK FORWARD_TSN ALL NONE
`;

export const sctp = defineMatch<SctpMatch>({
  name: 'sctp',
  families: [4, 6],
  style: 'classic',
  options: [
    { name: 'source-port', type: 'string', invert: true },
    { name: 'sport', type: 'string', invert: true, synonymOf: 'source-port' },
    { name: 'destination-port', type: 'string', invert: true },
    { name: 'dport', type: 'string', invert: true, synonymOf: 'destination-port' },
    { name: 'chunk-types', type: 'string', invert: true, second: true },
  ],
  init: () => ({ source: null, destination: null, chunks: null }),
  parse(data, option, context) {
    const { name, text, invert } = option;
    if (context.seen.has(name)) throw new UsageError(`Only one \`--${name}' allowed`);
    if (name === 'source-port') data.source = { ports: parsePortRange(text, 'sctp', context.names), invert };
    else if (name === 'destination-port')
      data.destination = { ports: parsePortRange(text, 'sctp', context.names), invert };
    else {
      if (typeof option.second !== 'string') throw new UsageError('--chunk-types requires two args');
      data.chunks = parseChunks(text, option.second, invert);
    }
  },
  save({ source, destination, chunks }) {
    let text = '';
    if (source) text += `${not(source.invert)} --sport ${rangeText(source.ports)}`;
    if (destination) text += `${not(destination.invert)} --dport ${rangeText(destination.ports)}`;
    if (chunks) text += `${not(chunks.invert)} --chunk-types${chunksText(chunks, false)}`;
    return text;
  },
  print({ source, destination, chunks }, { numeric, names }) {
    const port = (value: number) => portText(value, 'sctp', numeric, names);
    let text = ' sctp';
    if (source) text += listPorts('spt', source.ports, source.invert, port);
    if (destination) text += listPorts('dpt', destination.ports, destination.invert, port);
    if (chunks) text += `${not(chunks.invert)}${chunksText(chunks, numeric)}`;
    return text;
  },
  help: () => HELP,
  check: (_data, { rule }) => (rule.protocol === Protocol.sctp && !rule.protocolInvert ? null : 'EINVAL'),
  explain({ source, destination, chunks }) {
    const parts: string[] = [];
    if (source) parts.push(`comes from ${explainPorts(source.ports, source.invert)}`);
    if (destination) parts.push(`goes to ${explainPorts(destination.ports, destination.invert)}`);
    if (chunks) parts.push(`${chunks.invert ? 'does not have' : 'has'} of its chunks${chunksText(chunks, false)}`);
    return `the SCTP packet ${parts.length > 0 ? parts.join(' and ') : 'has a whole header'}`;
  },
  pure: true,
  // `sctp_mt` (net/netfilter/xt_sctp.c)
  compile({ source, destination, chunks }) {
    const matchChunks = chunks === null ? null : compileChunks(chunks);
    return (packet) => {
      if (packet.fragmentOffset !== 0) return false;
      const { bytes, transport } = packet;
      if (transport + 12 > bytes.length) {
        packet.hotdrop = true;
        return false;
      }
      if (source !== null && !fitsPorts(readUint16(bytes, transport), source)) return false;
      if (destination !== null && !fitsPorts(readUint16(bytes, transport + 2), destination)) return false;
      return matchChunks === null || matchChunks(packet) !== chunks!.invert;
    };
  },
});

function compileChunks({ match, types, flags }: ChunkTest): (packet: Packet) => boolean {
  const wanted = new Uint8Array(256);
  if (types === 'all') wanted.fill(1);
  else for (const type of types) wanted[type] = 1;
  const missing = new Uint8Array(256);
  const flagsFit = (type: number, value: number): boolean => {
    const test = flags.find((known) => known.type === type);
    return test === undefined || (value & test.mask) === test.flags;
  };
  return (packet) => {
    const { bytes } = packet;
    let offset = packet.transport + 12;
    if (match === 'all') missing.set(wanted);
    do {
      if (offset + 4 > bytes.length || readUint16(bytes, offset + 2) === 0) {
        packet.hotdrop = true;
        return false;
      }
      const type = bytes[offset]!;
      const value = bytes[offset + 1]!;
      offset += (readUint16(bytes, offset + 2) + 3) & ~3;
      if (wanted[type] === 1) {
        const fits = flagsFit(type, value);
        if (match === 'any' && fits) return true;
        if (match === 'all' && fits) missing[type] = 0;
        if (match === 'only' && !fits) return false;
      } else if (match === 'only') {
        return false;
      }
    } while (offset < bytes.length);
    return match === 'all' ? !missing.includes(1) : match === 'only';
  };
}
