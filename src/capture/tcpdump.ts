import { fromHex } from '../packet/bytes.ts';
import { buildPacket } from '../packet/notation/build.ts';
import type { PacketDescription } from '../packet/notation/description.ts';
import { type Heading, readHeading } from './tcpdump-heading.ts';
import { SequenceNumbers } from './tcpdump-sequence.ts';
import { readTransport } from './tcpdump-transport.ts';

/** A packet that tcpdump printed. What the text does not tell (payload bytes, often TTL and the like) has its default. */
export interface TcpdumpPacket {
  packet: PacketDescription;
  /** Interface and direction that `-i any` prints. */
  interface: string | null;
  direction: 'In' | 'Out' | 'B' | 'M' | 'P' | null;
  /** Microseconds: since the epoch, or since midnight or the first packet where tcpdump printed only that; null without times. */
  time: number | null;
  /** Line in the text, from 1. */
  line: number;
}

export interface TcpdumpText {
  packets: TcpdumpPacket[];
  /** Packets that were left out, and why. */
  skipped: { line: number; reason: string }[];
}

/** Whether a text is what tcpdump prints. */
export function isTcpdumpText(text: string): boolean {
  const lines = text.split('\n', 200).filter((line) => line.trim() !== '');
  return lines.some((line) => readHeading(line) !== null);
}

/** One packet's lines. */
interface Block {
  heading: Heading;
  /** Lines that go on: with -v the addresses, decoded payload, a quoted packet. */
  more: string[];
  /** Bytes of -x and -X. */
  hex: string;
  line: number;
}

/**
 * Reads what `tcpdump -n` printed: IPv4 and IPv6 with TCP, UDP, ICMP and the rest; also with `-i any`, `-v`, `-e`, `-q`, all of
 * `-t`, and hex dumps (`-x`, `-X`, `-xx`, `-XX`), from which the bytes are taken as they are.
 */
export function parseTcpdump(text: string): TcpdumpText {
  const result: TcpdumpText = { packets: [], skipped: [] };
  const sequence = new SequenceNumbers();
  const seen: PacketDescription[] = [];
  const clock = new PrintedClock();
  for (const block of blocks(text)) {
    const { heading, line } = block;
    const time = clock.read(heading.time);
    const dumped = dumpedPacket(block);
    const read = dumped ?? readBlock(block, sequence, seen);
    if (typeof read === 'string') {
      result.skipped.push({ line, reason: read });
      continue;
    }
    if (heading.sourceMac !== null) read.sourceMac = heading.sourceMac;
    if (heading.destinationMac !== null) read.destinationMac = heading.destinationMac;
    seen.push(read);
    if (seen.length > REMEMBERED) seen.shift();
    result.packets.push({ packet: read, interface: heading.interface, direction: heading.direction, time, line });
  }
  return result;
}

/** Packets kept to find out what an ICMP error is about. */
const REMEMBERED = 1000;

function* blocks(text: string): Generator<Block> {
  let block: Block | null = null;
  let number = 0;
  for (const line of text.split(/\r?\n/)) {
    number++;
    const hex = /^\s+0x([0-9a-f]{4,}):\s+((?:[0-9a-f]{2,4} )*[0-9a-f]{2,4})(?:\s{2}|\s*$)/.exec(line);
    if (hex !== null && block !== null) {
      // A dump that begins anew is that of the packet: what came before it was one of its options.
      block.hex = (Number.parseInt(hex[1]!, 16) === 0 ? '' : block.hex) + hex[2];
      continue;
    }
    // A quoted packet of -v begins with a tab: it belongs to the one before.
    const heading = line.startsWith('\t') ? null : readHeading(line);
    if (heading !== null) {
      if (block !== null) yield block;
      block = { heading, more: [], hex: '', line: number };
    } else if (block !== null && /^\s/.test(line)) block.more.push(line.trim());
  }
  if (block !== null) yield block;
}

function dumpedPacket(block: Block): PacketDescription | null {
  const bytes = block.hex === '' ? null : fromHex(block.hex);
  if (bytes === null) return null;
  // -xx and -XX begin with the Ethernet header.
  const tagged = bytes[12] === 0x08 && bytes[13] === 0 ? 14 : bytes[12] === 0x86 && bytes[13] === 0xdd ? 14 : 0;
  const bare = isWhole(bytes, 0);
  const start = !bare && tagged > 0 && isWhole(bytes, tagged) ? tagged : 0;
  if (!isWhole(bytes, start)) return null;
  const none = [0, 0, 0, 0] as const;
  return {
    family: bytes[start]! >> 4 === 6 ? 6 : 4,
    protocol: 0,
    source: none,
    destination: none,
    raw: bytes.slice(start),
  };
}

/** Whether an IP packet begins there and all of it was printed. */
function isWhole(bytes: Uint8Array, at: number): boolean {
  const version = (bytes[at] ?? 0) >> 4;
  if (version === 4) return ((bytes[at + 2]! << 8) | bytes[at + 3]!) <= bytes.length - at && bytes.length - at >= 20;
  return version === 6 && ((bytes[at + 4]! << 8) | bytes[at + 5]!) + 40 <= bytes.length - at;
}

function readBlock(
  block: Block,
  sequence: SequenceNumbers,
  seen: readonly PacketDescription[],
): PacketDescription | string {
  const { heading, more } = block;
  let body = heading.rest;
  let further = more;
  // With -v the addresses of IPv4 stand on a line of their own.
  if (body === '' && more.length > 0) {
    body = more[0]!;
    further = more.slice(1);
  }
  if (heading.refused !== null) return heading.refused;
  const quoted = further.findIndex((line) => /^IP6? /.test(line));
  const inner = quoted < 0 ? null : readQuoted(further.slice(quoted));
  return readTransport(heading, body, { sequence, seen, inner });
}

/** The packet inside an ICMP error, as -v prints it. */
function readQuoted(lines: readonly string[]): Uint8Array | null {
  const heading = readHeading(lines[0]!);
  if (heading === null) return null;
  const body = heading.rest === '' ? (lines[1] ?? '') : heading.rest;
  const read = readTransport(heading, body, { sequence: new SequenceNumbers(), seen: [], inner: null });
  return typeof read === 'string' ? null : buildPacket(read);
}

/** Turns tcpdump's times into one that does not go backwards at midnight or with differences (`-ttt`). */
class PrintedClock {
  private last = 0;
  private day = 0;
  private base: 'unknown' | 'differences' | 'since-first' = 'unknown';
  private count = 0;

  read(time: Heading['time']): number | null {
    if (time === null) return null;
    this.count++;
    if (time.kind === 'absolute') return time.micros;
    if (time.kind === 'elapsed') {
      // -ttt prints differences, -ttttt the time since the first packet: both look alike until one is smaller than the one before.
      if (this.base === 'unknown' && this.count > 2 && time.micros < this.lastPrinted) this.base = 'differences';
      const value = this.base === 'differences' ? this.last + time.micros : time.micros;
      this.lastPrinted = time.micros;
      this.last = Math.max(value, this.last);
      return this.last;
    }
    if (time.micros + this.day < this.last - HALF_DAY) this.day += DAY;
    this.last = time.micros + this.day;
    return this.last;
  }

  private lastPrinted = 0;
}

const DAY = 86_400_000_000;
const HALF_DAY = DAY / 2;
