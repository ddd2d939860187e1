import { icmp, ip, type TcpFields, tcp, udp, words16 } from '../frames.ts';
import type { Random } from '../random.ts';
import type { PlannedPacket } from '../scenario.ts';
import { type End, type Family, PORTS } from './packets.ts';
import { sctp } from './protocols.ts';

type Wrap = (protocol: number, segment: Buffer, ttl?: number) => PlannedPacket;

/** A TCP connection that is opened, and then segments that do not fit it. */
function segments(random: Random, wrap: Wrap, at: number, from: End, to: string): PlannedPacket[] {
  const ports = { sourcePort: random.int(1024, 65000), destinationPort: random.pick(PORTS) };
  const make = (fields: Partial<TcpFields>): PlannedPacket =>
    wrap(6, tcp({ ...ports, flags: 'A', sequence: 1001, acknowledgement: 5001, ...fields }, from.address, to));
  const list: PlannedPacket[] = [
    make({ flags: 'S', sequence: 1000, acknowledgement: 0 }),
    { dev: '', answer: { to: at, kind: 'SA' } },
    make({}),
    make({ flags: 'PA', payload: Buffer.from('some data') }),
  ];
  const far = (kind: string, payload = ''): number =>
    list.push({ dev: '', answer: { to: at + list.length - 1, kind, payload } });
  if (random.chance(0.5)) far('A');
  const wrong: (() => unknown)[] = [
    () => list.push(make({ sequence: 900_000_000 })),
    () => list.push(make({ sequence: 1010, payload: Buffer.alloc(1400), acknowledgement: 5001 })),
    () => list.push(make({ sequence: 1010 + 64000, payload: Buffer.alloc(1200) })),
    () => list.push(make({ acknowledgement: 800_000_000 })),
    () => list.push(make({ sequence: 4_200_000_000, payload: Buffer.from('old') })),
    () => list.push(make({ acknowledgement: 4_294_000_000 })),
    () => list.push(make({ flags: 'R', sequence: random.pick([0, 1, 1010, 60_000]) })),
    () => list.push(make({ flags: 'S', sequence: 2000, acknowledgement: 0 })),
    () => list.push(make({ flags: random.pick(['SF', 'FPU', '', 'SR', 'SA', 'F']) })),
    () => list.push(make({ badChecksum: true })),
    () => list.push(make({ flags: 'FA', sequence: 1010 })),
    () => far('FA'),
    () => far('R'),
    () => far('A'),
    () => far('SA'),
    () => far('PA', 'hello'),
    () => {
      list.push(make({ flags: 'FA', sequence: 900_000_000 }));
      far('R');
      list.push(make({ flags: 'R', sequence: 900_000_000 }));
    },
  ];
  for (let i = random.int(1, 4); i > 0; i--) random.pick(wrong)();
  return list;
}

function icmpMessage(random: Random, wrap: Wrap, family: Family, from: End, to: string): PlannedPacket {
  const v6 = family === 6 ? { source: from.address, destination: to } : undefined;
  const rest = words16(random.int(1, 500), 1);
  const protocol = family === 4 ? 1 : 58;
  const type = family === 4 ? random.pick([8, 3, 5, 19, 40, 255, 0, 14]) : random.pick([128, 1, 3, 137, 127, 140, 200]);
  const message = icmp(type, random.pick([0, 0, 1]), rest, random.bytes(random.int(0, 60)), v6);
  if (random.chance(0.2)) message[3] ^= 0x55;
  return wrap(protocol, random.chance(0.2) ? message.subarray(0, random.int(0, 7)) : message, random.pick([64, 255]));
}

