import { onesSum, type View, view } from './frames.ts';
import type { Outcome, SentPacket } from './scenario.ts';

/** One difference, as text for people; `packet` counts from 0 (-1: counters, sets, conntrack). */
export interface Difference {
  what: 'packet' | 'counter' | 'conntrack' | 'expectation' | 'event' | 'ipset' | 'nflog' | 'log';
  packet: number;
  text: string;
}

const ICMP_ERRORS_V4 = new Set([3, 4, 5, 11, 12]);

/** Whether `out` is the router's own answer to `sent` (its IP id is the kernel's free choice). */
function madeByRouter(sent: Buffer, out: Buffer): boolean {
  const a = view(sent);
  const b = view(out);
  if (a === null || b === null) return b !== null;
  const error = (v: NonNullable<ReturnType<typeof view>>): boolean =>
    v.segment.length > 0 &&
    (v.protocol === 1 ? ICMP_ERRORS_V4.has(v.segment[0]) : v.protocol === 58 && v.segment[0] < 128);
  if (error(b)) return !error(a);
  if (a.source !== a.destination && a.source === b.destination && a.destination === b.source) return true;
  if (a.protocol !== b.protocol) return true;
  if ((b.protocol === 1 || b.protocol === 58) && a.segment.length > 0 && b.segment.length > 0)
    return a.segment[0] !== b.segment[0];
  if (b.protocol === 6 && a.segment.length > 13 && b.segment.length > 13)
    return (b.segment[13] & 4) !== 0 && (a.segment[13] & 4) === 0;
  return false;
}

/** Whether it is the SYN+ACK by which a socket of the router answers `sent`. */
function opensHere(sent: Buffer, out: View): boolean {
  const cause = view(sent);
  if (cause === null || cause.protocol !== 6 || out.protocol !== 6) return false;
  if (cause.segment.length < 20 || out.segment.length < 20) return false;
  return (cause.segment[13] & 0x16) === 0x02 && (out.segment[13] & 0x17) === 0x12;
}

/** Of such a SYN+ACK what is no matter of the socket: its number, time stamp and window differ each time or by the size of buffers. */
function acceptedText({ source, destination, segment, ttl, tos }: View): string {
  const options = Buffer.from(segment.subarray(20));
  for (let at = 0; at + 1 < options.length; at += options[at] === 1 ? 1 : Math.max(2, options[at + 1])) {
    if (options[at] === 8) options.fill(0, at + 2, at + 6);
    if (options[at] === 3) options[at + 2] = 0;
  }
  const ports = segment.toString('hex', 0, 4);
  return `SYN+ACK ${source} ${destination} ${ports} ack ${segment.readUInt32BE(8)} flags ${segment[13]} ttl ${ttl} tos ${tos} options ${options.toString('hex')}`;
}

/** Whether it is the ACK by which a socket of the router tells the sender where their half-open connection stands. */
function tellsWhere(sent: Buffer, out: View): boolean {
  const cause = view(sent);
  if (cause === null || cause.protocol !== 6 || out.protocol !== 6) return false;
  if (cause.segment.length < 20 || out.segment.length < 20 || out.segment[13] !== 0x10) return false;
  const swapped = cause.segment.readUInt16BE(0) === out.segment.readUInt16BE(2);
  return swapped && cause.source === out.destination && cause.destination === out.source;
}

/** Whether it is an ICMP error about such a SYN+ACK. */
function quotesOpening({ protocol, segment }: View): boolean {
  if ((protocol !== 1 || !ICMP_ERRORS_V4.has(segment[0])) && (protocol !== 58 || segment[0] > 127)) return false;
  const quoted = view(segment.subarray(8));
  return quoted !== null && quoted.protocol === 6 && (quoted.segment[13] & 0x17) === 0x12;
}

/** A line of NFLOG without what the kernel draws at random. */
function nflogLine(sent: Buffer, line: string): string {
  const words = line.split(' ');
  words[5] = normal(sent, { dev: 'nflog', hex: words[5] });
  return words.join(' ');
}

/**
 * A line of the kernel log without what the kernel draws at random: the identification of a packet that it made itself, sequence number and
 * window of a SYN+ACK that it answers with.
 */
function logLine(sent: Buffer, line: string): string {
  const seen = view(sent);
  const own = seen?.version === 4 ? sent.readUInt16BE(4) : -1;
  const masked = line.replace(/ (TTL=\d+) ID=(\d+) /, (all, ttl, id) => (Number(id) === own ? all : ` ${ttl} ID=* `));
  const opened = seen !== null && seen.protocol === 6 && (seen.segment[13] & 0x12) === 0x02;
  return opened && / ACK SYN URGP/.test(line)
    ? masked.replace(/ SEQ=\d+ /, ' SEQ=* ').replace(/ WINDOW=\d+ /, ' WINDOW=* ')
    : masked;
}

