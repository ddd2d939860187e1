import { icmp, ip, type TcpFields, tcp, udp, words16 } from '../frames.ts';
import type { Random } from '../random.ts';
import type { PlannedPacket } from '../scenario.ts';
import { BRIDGE_MACHINES, NOWHERE, PLACES, ROUTER_ADDRESSES } from './hosts.ts';

export type Family = 4 | 6;

export const PORTS = [22, 25, 53, 80, 443, 8080, 5353, 1024, 33434];

export interface End {
  dev: string;
  address: string;
  sourceMac?: string;
  destinationMac?: string;
}

function places(family: Family, dev: keyof typeof PLACES): string[] {
  return family === 4 ? PLACES[dev].v4 : PLACES[dev].v6;
}

/** Where a packet comes from and goes to: mostly through the router, sometimes to it or from it. */
export function ends(random: Random, family: Family, bridged: boolean): { from: End; to: string } {
  if (bridged) {
    const from = random.pick(BRIDGE_MACHINES);
    const others = BRIDGE_MACHINES.filter((machine) => machine !== from);
    const kind = random.next();
    const own = (machine: (typeof BRIDGE_MACHINES)[number]): string => (family === 4 ? machine.v4 : machine.v6);
    if (kind < 0.15)
      return {
        from: { dev: from.port, address: own(from), sourceMac: from.mac, destinationMac: '02:00:00:00:00:0b' },
        to: family === 4 ? '172.16.0.1' : 'fd00:0:0:0:0:0:0:1',
      };
    if (kind < 0.25 && family === 4)
      return {
        from: { dev: from.port, address: own(from), sourceMac: from.mac, destinationMac: 'ff:ff:ff:ff:ff:ff' },
        to: '172.16.0.255',
      };
    const to = random.pick(others);
    return { from: { dev: from.port, address: own(from), sourceMac: from.mac, destinationMac: to.mac }, to: own(to) };
  }
  const devs = ['eth0', 'eth1', 'eth2'] as const;
  const dev = random.pick(devs);
  const own = family === 4 ? ROUTER_ADDRESSES.v4 : ROUTER_ADDRESSES.v6;
  const kind = random.next();
  if (kind > 0.97) {
    const to = random.pick(family === 4 ? NOWHERE.v4 : NOWHERE.v6);
    return { from: { dev, address: random.pick(places(family, dev)), sourceMac: '02:00:00:00:ff:10' }, to };
  }
  if (kind < 0.02) {
    const address = family === 4 ? '192.0.2.1' : own[0]!;
    const to =
      family === 4 ? random.pick(['192.0.2.255', '255.255.255.255', '224.0.0.1', '224.0.0.251']) : 'ff02:0:0:0:0:0:0:1';
    return { from: { dev: 'local', address }, to };
  }
  if (kind < 0.12) return { from: { dev: 'local', address: random.pick(own) }, to: random.pick(places(family, dev)) };
  const from = { dev, address: random.pick(places(family, dev)), sourceMac: `02:00:00:00:ff:1${random.int(0, 3)}` };
  if (kind < 0.3) return { from, to: random.pick(own) };
  return { from, to: random.pick(places(family, random.pick(devs.filter((other) => other !== dev)))) };
}

let identification = 0;

export function packet(
  random: Random,
  family: Family,
  from: End,
  to: string,
  protocol: number,
  segment: Buffer,
  extra: Partial<Parameters<typeof ip>[0]> = {},
): PlannedPacket {
  identification = (identification + 1) & 0x3fff;
  const fields = {
    source: from.address,
    destination: to,
    protocol,
    id: identification + 1,
    ttl: random.chance(0.06) ? random.pick([1, 2, 255]) : 64,
    tos: random.chance(0.15) ? random.pick([0x10, 0x08, 0x28, 0xb8, 0x02, 0x03]) : 0,
    dontFragment: random.chance(0.4),
    ...extra,
  };
  return {
    dev: from.dev,
    sourceMac: from.sourceMac,
    destinationMac: from.destinationMac,
    hex: ip(family === 4 ? fields : { ...fields, id: undefined }, segment).toString('hex'),
  };
}

/**
 * IPv4 options: none, record route (full or with room), router alert, a wrong length, source routes (loose and strict; to other machines, over this
 * one, back; passed or not), timestamps, CIPSO, and a record route before what is wrong.
 */
const IP_OPTIONS = [
  '01010101',
  '07040400',
  '0707040000000000',
  '94040000',
  '0204ffff',
  '8307040a00006300',
  '8907080a00006300',
  '8307040a00000a00',
  '8307040a00021400',
  '8907040a00000b00',
  '830b040a0000010a00021500',
  '830b080a0002010a00000a00',
  '830b0c0a0002010a00000a00',
  '890b0c0a0002140a00000b00',
  '830f100a0002010a00000a0a00008200',
  '8307050a00000a00',
  '8308040a00000aff',
  '4408050000000000',
  '440c05010000000000000000',
  '440c05030a00020100000000',
  '8606000000010000',
  '860a00000001010400000000',
  '070704000000000183020000',
];