/** An error that quotes a datagram of this sender, but is for somebody else. */
function misdirected(random: Random, wrap: Wrap, family: Family, from: End, to: string, at: number): PlannedPacket[] {
  const sourcePort = random.int(1024, 65000);
  const segment = udp(sourcePort, random.pick(PORTS), Buffer.from('question'), from.address, to);
  const inner = ip(
    { source: to, destination: from.address, protocol: 17 },
    udp(53, sourcePort, Buffer.from('x'), to, from.address),
  );
  const v6 = family === 6 ? { source: from.address, destination: to } : undefined;
  const swapped = udp(segment.readUInt16BE(2), sourcePort, Buffer.from('answer'), to, from.address);
  const quote = random.chance(0.8) ? ip({ source: to, destination: from.address, protocol: 17 }, swapped) : inner;
  const error = icmp(family === 4 ? 3 : 1, family === 4 ? 3 : 4, words16(0, 0), quote, v6);
  return [
    wrap(17, segment),
    { dev: '', answer: { to: at, kind: 'reply', payload: 'answer' } },
    wrap(family === 4 ? 1 : 58, error),
  ];
}

/** An error to the router about what it should have sent to a broadcast address. */
function bogusError(random: Random, wrap: Wrap, to: string): PlannedPacket {
  const whom = random.pick(['192.0.2.255', '10.0.0.255', '255.255.255.255', '10.0.0.10']);
  const quote = ip({ source: to, destination: whom, protocol: 17 }, udp(53, 1024, Buffer.from('x'), to, whom));
  const type = random.pick([3, 3, 4, 5, 11, 12]);
  return wrap(1, icmp(type, random.pick([0, 1, 3, 4]), words16(0, 0), quote.subarray(0, random.pick([28, 20, 12]))));
}

function datagram(random: Random, wrap: Wrap, from: End, to: string): PlannedPacket {
  const lite = random.chance(0.4);
  const kind = random.pick(['good', 'bad', 'zero'] as const);
  const segment = udp(random.int(1024, 65000), random.pick(PORTS), Buffer.from('text'), from.address, to, kind);
  if (random.chance(0.5)) segment.writeUInt16BE(random.pick([0, 4, 7, 8, 200]), 4);
  return wrap(lite ? 136 : 17, random.chance(0.2) ? segment.subarray(0, random.int(4, 7)) : segment);
}

const INIT = Buffer.concat([words16(0, 77, 0, 0xffff, 10, 10, 0, 1)]);

function chunks(random: Random, wrap: Wrap): PlannedPacket[] {
  const [source, destination] = [random.int(1024, 65000), random.pick(PORTS)];
  const make = (tag: number, list: [number, number, Buffer][], good = true): PlannedPacket =>
    wrap(132, sctp(source, destination, tag, list, good));
  const open = make(0, [[1, 0, INIT]]);
  const data: [number, number, Buffer] = [0, 3, Buffer.from('00000001000000000000000061', 'hex')];
  const cut = make(0, [[1, 0, INIT]]);
  const wrong: PlannedPacket[] = [
    make(0, [[1, 0, INIT]], false),
    make(5, [data]),
    make(5, [data, [1, 0, INIT]]),
    make(5, [data, [11, 0, Buffer.alloc(0)]]),
    make(0, [[1, 0, INIT], data]),
    make(7, [[7, 0, words16(0, 1)]]),
    make(7, [[2, 0, INIT]]),
    { ...cut, hex: cut.hex?.slice(0, -48) },
  ];
  return [...(random.chance(0.7) ? [open] : []), random.pick(wrong), random.pick(wrong)];
}

/** Packets that connection tracking finds invalid, each with a complaint of its own. */
export function invalid(random: Random, family: Family, at: number, from: End, to: string): PlannedPacket[] {
  let n = 0;
  const wrap: Wrap = (protocol, segment, ttl = 64) => {
    n++;
    const fields = { source: from.address, destination: to, protocol, ttl, id: 0x2c00 + n };
    return { dev: from.dev, sourceMac: from.sourceMac, hex: ip(fields, segment).toString('hex') };
  };
  const kind = random.next();
  if (kind < 0.5) return segments(random, wrap, at, from, to);
  if (kind < 0.68) return [icmpMessage(random, wrap, family, from, to)];
  if (kind < 0.76) return misdirected(random, wrap, family, from, to, at);
  if (kind < 0.86) return [datagram(random, wrap, from, to)];
  if (kind < 0.9 && family === 4) return [bogusError(random, wrap, to)];
  return chunks(random, wrap);
}