/** Reports about earlier messages of whoever, and about rules and devices that are made, also elsewhere on the machine. */
const NOISE = / callbacks suppressed$|^\d (xt_connbytes: |mapping of prio |\S+( \(\w+\))?: (port \d|entered |left ))/;

/** Bytes to compare: what the kernel draws at random becomes 0. */
function normal(sent: Buffer, out: { dev: string; hex: string }): string {
  const bytes = Buffer.from(out.hex, 'hex');
  const seen = view(bytes);
  if (seen === null) return out.hex;
  if (opensHere(sent, seen) || tellsWhere(sent, seen)) return acceptedText(seen);
  if (quotesOpening(seen)) bytes.fill(0, seen.transport + 2);
  if (seen.version === 4) {
    if ((onesSum(bytes.subarray(0, seen.transport)) & 0xffff) === 0xffff) bytes.writeUInt16BE(0, 10);
    if (madeByRouter(sent, bytes)) bytes.writeUInt16BE(0, 4);
  } else {
    if (seen.fragmentId >= 0 && seen.fragmentId + 4 <= bytes.length)
      bytes.fill(0, seen.fragmentId, seen.fragmentId + 4);
    if (out.dev === 'local') {
      // The kernel side sees local delivery through a raw socket: no extension headers, no flow label.
      const header = Buffer.from(bytes.subarray(0, 40));
      header[1] &= 0xf0;
      header.writeUInt16BE(0, 2);
      header.writeUInt16BE(seen.segment.length, 4);
      header[6] = seen.protocol;
      return Buffer.concat([header, seen.segment]).toString('hex');
    }
  }
  return bytes.toString('hex');
}

const LOCAL_PROTOCOLS = new Set([1, 6, 17, 58]);

/** Whether raw sockets are open that get to see it. */
function isSeenLocally(bytes: Buffer): boolean {
  const seen = view(bytes);
  return seen !== null && LOCAL_PROTOCOLS.has(seen.protocol);
}

function shape(sent: SentPacket, outs: { dev: string; hex: string }[]): string[] {
  const input = Buffer.from(sent.hex, 'hex');
  return outs
    .filter((out) => out.dev !== 'local' || isSeenLocally(Buffer.from(out.hex, 'hex')))
    .map((out, i) => ({ dev: out.dev, text: `${out.dev} ${normal(input, out)}`, i }))
    .sort((a, b) =>
      a.dev < b.dev ? -1 : a.dev > b.dev ? 1 : a.dev === 'local' ? (a.text < b.text ? -1 : 1) : a.i - b.i,
    )
    .map((item) => item.text);
}

/** Rule counters of a save text by place. */
export function counters(text: string): Map<string, { counter: string; rule: string }> {
  const out = new Map<string, { counter: string; rule: string }>();
  const next = new Map<string, number>();
  let table = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1).trim();
    const chain = /^:(\S+) (\S+) \[(\d+:\d+)\]/.exec(line);
    if (chain && chain[2] !== '-') out.set(`${table}/${chain[1]}/0`, { counter: chain[3], rule: `policy ${chain[2]}` });
    const rule = /^\[(\d+:\d+)\] -A (\S+) ?(.*)/.exec(line);
    if (rule) {
      const key = `${table}/${rule[2]}`;
      const n = (next.get(key) ?? 0) + 1;
      next.set(key, n);
      out.set(`${key}/${n}`, { counter: rule[1], rule: rule[3] });
    }
  }
  return out;
}

/** Seconds. */
const SOON = 3;
const TIMEOUTS = [10, 30, 60, 120, 180, 300, 600, 432000];

function conntrackLines(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .flatMap((line) => {
      const words = line.replace(/\s+use=\d+/, '').split(/\s+/);
      const left = Number(words[4]);
      // The kernel is asked a moment later: what is about to end may have ended.
      if (left <= SOON) return [];
      const near = TIMEOUTS.find((timeout) => left <= timeout);
      words[4] = near === undefined ? '?' : String(near);
      return words.filter((word) => word !== '').join(' ');
    })
    .sort();
}

/** Expectations, whose first number counts down. */
function expectationLines(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) =>
      line.replace(/(^|\s)(\d+) proto=/, (_, before, left) => `${before}~${Math.ceil(Number(left) / 10)} proto=`),
    )
    .sort();
}

