import { fromHex } from '../bytes.ts';
import { Protocol } from '../protocol.ts';
import type { PacketDescription } from './description.ts';
import { NotationError } from './error.ts';
import { type Key, parseNumber } from './key.ts';
import { KEYS } from './keys.ts';
import { parsePacket, readPacket } from './parse.ts';
import { protocolWord } from './protocols.ts';
import { parseDuration } from './time.ts';
import { splitWords, textBytes, type Word } from './words.ts';

/** How the far end behaves. */
export type FarEnd =
  /** Takes the connection, answers requests. */
  | 'answer'
  /** Says nothing. */
  | 'silent'
  /** RST, port unreachable. */
  | 'refuse';

/** A whole conversation in one line. */
export interface FlowDescription {
  /** The first packet of the client; the others have its addresses, TTL, TOS, owner. */
  first: PacketDescription;
  request: Uint8Array;
  reply: Uint8Array;
  /** Requests, each with its answer. */
  rounds: number;
  /** Microseconds between two packets. */
  gap: number;
  /** TCP: who closes, and how. */
  close: 'client' | 'server' | 'reset' | 'none';
  far: FarEnd;
}

export const FLOW_EXAMPLE = 'flow in=eth1 tcp 10.0.0.5:40000 > 203.0.113.10:80';

/** A key that only flows have. */
interface FlowKey {
  name: string;
  value: string;
  meaning: string;
  read(value: string, flow: FlowDescription): boolean;
}

const CLOSES = { client: 'client', server: 'server', rst: 'reset', reset: 'reset', none: 'none' } as const;

/** What a flow takes besides the keys of a packet. */
export const FLOW_KEYS: readonly FlowKey[] = [
  {
    name: 'reply',
    value: 'text, in double quotes if it has blanks',
    meaning: 'What the far end answers to each request (`data`, `hex` or `len` is the request).',
    read(value, flow) {
      flow.reply = textBytes(value);
      return true;
    },
  },
  {
    name: 'replyhex',
    value: 'bytes in hexadecimal',
    meaning: 'The same in hexadecimal.',
    read(value, flow) {
      const bytes = fromHex(value);
      if (bytes !== null) flow.reply = bytes;
      return bytes !== null;
    },
  },
  {
    name: 'replylen',
    value: 'a number of bytes to 65495',
    meaning: 'The same as a number of zero bytes.',
    read(value, flow) {
      const length = parseNumber(value, 65495);
      if (length >= 0) flow.reply = new Uint8Array(length);
      return length >= 0;
    },
  },
  {
    name: 'rounds',
    value: 'a number from 0 to 1000000',
    meaning: 'How many requests, each with its answer (1); for ICMP how many echo requests.',
    read(value, flow) {
      flow.rounds = parseNumber(value, 1_000_000);
      return flow.rounds >= 0;
    },
  },
  {
    name: 'gap',
    value: 'a time like 10ms, 1s, 2h',
    meaning: 'Time between two packets (1ms).',
    read(value, flow) {
      flow.gap = parseDuration(value);
      return flow.gap >= 0;
    },
  },
  {
    name: 'close',
    value: 'client, server, rst or none',
    meaning: 'TCP: who ends the connection (client), `rst`: the client resets it.',
    read(value, flow) {
      if (!Object.hasOwn(CLOSES, value)) return false;
      flow.close = CLOSES[value as keyof typeof CLOSES];
      return true;
    },
  },
  {
    name: 'far',
    value: 'answer, silent or refuse',
    meaning: 'What the far end does (answer); `refuse`: RST or port unreachable.',
    read(value, flow) {
      if (value !== 'answer' && value !== 'silent' && value !== 'refuse') return false;
      flow.far = value;
      return true;
    },
  },
];

/** A line that is one packet or one flow (first word `flow`). */
export type Line = { kind: 'packet'; packet: PacketDescription } | { kind: 'flow'; flow: FlowDescription };

/**
 * Reads a line of either kind.
 *
 * @throws NotationError
 */
export function parseLine(line: string): Line {
  return /^\s*flow(\s|$)/.test(line)
    ? { kind: 'flow', flow: parseFlow(line) }
    : { kind: 'packet', packet: parsePacket(line) };
}

/**
 * Reads a flow: `flow [in=IFACE] PROTO SRC[:PORT] > DST[:PORT] [key=value...]` with PROTO tcp, udp or icmp.
 *
 * @throws NotationError
 */
export function parseFlow(line: string): FlowDescription {
  const words = splitWords(line);
  if (words[0]?.text !== 'flow') throw new NotationError(`a flow begins with "flow", as in: ${FLOW_EXAMPLE}`, 1);
  const own = new Map(FLOW_KEYS.map((key) => [key.name, key]));
  const mine = words.filter((word) => word.key !== null && own.has(word.key));
  const rest = words.slice(1).filter((word) => !mine.includes(word));
  const first = readPacket(
    rest,
    PACKET_KEYS,
    FLOW_KEYS.map((key) => key.name),
  );
  checkProtocol(first, words[0]!);
  const text = new TextEncoder();
  const flow: FlowDescription = {
    first,
    request: first.payload ?? text.encode('request\n'),
    reply: text.encode('answer\n'),
    rounds: 1,
    gap: 1000,
    close: 'client',
    far: 'answer',
  };
  const seen = new Set<string>();
  for (const word of mine) {
    const key = own.get(word.key!)!;
    if (seen.has(key.name)) throw new NotationError(`${key.name} is given twice`, word.column);
    seen.add(key.name);
    if (!key.read(word.text, flow))
      throw new NotationError(`${key.name}="${word.text}": expected ${key.value}`, word.valueColumn);
    if (key.name === 'close' && first.protocol !== Protocol.tcp) {
      throw new NotationError(`${protocolWord(first.protocol)} has no close: only tcp connections end`, word.column);
    }
  }
  return flow;
}

const PACKET_KEYS: ReadonlyMap<string, Key> = new Map(
  KEYS.flatMap((key) => [key.name, ...(key.aliases ?? [])].map((name) => [name, key])),
);

function checkProtocol(first: PacketDescription, at: Word): void {
  const { protocol } = first;
  if (first.raw !== undefined) throw new NotationError('a flow needs addresses, not raw bytes', at.column);
  if (protocol === Protocol.tcp || protocol === Protocol.udp) return;
  if (protocol === Protocol.icmp || protocol === Protocol.icmpv6) {
    const request = first.family === 4 ? 8 : 128;
    if ((first.icmpType ?? request) === request) return;
    throw new NotationError('a flow of icmp is echo requests and their replies: leave the type away', at.column);
  }
  throw new NotationError(`a flow is tcp, udp or icmp, not ${protocolWord(protocol)}`, at.column);
}
