import { addressBytes, icmp, ip, tcp, transportSum, udp, words16 } from '../frames.ts';
import type { Random } from '../random.ts';
import type { PlannedPacket } from '../scenario.ts';
import { type End, type Family, PORTS } from './packets.ts';

/** CRC32c (RFC 9260 appendix A), least significant byte first in the packet. */
function crc32c(data: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

const INIT_PARAMETERS = Buffer.concat([words16(0, 77, 0, 0xffff, 10, 10, 0, 1)]);

/** An SCTP packet of chunks: [type, flags, body]. */
export function sctp(
  sourcePort: number,
  destinationPort: number,
  tag: number,
  chunks: [number, number, Buffer][],
  checksum = true,
): Buffer {
  const parts = chunks.map(([type, flags, body]) =>
    Buffer.concat([
      Buffer.from([type, flags]),
      words16(4 + body.length),
      body,
      Buffer.alloc((4 - (body.length % 4)) % 4),
    ]),
  );
  const packet = Buffer.concat([words16(sourcePort, destinationPort, tag >>> 16, tag & 0xffff, 0, 0), ...parts]);
  packet.writeUInt32LE(checksum ? crc32c(packet) : 1, 8);
  return packet;
}

const SCTP_CHUNKS: [number, Buffer][] = [
  [0, Buffer.concat([words16(0, 1, 0, 0, 0, 0), Buffer.from('data')])],
  [2, INIT_PARAMETERS],
  [3, words16(0, 1, 0xff, 0xff, 0, 0)],
  [4, Buffer.from('0001000861626364', 'hex')],
  [5, Buffer.from('0001000861626364', 'hex')],
  [6, Buffer.alloc(0)],
  [7, words16(0, 1)],
  [8, Buffer.alloc(0)],
  [10, Buffer.from('cookie..')],
  [11, Buffer.alloc(0)],
  [14, Buffer.alloc(0)],
];

type Wrap = (protocol: number, segment: Buffer) => PlannedPacket;

function association(random: Random, wrap: Wrap, at: number): PlannedPacket[] {
  const [source, destination] = [random.int(1024, 65000), random.pick(PORTS)];
  const good = random.chance(0.93);
  const list = [wrap(132, sctp(source, destination, random.chance(0.95) ? 0 : 5, [[1, 0, INIT_PARAMETERS]], good))];
  const far = (kind: string): PlannedPacket => ({ dev: '', answer: { to: at, kind: `sctp ${kind}` } });
  const own = (type: number, body: Buffer): PlannedPacket =>
    wrap(132, sctp(source, destination, 0x1234, [[type, 0, body]]));
  const depth = random.int(0, 6);
  if (depth > 0) list.push(far('2'));
  if (depth > 1) list.push(own(10, Buffer.from('cookie..')));
  if (depth > 2) list.push(far('11'));
  if (depth > 3) list.push(own(...random.pick(SCTP_CHUNKS)));
  if (depth > 4) list.push(far(String(random.pick([0, 3, 4, 6, 7, 8, 14]))));
  if (depth > 5) list.push(own(...random.pick(SCTP_CHUNKS)));
  return list;
}

/** DCCP (RFC 4340) with 48-bit sequence numbers; the first packet of a connection, or any. */
function dccp(random: Random, wrap: Wrap, from: End, to: string): PlannedPacket[] {
  const make = (type: number): PlannedPacket => {
    const more = [0, 1, 5, 6].includes(type) ? Buffer.alloc(8) : Buffer.alloc(16);
    const options = random.chance(0.4)
      ? Buffer.from(random.pick(['01010101', '26040102', '01260302']), 'hex')
      : Buffer.alloc(0);
    const packet = Buffer.concat([
      words16(random.int(1024, 65000), random.pick(PORTS)),
      Buffer.from([0, 0]),
      words16(0),
      Buffer.from([(type << 1) | 1, 0]),
      words16(0, 0, random.int(1, 999)),
      more,
      options,
    ]);
    packet[4] = packet.length / 4;
    packet.writeUInt16BE(transportSum(addressBytes(from.address), addressBytes(to), 33, packet), 6);
    return wrap(33, packet);
  };
  return [make(0), make(random.int(0, 9))];
}

function authenticated(random: Random, next: number, payload: Buffer): Buffer {
  const head = Buffer.concat([
    Buffer.from([next, random.pick([4, 4, 1])]),
    words16(random.pick([0, 0, 7]), 0, random.int(1, 400), 0, 1),
  ]);
  return Buffer.concat([head, Buffer.alloc(12), payload]);
}

/** A packet or conversation of a protocol that is neither TCP, UDP nor ICMP. */
export function otherProtocol(random: Random, _family: Family, at: number, from: End, to: string): PlannedPacket[] {
  let n = 0;
  const wrap: Wrap = (protocol, segment) => {
    n++;
    const fields = { source: from.address, destination: to, protocol, id: 0x2800 + n };
    return { dev: from.dev, sourceMac: from.sourceMac, hex: ip(fields, segment).toString('hex') };
  };
  const reply: PlannedPacket = { dev: '', answer: { to: at, kind: 'reply' } };
  const kind = random.next();
  if (kind < 0.35) return association(random, wrap, at);
  if (kind < 0.5) return dccp(random, wrap, from, to);
  const inner = udp(4000, 53, Buffer.from('inner'), from.address, to);
  if (kind < 0.62) return [wrap(51, authenticated(random, 17, inner)), reply];
  if (kind < 0.74)
    return [wrap(50, Buffer.concat([words16(0, random.int(1, 400), 0, 1), random.bytes(random.int(0, 24))])), reply];
  if (kind < 0.84)
    return [wrap(108, Buffer.concat([Buffer.from([17, 0]), words16(random.int(1, 400)), random.bytes(8)]))];
  if (kind < 0.93) {
    const lite = udp(random.int(1024, 65000), random.pick(PORTS), Buffer.from('lite'), from.address, to, 'good', 136);
    lite.writeUInt16BE(random.pick([0, 8, lite.length]), 4);
    lite.writeUInt16BE(0, 6);
    const covered = lite.readUInt16BE(4) || lite.length;
    const pseudo = transportSum(addressBytes(from.address), addressBytes(to), 136, lite.subarray(0, covered));
    // The pseudo header has the whole length, also where less is covered.
    let sum = (~pseudo & 0xffff) + lite.length - covered;
    sum = (sum & 0xffff) + (sum >>> 16);
    lite.writeUInt16BE(~sum & 0xffff || 0xffff, 6);
    return [wrap(136, lite), reply];
  }
  return [wrap(47, Buffer.concat([words16(random.pick([0, 0x2000]), 0x0800), random.bytes(16)])), reply];
}

const spi = (random: Random): string => random.int(1, 400).toString(16).padStart(8, '0');

/** Extension headers by type: what follows the next-header byte, in hexadecimal. */
const EXTENSION_HEADERS: readonly [number, (random: Random, to: string) => string][] = [
  [0, (r) => r.pick(['00010400000000', '00050200000100'])],
  [60, (r) => r.pick(['00010400000000', '000402abcd0100', '001e0401020304'])],
  [43, (r) => `00${r.pick(['00', '02', '03'])}${r.pick(['00', '01'])}00000000`],
  [43, (r, to) => `0204${r.pick(['00', '00', '01'])}00000007${addressBytes(to).toString('hex')}`],
  [51, (r) => `040000${spi(r)}00000001${'00'.repeat(12)}`],
  [44, (r) => `000000${spi(r)}`],
];

/** One IPv6 packet with extension headers. */
export function extended(random: Random, from: End, to: string): PlannedPacket[] {
  const chosen = EXTENSION_HEADERS.filter(() => random.chance(0.3)).slice(0, 3);
  const headers = (chosen.length > 0 ? chosen : [random.pick(EXTENSION_HEADERS)]).map(
    ([type, body]): [number, Buffer] => [type, Buffer.from(body(random, to), 'hex')],
  );
  // Also out of their order, and one kind of them twice.
  if (random.chance(0.2)) headers.reverse();
  if (random.chance(0.1)) headers.push(headers[0]!);
  const kind = random.next();
  const wrap = (protocol: number, segment: Buffer): PlannedPacket => ({
    dev: from.dev,
    sourceMac: from.sourceMac,
    hex: ip({ source: from.address, destination: to, protocol, extensions: headers }, segment).toString('hex'),
  });
  if (kind < 0.35)
    return [
      wrap(6, tcp({ sourcePort: random.int(1024, 65000), destinationPort: random.pick(PORTS) }, from.address, to)),
    ];
  if (kind < 0.7)
    return [wrap(17, udp(random.int(1024, 65000), random.pick(PORTS), Buffer.from('extended'), from.address, to))];
  if (kind < 0.82)
    return [wrap(58, icmp(128, 0, words16(3, 1), Buffer.from('ping'), { source: from.address, destination: to }))];
  if (kind < 0.9) return [wrap(59, Buffer.alloc(0))];
  // Mobility (RFC 6275): next header 59, length, type.
  const mobile = Buffer.concat([Buffer.from([59, 1, random.int(0, 8), 0]), words16(0, 0, 0, 0, 0, 0)]);
  mobile.writeUInt16BE(transportSum(addressBytes(from.address), addressBytes(to), 135, mobile), 4);
  return [wrap(135, mobile)];
}

/** Fragments of one datagram: in order, out of order, repeated, overlapping, or some of them only. */
export function fragments(random: Random, family: Family, from: End, to: string): PlannedPacket[] {
  const [source, destination] = [random.int(1024, 65000), random.pick(PORTS)];
  const isTcp = random.chance(0.2);
  const payload = random.bytes(random.int(40, random.chance(0.3) ? 3000 : 900));
  const whole = isTcp
    ? tcp({ sourcePort: source, destinationPort: destination, flags: 'PA', payload }, from.address, to)
    : udp(source, destination, payload, from.address, to);
  const id = random.int(1, 0xffff);
  const protocol = isTcp ? 6 : 17;
  const cuts = new Set<number>([0]);
  for (let i = random.int(1, 3); i > 0; i--) cuts.add(random.int(1, Math.floor((whole.length - 1) / 8)) * 8);
  for (let at = 1200; at < whole.length; at += 1200) cuts.add(at);
  const starts = [...cuts].sort((a, b) => a - b);
  const dontFragment = random.chance(0.15);
  const piece = (start: number, end: number): PlannedPacket => {
    const more = end < whole.length;
    const common = { source: from.address, destination: to, protocol };
    const part = whole.subarray(start, end);
    const body = Buffer.concat([Buffer.alloc(1), words16(start | (more ? 1 : 0), 0, id)]);
    const packet =
      family === 4
        ? ip({ ...common, id, offset: start, moreFragments: more, dontFragment }, part)
        : ip({ ...common, extensions: [[44, body]] }, part);
    return { dev: from.dev, sourceMac: from.sourceMac, hex: packet.toString('hex') };
  };
  const list = starts.map((start, i) => piece(start, starts[i + 1] ?? whole.length));
  const kind = random.next();
  if (kind < 0.15) list.reverse();
  else if (kind < 0.25) list.splice(random.int(0, list.length - 1), 1);
  else if (kind < 0.33) list.push(list[random.int(0, list.length - 1)]!);
  else if (kind < 0.4 && starts.length > 1)
    list.splice(1, 0, piece(Math.max(0, starts[1]! - 8), starts[2] ?? whole.length));
  return list;
}