function tcpOptions(random: Random): Buffer {
  const parts = [Buffer.from('020405b4', 'hex')];
  if (random.chance(0.5)) parts.push(Buffer.from('0103030e', 'hex').subarray(1), Buffer.from([1]));
  if (random.chance(0.5)) parts.push(Buffer.from('04020101', 'hex'));
  if (random.chance(0.3)) parts.push(Buffer.from('0101080a0000000100000000', 'hex'));
  return Buffer.concat(parts);
}

/** A whole or partial conversation: the first packet, answers of the far end, more from the near end. */
export function conversation(random: Random, family: Family, bridged: boolean, at: number): PlannedPacket[] {
  const { from, to } = ends(random, family, bridged);
  const kind = random.next();
  const sourcePort = random.chance(0.2) ? random.pick([53, 500, 1023]) : random.int(1024, 65000);
  const destinationPort = random.pick(PORTS);
  const answer = (kindOf: string, target = at, payload = ''): PlannedPacket => ({
    dev: '',
    answer: { to: target, kind: kindOf, payload },
  });
  if (kind < 0.5) {
    const make = (fields: Partial<TcpFields>): PlannedPacket =>
      packet(random, family, from, to, 6, tcp({ sourcePort, destinationPort, ...fields }, from.address, to));
    const window = random.pick([8192, 8192, 5840, 6000, 65535]);
    const list = [make({ flags: 'S', sequence: 1000, window, options: tcpOptions(random) })];
    const depth = random.int(0, 6);
    if (depth > 0)
      list.push(answer(random.chance(0.85) ? 'SA' : random.pick(['RA', 'error 3 3', 'error 3 1', 'error 11 0'])));
    if (depth > 1) list.push(make({ flags: 'A', sequence: 1001, acknowledgement: 5001 }));
    if (depth > 2)
      list.push(
        make({ flags: 'PA', sequence: 1001, acknowledgement: 5001, payload: Buffer.from('GET / HTTP/1.0\r\n\r\n') }),
      );
    if (depth > 3) list.push(answer('PA', at + list.length - 1, 'hello'));
    if (depth > 4) list.push(make({ flags: 'FA', sequence: 1019, acknowledgement: 5006 }));
    if (depth > 5) list.push(answer('FA', at + list.length - 1));
    // An error about the last packet, whichever way it went.
    if (random.chance(0.1))
      list.push(
        answer(
          family === 4 ? random.pick(['error 3 1', 'error 3 4', 'error 11 0']) : 'error 1 3',
          at + list.length - 1,
        ),
      );
    if (random.chance(0.2))
      list.push(
        make({
          flags: random.pick(['R', 'RA', 'S', 'SA', 'F', 'A', 'FPU', '', 'SF']),
          sequence: random.pick([1000, 1001, 1019, 99999]),
          acknowledgement: random.pick([0, 5001, 77777]),
        }),
      );
    return list;
  }
  if (kind < 0.78) {
    const list = [
      packet(
        random,
        family,
        from,
        to,
        17,
        udp(
          sourcePort,
          destinationPort,
          Buffer.from('question'),
          from.address,
          to,
          random.chance(0.1) && family === 4 ? 'zero' : 'good',
        ),
      ),
    ];
    const depth = random.int(0, 3);
    if (depth > 0)
      list.push(
        answer(
          random.chance(0.8)
            ? 'reply'
            : family === 4
              ? random.pick(['error 3 3', 'error 3 1', 'error 3 4', 'error 11 0'])
              : random.pick(['error 1 4', 'error 3 0']),
          at,
          'answer',
        ),
      );
    if (depth > 0 && random.chance(0.15)) list.push(answer(family === 4 ? 'error 3 3' : 'error 1 4', at + 1));
    if (depth > 1)
      list.push(
        packet(random, family, from, to, 17, udp(sourcePort, destinationPort, Buffer.from('again'), from.address, to)),
      );
    return list;
  }
  if (kind < 0.92) {
    const v6 = family === 6 ? { source: from.address, destination: to } : undefined;
    const id = random.int(1, 500);
    const type = family === 6 ? 128 : random.chance(0.85) ? 8 : random.pick([13, 15, 17, 0, 5, 9]);
    const make = (seq: number): PlannedPacket =>
      packet(
        random,
        family,
        from,
        to,
        family === 6 ? 58 : 1,
        icmp(type, 0, words16(id, seq), Buffer.from('ping-data-ping-data'), v6),
      );
    const list = [make(1)];
    if (random.chance(0.7)) list.push(answer('reply'));
    if (random.chance(0.3)) list.push(make(2));
    return list;
  }
  return [packet(random, family, from, to, random.pick([47, 50, 99, 132, 136]), random.bytes(random.int(8, 40)))];
}

