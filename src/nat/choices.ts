/**
 * Ports that another machine has chosen. Where the kernel draws a port at random, a simulation of a machine that is there can choose as that machine
 * did: its list of connections tells what became of each.
 */
import { Direction } from '../conntrack/connection.ts';
import type { Entry } from '../conntrack/entry.ts';
import { newTupleWords, TUPLE_WORDS, tupleToWords } from '../conntrack/tuple.ts';
import { parseAddress } from '../packet/address-text.ts';
import { Protocol } from '../packet/protocol.ts';

const PORTS = 8;

/** A line that is no connection. */
export class ChoicesError extends Error {
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

interface Listed {
  /** Where its answers go to and come from, as in the tuple of answers. */
  replies: Uint32Array[];
  /** The entry that was asked about last, and which of the replies is its own. */
  entry: number;
  at: number;
}

/** The connections of a listing. Of those with the same tuple each that is made takes the next; the last one stays. */
export class NatChoices {
  readonly #listed = new Map<string, Listed>();
  #unlisted = 0;

  /** `text`: what `conntrack -L` or `conntrack -E` has printed. Throws ChoicesError. */
  constructor(text: string) {
    text.split('\n').forEach((line, n) => {
      if (!tellsOfConnection(line)) return;
      const connection = readConnection(line);
      if (connection === null) {
        throw new ChoicesError(n + 1, 'no connection: expected a line that conntrack -L or conntrack -E has printed');
      }
      const { key, reply } = connection;
      const known = this.#listed.get(key);
      if (known === undefined) this.#listed.set(key, { replies: [reply], entry: -1, at: -1 });
      else known.replies.push(reply);
    });
  }

  /** How often a port was asked for that is not in the list. */
  get unlisted(): number {
    return this.#unlisted;
  }

  /**
   * The port (ICMP: id, GRE: key) that the connection got there, at its source or destination; -1 if the list has none for it, or none from `min`
   * to `max`.
   */
  port(entry: Entry, manip: 'source' | 'destination', min: number, max: number): number {
    const port = this.#listedPort(entry, manip);
    if (port >= min && port <= max) return port;
    this.#unlisted++;
    return -1;
  }

  #listedPort(entry: Entry, manip: 'source' | 'destination'): number {
    const original = entry.words.subarray(entry.base, entry.base + TUPLE_WORDS);
    const listed = this.#listed.get(keyOf(original, entry.zone(Direction.original)));
    if (listed === undefined) return -1;
    if (listed.entry !== entry.id) {
      listed.entry = entry.id;
      if (listed.at + 1 < listed.replies.length) listed.at++;
    }
    const ports = listed.replies[listed.at]![PORTS]!;
    const { protocol } = entry;
    // What was translated at the source is where answers go to; an ICMP id is the same in both.
    const isHigh = protocol === Protocol.icmp || protocol === Protocol.icmpv6 || manip === 'destination';
    return isHigh ? ports >>> 16 : ports & 0xffff;
  }
}

function keyOf(original: Uint32Array, zone: number): string {
  return `${zone} ${original.join(' ')}`;
}

/** Of events only new connections; expectations, summaries and comments are passed over. */
function tellsOfConnection(line: string): boolean {
  if (/^\s*(#|$)/.test(line) || line.startsWith('conntrack v')) return false;
  const event = /^(?:\[[\d.]+\s*\]\s*)?\s*\[(\w+)\]/.exec(line);
  if (event !== null && event[1] !== 'NEW') return false;
  return !/ proto=\d+ /.test(line);
}

function readConnection(line: string): { key: string; reply: Uint32Array } | null {
  const protocol = /(?:^|[\s\]])(?!ipv[46]\s)[a-z]\w*\s+(\d+) /.exec(line)?.[1];
  const ends = line.split(/ src=/);
  if (protocol === undefined || ends.length !== 3) return null;
  const original = readTuple(` src=${ends[1]}`, Number(protocol));
  const reply = readTuple(` src=${ends[2]}`, Number(protocol));
  if (original === null || reply === null) return null;
  const zone = Number(/ zone(?:-orig)?=(\d+)/.exec(line)?.[1] ?? 0);
  return { key: keyOf(original, zone), reply };
}

function readTuple(text: string, protocol: number): Uint32Array | null {
  const value = (name: string): string | undefined => new RegExp(` ${name}=(\\S+)`).exec(text)?.[1];
  const number = (...names: string[]): number => Number(names.map(value).find((found) => found !== undefined) ?? 0);
  const source = parseAddress(value('src') ?? '');
  const destination = parseAddress(value('dst') ?? '');
  if (source === null || destination === null) return null;
  const icmp = value('type') === undefined ? 0 : number('type') * 256 + number('code');
  const words = newTupleWords();
  tupleToWords(
    {
      family: source.family,
      protocol,
      source: source.words,
      destination: destination.words,
      sourcePort: number('sport', 'srckey', 'id'),
      destinationPort: icmp === 0 ? number('dport', 'dstkey') : icmp,
    },
    words,
  );
  return words;
}
