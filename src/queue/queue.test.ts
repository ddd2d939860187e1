import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { QueuedPacket } from '../datapath/queueing.ts';
import { queueVerdict, Verdict } from '../datapath/verdicts.ts';
import { fromHex, toHex } from '../packet/bytes.ts';
import { simulate } from '../simulation/simulate.ts';
import { readAnswer, readAnswerLine } from './answer.ts';
import { handlerPacket, type QueueHandler } from './handler.ts';
import { functionHandler, type QueueRange, queueListener, withHandlers } from './listener.ts';
import { openHandler, parseQueueOption } from './open.ts';
import type { Patience } from './patience.ts';

const PACKET: QueuedPacket = {
  queue: 50,
  id: 1,
  time: 1000,
  family: 4,
  hook: 'PREROUTING',
  table: 'mangle',
  mark: 7,
  inDevice: null,
  outDevice: null,
  physicalIn: null,
  physicalOut: null,
  hardwareAddress: Uint8Array.from([2, 0, 0, 0, 0xff, 1]),
  owner: null,
  priority: 0,
  connection: null,
  conntrackInfo: 7,
  rounds: 0,
  payload: fromHex('4500001c00000000401166cc0a0000050a000001138800350008d850')!,
};

const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-queue-'));
afterAll(() => rmSync(folder, { recursive: true }));

const PATIENCE = { milliseconds: 5000, option: '--queue-timeout' };

function listener(ranges: QueueRange[], patience: Patience = PATIENCE) {
  return queueListener({
    ranges,
    patience,
    packetNumber: () => 12,
    timer(milliseconds, callback) {
      const timer = setTimeout(callback, milliseconds);
      return () => clearTimeout(timer);
    },
  });
}

function asked(command: string, milliseconds = 5000): Promise<unknown> {
  const patience = { ...PATIENCE, milliseconds };
  const open = (text: string) => openHandler(parseQueueOption(text), folder, patience);
  return withHandlers([`50=${command}`], open, async (ranges) => listener([...ranges], patience).handle(PACKET));
}

describe('answers', () => {
  it('are a verdict, or an object with mark and payload', () => {
    expect(readAnswer('drop', 50)).toEqual({ verdict: Verdict.drop });
    expect(readAnswer({ verdict: 'queue:3' }, 50)).toEqual({ verdict: queueVerdict(3, false) });
    expect(readAnswerLine('{"id":4,"verdict":"accept","mark":7}', 50, 4)).toEqual({ verdict: Verdict.accept, mark: 7 });
    const { payload } = readAnswer({ verdict: 'accept', payload: toHex(PACKET.payload) }, 50);
    expect(payload).toEqual(PACKET.payload);
  });

  it.each([
    [
      'pass',
      '"verdict" must be accept, drop, repeat, stop, stolen, later, nobody, full or queue:N (N to 65535), not "pass"',
    ],
    [{ verdict: 'queue:70000' }, 'not "queue:70000"'],
    [{ verdict: 'accept', mark: -1 }, '"mark" must be a whole number'],
    [{ verdict: 'accept', payload: 'xyz' }, '"payload" must be the packet in hexadecimal'],
    [{ verdict: 'accept', payload: '45'.repeat(70000) }, '"payload" must be at most 65535 bytes, not 70000'],
    [undefined, 'the answer must be an object like {"verdict":"accept"}, not nothing'],
  ])('cannot be %j', (answer, message) => {
    expect(() => readAnswer(answer, 50)).toThrow(message);
  });
});

describe('--queue', () => {
  it.each([
    ['0=accept', { first: 0, last: 0, handler: 'accept' }],
    ['50-58=./policy.mjs', { first: 50, last: 58, handler: './policy.mjs' }],
    ['1=python3 p.py a=b', { first: 1, last: 1, handler: 'python3 p.py a=b' }],
  ])('reads %s', (text, option) => {
    expect(parseQueueOption(text)).toEqual(option);
  });

  it.each(['accept', '5=', '9-3=drop', '0-70000=drop'])('refuses %s', (text) => {
    expect(() => parseQueueOption(text)).toThrow();
  });
});

describe('handlers', () => {
  it('get the packet in the words of the protocol', () => {
    expect(handlerPacket(PACKET)).toEqual({
      queue: 50,
      id: 1,
      time: 0.001,
      hook: 'PREROUTING',
      table: 'mangle',
      mark: 7,
      indev: null,
      outdev: null,
      physindev: null,
      physoutdev: null,
      hwaddr: '02:00:00:00:ff:01',
      uid: null,
      gid: null,
      payload: toHex(PACKET.payload),
      family: 4,
      priority: 0,
      ifindex: {},
      conntrack: null,
    });
  });

  it('answer at once or later, as functions', async () => {
    const at = (handler: QueueHandler) =>
      listener([{ first: 1, last: 60, handler: functionHandler('h', handler) }]).handle(PACKET);
    expect(at(() => 'drop')).toEqual({ verdict: Verdict.drop });
    expect(await at(async ({ bytes }) => ({ verdict: 'accept', payload: bytes }))).toEqual({
      verdict: Verdict.accept,
      payload: PACKET.payload,
    });
    expect(() => at(() => ({ verdict: 'never' as 'drop' }))).toThrow('h: packet 12 (id 1): "verdict" must be');
  });

  it('listen only on their numbers', () => {
    const listening = listener([{ first: 5, last: 6, handler: functionHandler('h', () => 'accept') }]);
    expect([4, 5, 6, 7].map((queue) => listening.listens(queue))).toEqual([false, true, true, false]);
  });

  it('are modules', async () => {
    writeFileSync(
      path.join(folder, 'drop.mjs'),
      'export default async (packet) => ({ verdict: "drop", mark: packet.queue });',
    );
    expect(await asked('drop.mjs')).toEqual({ verdict: Verdict.drop, mark: 50 });
    writeFileSync(path.join(folder, 'none.mjs'), 'export const x = 1;');
    await expect(asked('none.mjs')).rejects.toThrow('has no default export that is a function');
    await expect(asked('missing.mjs')).rejects.toThrow('cannot be loaded');
  });

  it('are commands that answer line by line', async () => {
    const echo = `while read -r line; do echo '{"id":1,"verdict":"accept","mark":9}'; done`;
    expect(await asked(echo)).toEqual({ verdict: Verdict.accept, mark: 9 });
  });

  it('fail by name when a command hangs, ends or talks nonsense', async () => {
    await expect(asked('cat >/dev/null', 100)).rejects.toThrow(
      '--queue 50=cat >/dev/null: packet 12 (id 1): no answer within 0.1 s (--queue-timeout)',
    );
    await expect(asked('exit 3')).rejects.toThrow('the command ended early (status 3)');
    await expect(asked('read x; echo what')).rejects.toThrow('the answer is not JSON: "what"');
    await expect(asked(`read x; echo '{"id":2,"verdict":"drop"}'`)).rejects.toThrow('the answer must have "id":1');
  });
});