/** Packets that open connections to sockets of the router, or to elsewhere where a rule may hand them to one. */
export function toListeners(random: Random, family: Family, sockets: readonly string[]): PlannedPacket[] {
  const { from, to } = ends(random, family, false);
  const [protocol = '', number] = random.pick(sockets).split('/');
  const port = random.chance(0.8) ? Number(number) : random.pick(PORTS);
  const sourcePort = random.int(1024, 65000);
  if (protocol === 'udp') {
    const segment = udp(sourcePort, port, Buffer.from('to a socket'), from.address, to);
    return [packet(random, family, from, to, 17, segment)];
  }
  const segment = tcp(
    {
      sourcePort,
      destinationPort: port,
      flags: random.chance(0.85) ? 'S' : random.pick(['A', 'R', 'SA', 'FA', 'SEC']),
      options: tcpOptions(random),
    },
    from.address,
    to,
  );
  return [packet(random, family, from, to, 6, segment)];
}

/** Several flows of one machine to one other: what limits count. */
export function burst(random: Random, family: Family): PlannedPacket[] {
  const { from, to } = ends(random, family, false);
  const port = random.int(2000, 60000);
  const destinationPort = random.pick(PORTS);
  return Array.from({ length: random.int(2, 6) }, (_, i) =>
    random.chance(0.6)
      ? packet(random, family, from, to, 6, tcp({ sourcePort: port + i, destinationPort }, from.address, to))
      : packet(random, family, from, to, 17, udp(port + i, destinationPort, Buffer.from('burst'), from.address, to)),
  );
}

/** One packet with something odd about it. */
export function oddity(random: Random, family: Family, bridged: boolean): PlannedPacket[] {
  const { from, to } = ends(random, family, bridged);
  if (from.dev === 'local') return [];
  const segment = tcp(
    {
      sourcePort: random.int(1024, 65000),
      destinationPort: random.pick(PORTS),
      flags: 'S',
      badChecksum: random.chance(0.3),
    },
    from.address,
    to,
  );
  switch (random.int(0, 6)) {
    case 0:
      return [packet(random, family, from, to, 6, segment.subarray(0, random.int(0, 19)))];
    case 1:
      return [
        packet(
          random,
          family,
          from,
          to,
          17,
          udp(
            1000,
            random.pick(PORTS),
            random.bytes(4),
            from.address,
            to,
            random.chance(0.5) ? 'bad' : 'good',
          ).subarray(0, random.int(0, 12)),
        ),
      ];
    case 2:
      return family === 4
        ? [packet(random, 4, from, to, 6, segment, { badChecksum: true })]
        : [packet(random, 6, from, to, 6, segment, { length: 5000 })];
    case 3:
      return family === 4
        ? [
            packet(random, 4, from, to, 6, segment, {
              options: Buffer.from(random.pick(IP_OPTIONS), 'hex'),
            }),
          ]
        : [packet(random, 6, from, to, 6, segment, { extensions: [[60, Buffer.from('00010400000000', 'hex')]] })];
    case 4: {
      const whole = udp(
        random.int(1024, 60000),
        random.pick(PORTS),
        random.bytes(random.int(40, 900)),
        from.address,
        to,
      );
      const cut = random.int(1, Math.floor((whole.length - 1) / 8)) * 8;
      const id = random.int(1, 0xffff);
      if (family === 6) {
        const body = (offset: number, more: boolean): Buffer =>
          Buffer.concat([Buffer.alloc(1), words16(offset | (more ? 1 : 0)), words16(0, id)]);
        return [
          packet(random, 6, from, to, 17, whole.subarray(0, cut), { extensions: [[44, body(0, true)]] }),
          packet(random, 6, from, to, 17, whole.subarray(cut), { extensions: [[44, body(cut, false)]] }),
        ];
      }
      const list = [
        packet(random, 4, from, to, 17, whole.subarray(0, cut), { id, moreFragments: true, dontFragment: false }),
        packet(random, 4, from, to, 17, whole.subarray(cut), { id, offset: cut, dontFragment: false }),
      ];
      return random.chance(0.3) ? list.reverse() : list;
    }
    case 5:
      return [
        packet(
          random,
          family,
          from,
          to,
          17,
          udp(4000, 53, random.bytes(random.pick([1200, 1300, 1400, 1460])), from.address, to),
        ),
      ];
    default:
      return [
        packet(
          random,
          family,
          {
            ...from,
            address:
              family === 4
                ? random.pick(['127.0.0.1', '0.0.0.0', '224.0.0.5', '255.255.255.255', '240.0.0.1', '192.0.2.1'])
                : random.pick(['0:0:0:0:0:0:0:1', 'ff02:0:0:0:0:0:0:1', '0:0:0:0:0:0:0:0']),
          },
          to,
          6,
          segment,
        ),
      ];
  }
}
