/**
 * What SYNPROXY says and reads (net/netfilter/nf_synproxy_core.c): TCP options, cookies, and the segments of its two handshakes.
 */
import { readUint16, readUint32, writeUint32 } from '../packet/bytes.ts';
import { jhash2 } from '../packet/jhash.ts';
import type { Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';
import { buildTcp } from '../packet/tcp.ts';
import { compose } from './compose.ts';
import type { MachineServices } from './environment.ts';

/** TCP options that SYNPROXY knows (`XT_SYNPROXY_OPT_*`). */
export const SynproxyOption = { mss: 1, wscale: 2, sackPermitted: 4, timestamp: 8, ecn: 16 } as const;

/** Options of one segment (`struct synproxy_options`). */
export interface SynproxyOptions {
  /** `SynproxyOption` bits. */
  options: number;
  wscale: number;
  mss: number;
  timestamp: number;
  timestampEcho: number;
}

const HEADER = 20;
const Kind = { end: 0, nop: 1, mss: 2, wscale: 3, sackPermitted: 4, timestamp: 8 } as const;
const SYN = 0x02;
const ACK = 0x10;
const ECE = 0x40;
const CWR = 0x80;

/** Reads the options of the packet's TCP header; null if they are cut off (synproxy_parse_options). */
export function readSynproxyOptions({ bytes, transport }: Packet): SynproxyOptions | null {
  const found: SynproxyOptions = { options: 0, wscale: 0, mss: 0, timestamp: 0, timestampEcho: 0 };
  let rest = (bytes[transport + 12]! >>> 4) * 4 - HEADER;
  let at = transport + HEADER;
  if (rest < 0 || at + rest > bytes.length) return null;
  while (rest > 0) {
    const kind = bytes[at]!;
    if (kind === Kind.end) break;
    if (kind === Kind.nop) {
      at++;
      rest--;
      continue;
    }
    const size = rest < 2 ? 0 : bytes[at + 1]!;
    if (size < 2 || size > rest) break;
    if (kind === Kind.mss && size === 4) {
      found.mss = readUint16(bytes, at + 2);
      found.options |= SynproxyOption.mss;
    } else if (kind === Kind.wscale && size === 3) {
      found.wscale = Math.min(bytes[at + 2]!, 14);
      found.options |= SynproxyOption.wscale;
    } else if (kind === Kind.timestamp && size === 10) {
      found.timestamp = readUint32(bytes, at + 2);
      found.timestampEcho = readUint32(bytes, at + 6);
      found.options |= SynproxyOption.timestamp;
    } else if (kind === Kind.sackPermitted && size === 2) {
      found.options |= SynproxyOption.sackPermitted;
    }
    at += size;
    rest -= size;
  }
  return found;
}

/** The options as SYNPROXY writes them, each aligned to four bytes (synproxy_build_options). */
function optionBytes({ options, mss, wscale, timestamp, timestampEcho }: SynproxyOptions): Uint8Array {
  const words: number[] = [];
  const sack = (options & SynproxyOption.sackPermitted) !== 0;
  const word = (a: number, b: number, c: number, d: number): void => {
    words.push(((a << 24) | (b << 16) | (c << 8) | d) >>> 0);
  };
  if (options & SynproxyOption.mss) word(Kind.mss, 4, mss >>> 8, mss & 0xff);
  if (options & SynproxyOption.timestamp) {
    if (sack) word(Kind.sackPermitted, 2, Kind.timestamp, 10);
    else word(Kind.nop, Kind.nop, Kind.timestamp, 10);
    words.push(timestamp, timestampEcho);
  } else if (sack) word(Kind.nop, Kind.nop, Kind.sackPermitted, 2);
  if (options & SynproxyOption.wscale) word(Kind.nop, Kind.wscale, 3, wscale);
  const bytes = new Uint8Array(words.length * 4);
  words.forEach((value, i) => {
    writeUint32(bytes, 4 * i, value);
  });
  return bytes;
}

/** Packs what the client offered into the time stamp, and offers `wscale` itself (synproxy_init_timestamp_cookie). `now` in microseconds. */
export function hideInTimestamp(options: SynproxyOptions, wscale: number, now: number): void {
  options.timestampEcho = options.timestamp;
  let stamp = Math.floor(now / 1000) % 2 ** 32;
  stamp -= stamp % 64;
  if (options.options & SynproxyOption.wscale) {
    stamp += options.wscale;
    options.wscale = wscale;
  } else stamp += 15;
  if (options.options & SynproxyOption.sackPermitted) stamp += 16;
  if (options.options & SynproxyOption.ecn) stamp += 32;
  options.timestamp = stamp;
}

/** Reads back what `hideInTimestamp` packed (synproxy_check_timestamp_cookie). */
function readFromTimestamp(options: SynproxyOptions): void {
  const { timestampEcho } = options;
  options.wscale = timestampEcho & 15;
  if (options.wscale !== 15) options.options |= SynproxyOption.wscale;
  if (timestampEcho & 16) options.options |= SynproxyOption.sackPermitted;
  if (timestampEcho & 32) options.options |= SynproxyOption.ecn;
}

/** Segment sizes that a cookie can tell (net/ipv4/syncookies.c, net/ipv6/syncookies.c). */
const SEGMENT_SIZES = { 4: [536, 1300, 1440, 1460], 6: [1220, 1420, 1440, 8940] } as const;
const MINUTE = 60_000_000;
const MOST_AGE = 2;
const DATA_MASK = 0xffffff;

/** Secrets of the machine's cookies: two words, plain data. */
export type CookieSecrets = readonly [number, number];

/** The machine's own secrets, drawn when they are first needed. */
export function cookieSecrets(machine: Pick<MachineServices, 'namedState' | 'random'>): CookieSecrets {
  return machine.namedState<CookieSecrets>('synproxy', 'secrets', () => [
    machine.random() >>> 0,
    machine.random() >>> 0,
  ]);
}

function cookieHash(packet: Packet, minute: number, secret: number): number {
  const ports = readUint32(packet.bytes, packet.transport);
  return jhash2([...packet.src, ...packet.dst, ports, minute], 10, secret);
}

/** The sequence number with which the machine answers a SYN (`secure_tcp_syn_cookie`). */
export function makeCookie(packet: Packet, mss: number, secrets: CookieSecrets, now: number): number {
  const sizes = SEGMENT_SIZES[packet.family];
  let index = sizes.length - 1;
  while (index > 0 && mss < sizes[index]!) index--;
  const minute = Math.floor(now / MINUTE) & 0xff;
  const sequence = readUint32(packet.bytes, packet.transport + 4);
  const data = (cookieHash(packet, minute, secrets[1]) + index) & DATA_MASK;
  return (cookieHash(packet, 0, secrets[0]) + sequence + minute * 0x1000000 + data) >>> 0;
}

/** The segment size in the cookie that a client's ACK brings back; 0 if it is none, or too old (`__cookie_v4_check`). */
export function readCookie(packet: Packet, secrets: CookieSecrets, now: number): number {
  const { bytes, transport } = packet;
  const cookie = readUint32(bytes, transport + 8) - 1;
  const sequence = readUint32(bytes, transport + 4) - 1;
  const rest = (cookie - cookieHash(packet, 0, secrets[0]) - sequence) >>> 0;
  const minute = rest >>> 24;
  if (((Math.floor(now / MINUTE) - minute) & 0xff) >= MOST_AGE) return 0;
  const index = (rest - cookieHash(packet, minute, secrets[1])) & DATA_MASK;
  return SEGMENT_SIZES[packet.family][index] ?? 0;
}

/** The answer to a client's SYN: window 0, so that it sends nothing before the server has answered. */
export function clientSynAck(packet: Packet, cookie: number, options: SynproxyOptions): Packet {
  const { bytes, transport } = packet;
  return compose(
    packet.family,
    { source: packet.dst, destination: packet.src, protocol: Protocol.tcp, dontFragment: true },
    buildTcp({
      sourcePort: readUint16(bytes, transport + 2),
      destinationPort: readUint16(bytes, transport),
      sequence: cookie,
      acknowledgement: (readUint32(bytes, transport + 4) + 1) >>> 0,
      flags: SYN | ACK | (options.options & SynproxyOption.ecn ? ECE : 0),
      options: optionBytes(options),
    }),
  );
}

/**
 * The SYN for the server after a client's ACK with a right cookie; null if it is wrong. `sequence` is the client's first sequence number
 * + 1. The acknowledgement number tells the hook which sequence number the client was given.
 */
export function serverSyn(
  packet: Packet,
  options: SynproxyOptions,
  sequence: number,
  secrets: CookieSecrets,
  now: number,
): Packet | null {
  const mss = readCookie(packet, secrets, now);
  if (mss === 0) return null;
  options.mss = mss;
  options.options |= SynproxyOption.mss;
  if (options.options & SynproxyOption.timestamp) readFromTimestamp(options);
  const { bytes, transport } = packet;
  return compose(
    packet.family,
    { source: packet.src, destination: packet.dst, protocol: Protocol.tcp, dontFragment: true },
    buildTcp({
      sourcePort: readUint16(bytes, transport),
      destinationPort: readUint16(bytes, transport + 2),
      sequence: (sequence - 1) >>> 0,
      acknowledgement: (readUint32(bytes, transport + 8) - 1) >>> 0,
      flags: SYN | (options.options & SynproxyOption.ecn ? ECE | CWR : 0),
      window: readUint16(bytes, transport + 14),
      options: optionBytes(options),
    }),
  );
}

/** The ACK that ends the handshake with the server, in answer to its SYN+ACK. */
export function serverAck(packet: Packet, options: SynproxyOptions, window: number): Packet {
  const { bytes, transport } = packet;
  return compose(
    packet.family,
    { source: packet.dst, destination: packet.src, protocol: Protocol.tcp, dontFragment: true },
    buildTcp({
      sourcePort: readUint16(bytes, transport + 2),
      destinationPort: readUint16(bytes, transport),
      sequence: readUint32(bytes, transport + 8),
      acknowledgement: (readUint32(bytes, transport + 4) + 1) >>> 0,
      flags: ACK,
      window,
      options: optionBytes(options),
    }),
  );
}

/** The ACK that opens the client's window, in answer to the server's SYN+ACK. */
export function clientAck(packet: Packet, options: SynproxyOptions): Packet {
  const { bytes, transport } = packet;
  return compose(
    packet.family,
    { source: packet.src, destination: packet.dst, protocol: Protocol.tcp, dontFragment: true },
    buildTcp({
      sourcePort: readUint16(bytes, transport),
      destinationPort: readUint16(bytes, transport + 2),
      sequence: (readUint32(bytes, transport + 4) + 1) >>> 0,
      acknowledgement: readUint32(bytes, transport + 8),
      flags: ACK,
      window: readUint16(bytes, transport + 14) >>> options.wscale,
      options: optionBytes(options),
    }),
  );
}