describe('packets that wait', () => {
  const options = {
    rules: `*raw
:PREROUTING ACCEPT
-A PREROUTING -p udp -j NFQUEUE --queue-num 5
COMMIT
`,
  };
  const packet = (port: number) => `in=eth0 out=eth1 udp 10.0.0.1:${port} > 10.0.1.1:53`;

  async function traced(handler: QueueHandler, limit?: { length: number; failOpen: boolean }) {
    const queues = queueListener({
      ranges: [{ first: 5, last: 5, handler: functionHandler('h', handler) }],
      patience: PATIENCE,
      timer: () => () => undefined,
      packetNumber: () => 0,
      ...(limit === undefined ? {} : { limit }),
    });
    const results = await simulate({ ...options, interfaces: ['eth0', 'eth1'], queues }).trace(
      ...[1, 2, 3, 4].map(packet),
    );
    const port = (bytes: Uint8Array) => (bytes[20]! << 8) | bytes[21]!;
    return results.map(({ verdict, emitted }) => [verdict, ...emitted.map(({ bytes }) => port(bytes))]);
  }

  it('are released by a later answer, before its own packet, in the order it names', async () => {
    expect(
      await traced(({ id }) =>
        id < 3
          ? 'later'
          : {
              verdict: id === 3 ? 'drop' : 'accept',
              release: id === 3 ? [2, 1].map((n) => ({ id: n, verdict: 'accept' as const })) : [],
            },
      ),
    ).toEqual([['stolen'], ['stolen'], ['dropped', 2, 1], ['forwarded', 4]]);
  });

  it('may be released together with the packet at hand', async () => {
    const both = (id: number) => [id, id - 1].map((n) => ({ id: n, verdict: 'accept' as const }));
    expect(await traced(({ id }) => ({ verdict: 'later', release: id % 2 === 0 ? both(id) : [] }))).toEqual([
      ['stolen'],
      ['forwarded', 2, 1],
      ['stolen'],
      ['forwarded', 4, 3],
    ]);
  });

  it('fill their queue: more are dropped, or pass where it fails open', async () => {
    expect(await traced(() => 'later', { length: 2, failOpen: false })).toEqual([
      ['stolen'],
      ['stolen'],
      ['dropped'],
      ['dropped'],
    ]);
    expect(await traced(() => 'later', { length: 3, failOpen: true })).toEqual([
      ['stolen'],
      ['stolen'],
      ['stolen'],
      ['forwarded', 4],
    ]);
  });

  it('must wait to be released', async () => {
    await expect(traced(() => ({ verdict: 'accept', release: [{ id: 9, verdict: 'drop' }] }))).rejects.toThrow(
      'h: packet 0 (id 1): "release": no packet 9 waits in queue 5',
    );
  });
});

describe('the connection of a packet', () => {
  it('keeps mark and labels that a verdict gives it, as masks have it', async () => {
    const seen: unknown[] = [];
    const changes = [
      { mark: 0x70, labels: `05${'00'.repeat(15)}` },
      { mark: 0x0f, markMask: 0x0f, labels: `02${'00'.repeat(15)}`, labelsMask: `04${'00'.repeat(15)}` },
      {},
    ];
    const handler: QueueHandler = ({ id, conntrack }) => {
      seen.push([conntrack?.mark, conntrack?.labels]);
      return { verdict: 'accept', conntrack: changes[id - 1]! };
    };
    const queues = queueListener({
      ranges: [{ first: 5, last: 5, handler: functionHandler('h', handler) }],
      patience: PATIENCE,
      timer: () => () => undefined,
      packetNumber: () => 0,
    });
    const rules = `*mangle
:PREROUTING ACCEPT
-A PREROUTING -m connlabel --label 0
-A PREROUTING -p udp -j NFQUEUE --queue-num 5
COMMIT
`;
    const packet = 'in=eth0 out=eth1 udp 10.0.0.1:1 > 10.0.1.1:53';
    await simulate({ rules, interfaces: ['eth0', 'eth1'], queues }).trace(packet, packet, packet);
    // Bits of the mask are cleared, those of the value turned over (ctnetlink_change_mark, nf_connlabels_replace).
    expect(seen).toEqual([
      [0, null],
      [0x70, `05${'00'.repeat(15)}`],
      [0x7f, `03${'00'.repeat(15)}`],
    ]);
  });
});
