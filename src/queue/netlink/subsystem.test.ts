import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../packet/bytes.ts';
import type { HandlerPacket, HandlerRelease } from '../handler.ts';
import { attribute, join, nested, number16, number32, parseMessages, viewOf } from './message.ts';
import { QueueSubsystem } from './subsystem.ts';

/** Numbers of linux/netfilter/nfnetlink_queue.h. What the real kernel answers to each request is compared in test/queue. */
const CONFIG = 0x302;
const VERDICT = 0x301;
const BATCH = 0x303;

function request(type: number, queue: number, ...attributes: Uint8Array[]): Uint8Array {
  const body = join([Uint8Array.of(0, 0), number16(queue), ...attributes]);
  const bytes = new Uint8Array(16 + body.length);
  const view = viewOf(bytes, 0);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, 5, true);
  bytes.set(body, 16);
  return bytes;
}

const bind = (queue: number) => request(CONFIG, queue, attribute(1, Uint8Array.of(1, 0, 0, 0)));
const mode = (queue: number, range: number, kind: number) =>
  request(CONFIG, queue, attribute(2, join([number32(range), Uint8Array.of(kind)])));
const flags = (queue: number, value: number) =>
  request(CONFIG, queue, attribute(5, number32(value)), attribute(4, number32(value)));
const verdict = (type: number, queue: number, value: number, id: number, ...more: Uint8Array[]) =>
  request(type, queue, attribute(2, join([number32(value), number32(id)])), ...more);

const PACKET: HandlerPacket = {
  queue: 5,
  id: 7,
  time: 1.5,
  hook: 'FORWARD',
  table: 'mangle',
  mark: 3,
  indev: 'eth0',
  outdev: 'eth1',
  physindev: null,
  physoutdev: null,
  hwaddr: '02:00:00:00:ff:01',
  uid: 1000,
  gid: 100,
  payload: '4500001c00000000401166cc0a0000050a000001138800350008d850',
  family: 4,
  priority: 0,
  ifindex: { eth0: 2, eth1: 3 },
  conntrack: {
    info: 2,
    id: 99,
    status: 0,
    state: null,
    mark: 0,
    zone: 0,
    labels: null,
    helper: null,
    original: { source: '10.0.0.5', destination: '10.0.0.1', protocol: 17, sport: 5000, dport: 53 },
    reply: { source: '10.0.0.1', destination: '10.0.0.5', protocol: 17, sport: 53, dport: 5000 },
  },
};

function subsystem() {
  const decided: [number, HandlerRelease][] = [];
  const kernel = new QueueSubsystem<string>((queue, release) => decided.push([queue, release]));
  const error = (bytes: Uint8Array, socket = 'a') => viewOf(kernel.receive(socket, bytes)[0]!, 16).getInt32(0, true);
  const shown = (packet = PACKET) => {
    const offer = kernel.offer(packet);
    if (typeof offer === 'string') return offer;
    return Object.fromEntries(
      [...parseMessages(offer.bytes)[0]!.attributes].map(([type, value]) => [type, toHex(value)]),
    );
  };
  return { kernel, decided, error, shown };
}

describe('a queue of nfnetlink_queue', () => {
  it('belongs to the socket that bound it, until that is closed', () => {
    const { kernel, error, shown, decided } = subsystem();
    expect(shown()).toBe('nobody');
    expect(error(bind(5))).toBe(0);
    expect(error(bind(5))).toBe(-16);
    expect(error(bind(5), 'b')).toBe(-1);
    expect(error(mode(5, 0, 2))).toBe(0);
    expect(shown()).toBeTypeOf('object');
    kernel.close('a');
    expect(decided).toEqual([[5, { id: 7, verdict: 'drop' }]]);
    expect(shown()).toBe('nobody');
  });

  it('shows the packet up to the copy range, and how long it was', () => {
    const { error, shown } = subsystem();
    error(bind(5));
    expect(shown()).toBe('full');
    error(mode(5, 20, 2));
    expect(shown()).toEqual({
      1: '00000001080002',
      3: '00000003',
      4: '000000000000000100000000' + '0007a120',
      5: '00000002',
      6: '00000003',
      9: '00060000' + '02000000ff01' + '0000',
      10: PACKET.payload.slice(0, 40),
      13: '0000001c',
    });
    error(mode(5, 20, 1));
    expect(shown()).not.toHaveProperty('10');
  });

  it('shows owner and connection where flags ask for it', () => {
    const { error, shown } = subsystem();
    error(bind(5));
    error(mode(5, 0, 1));
    error(flags(5, 2 | 8));
    expect(shown()).toMatchObject({ 12: '00000002', 16: '000003e8', 17: '00000064' });
    expect(shown()).toHaveProperty('11');
    expect(shown({ ...PACKET, uid: null, gid: null, conntrack: null })).not.toHaveProperty('11');
  });

  it('holds as many packets as its length, or lets them pass', () => {
    const { error, shown } = subsystem();
    error(bind(5));
    error(mode(5, 0, 2));
    error(request(CONFIG, 5, attribute(3, number32(1))));
    expect(shown()).toBeTypeOf('object');
    expect(shown()).toBe('full');
    error(flags(5, 1));
    expect(shown()).toBe('open');
  });
});

describe('verdicts', () => {
  function three() {
    const made = subsystem();
    made.error(bind(5));
    made.error(mode(5, 0, 2));
    for (const id of [7, 8, 9]) made.shown({ ...PACKET, id });
    return made;
  }

  it('are given to one packet, with what they change', () => {
    const { error, decided } = three();
    const connection = nested(11, attribute(8, number32(77)), attribute(22, fromHex('01020304')!));
    expect(
      error(verdict(VERDICT, 5, 1, 2, attribute(3, number32(9)), attribute(10, Uint8Array.of(69, 0)), connection)),
    ).toBe(0);
    expect(error(verdict(VERDICT, 5, 1, 2))).toBe(-2);
    const conntrack = { mark: 77, labels: '01020304000000000000000000000000' };
    expect(decided).toEqual([[5, { id: 8, verdict: 'accept', mark: 9, payload: '4500', conntrack }]]);
  });

  it('of a batch go to all packets up to the one that is named', () => {
    const { error, decided } = three();
    expect(error(verdict(BATCH, 5, 0, 2, attribute(3, number32(6))))).toBe(0);
    expect(decided).toEqual([7, 8].map((id) => [5, { id, verdict: 'drop', mark: 6 }]));
  });

  it.each([
    [3, { verdict: 'queue:0', bypass: false }],
    [0x00098003, { verdict: 'queue:9', bypass: true }],
    [4, { verdict: 'repeat' }],
    [5, { verdict: 'stop' }],
    [0x10001, { verdict: 'stop' }],
    [0x10004, { verdict: 'drop' }],
    [0x10000, { verdict: 'drop' }],
  ])('%i', (number, given) => {
    const { error, decided } = three();
    expect(error(verdict(VERDICT, 5, number, 1))).toBe(0);
    expect(decided).toEqual([[5, { id: 7, ...given }]]);
  });

  it('may not be stolen, nor come from another socket', () => {
    const { error, decided } = three();
    expect(error(verdict(VERDICT, 5, 2, 1))).toBe(-22);
    expect(error(verdict(VERDICT, 5, 1, 1), 'b')).toBe(-1);
    expect(decided).toEqual([]);
  });
});