function setLines(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) =>
      line
        .replace(/ (initval 0x[0-9a-f]+|bucketsize \d+|hashsize \d+)/g, '')
        .replace(/ timeout (\d+)/, (_, t) => ` timeout ~${Math.ceil(Number(t) / 60)}`),
    )
    .sort();
}

function lack(want: string[], have: string[], what: Difference['what']): Difference[] {
  const left = [...have];
  const missing: string[] = [];
  for (const line of want) {
    const at = left.indexOf(line);
    if (at < 0) missing.push(line);
    else left.splice(at, 1);
  }
  return [
    ...missing.map((line) => ({ what, packet: -1, text: `kernel: ${line}` })),
    ...left.map((line) => ({ what, packet: -1, text: `iptsim: ${line}` })),
  ];
}

/** Lines that belong to packets: which packet's differ. */
function lackByPacket(
  want: string[][] | undefined,
  have: string[][] | undefined,
  what: Difference['what'],
): Difference[] {
  return (want ?? []).flatMap((lines, n) => {
    const other = have?.[n] ?? [];
    if (lines.join('\n') === other.join('\n')) return [];
    const text = `packet ${n + 1}, ${what}\n    kernel: ${lines.join('\n            ') || 'nothing'}\n    iptsim: ${other.join('\n            ') || 'nothing'}`;
    return [{ what, packet: n, text }];
  });
}

/** All differences between what the kernel did and what iptsim did. */
export function compare(sent: SentPacket[], kernel: Outcome, simulated: Outcome): Difference[] {
  const found: Difference[] = [];
  sent.forEach((packet, n) => {
    const want = shape(packet, kernel.outputs[n] ?? []);
    const have = shape(packet, simulated.outputs[n] ?? []);
    if (want.join('\n') !== have.join('\n')) {
      found.push({
        what: 'packet',
        packet: n,
        text: `packet ${n + 1} on ${packet.dev} ${packet.hex}\n    kernel: ${want.join('\n            ') || 'nothing'}\n    iptsim: ${have.join('\n            ') || 'nothing'}`,
      });
    }
  });
  for (const [family, want, have] of [
    ['v4', kernel.saveV4, simulated.saveV4],
    ['v6', kernel.saveV6, simulated.saveV6],
  ]) {
    const got = counters(have);
    for (const [where, { counter, rule }] of counters(want)) {
      const other = got.get(where)?.counter;
      if (other !== counter)
        found.push({
          what: 'counter',
          packet: -1,
          text: `${family} ${where}: kernel [${counter}] iptsim [${other}]  ${rule}`,
        });
    }
  }
  found.push(...lack(conntrackLines(kernel.conntrack), conntrackLines(simulated.conntrack), 'conntrack'));
  if (kernel.expectations !== undefined)
    found.push(
      ...lack(expectationLines(kernel.expectations), expectationLines(simulated.expectations ?? ''), 'expectation'),
    );
  found.push(...lack(setLines(kernel.ipset), setLines(simulated.ipset), 'ipset'));
  const shown = (lines: string[][] | undefined): string[][] | undefined =>
    lines?.map((each, n) => {
      const all = each.map((line) => nflogLine(Buffer.from(sent[n]?.hex ?? '', 'hex'), line));
      // What the machine sends to itself comes in again while the rest is still on its way out.
      return sent[n]?.dev === 'local' ? all.sort() : all;
    });
  found.push(...lackByPacket(shown(kernel.nflog), shown(simulated.nflog), 'nflog'));
  const told = (lines: string[][] | undefined): string[][] | undefined =>
    lines?.map((each, n) =>
      each.filter((line) => !NOISE.test(line)).map((line) => logLine(Buffer.from(sent[n]?.hex ?? '', 'hex'), line)),
    );
  found.push(...lackByPacket(told(kernel.log), told(simulated.log), 'log'));
  return found;
}

/** Only where packets went: for rules that choose at random. */
export function compareWays(sent: SentPacket[], kernel: Outcome, simulated: Outcome): Difference[] {
  const ways = (outs: { dev: string }[] | undefined): string =>
    (outs ?? []).map(({ dev }) => dev).join(' ') || 'nowhere';
  return sent.flatMap((packet, n) => {
    const [want, have] = [ways(kernel.outputs[n]), ways(simulated.outputs[n])];
    if (want === have) return [];
    const text = `packet ${n + 1} on ${packet.dev} ${packet.hex}\n    kernel: ${want}\n    iptsim: ${have}`;
    return [{ what: 'packet' as const, packet: n, text }];
  });
}
