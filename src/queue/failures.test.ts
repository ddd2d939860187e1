import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { QueuedPacket } from '../datapath/queueing.ts';
import { Verdict } from '../datapath/verdicts.ts';
import { queueListener, withHandlers } from './listener.ts';
import { openHandler, parseQueueOption } from './open.ts';

/** Handlers that hang, flood, print nonsense or die: whatever they do, the trace ends, and says which of them and which packet it was. */
const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-failures-'));
afterAll(() => rmSync(folder, { recursive: true }));

const packet = (id: number, size = 28): QueuedPacket => ({
  queue: 5,
  id,
  time: 1000,
  family: 4,
  hook: 'FORWARD',
  table: 'mangle',
  mark: 0,
  inDevice: null,
  outDevice: null,
  physicalIn: null,
  physicalOut: null,
  hardwareAddress: null,
  owner: null,
  priority: 0,
  connection: null,
  conntrackInfo: 7,
  payload: new Uint8Array(size).fill(0x45),
  rounds: 0,
});

/** The answers of a handler to so many packets. */
function answers(handler: string, packets: readonly QueuedPacket[], milliseconds = 5000): Promise<unknown[]> {
  const patience = { milliseconds, option: '--queue-timeout' };
  const open = (text: string) => openHandler(parseQueueOption(text), folder, patience);
  return withHandlers([`5=${handler}`], open, async (ranges) => {
    let number = 0;
    const listener = queueListener({
      ranges,
      patience,
      packetNumber: () => number,
      timer(wait, callback) {
        const timer = setTimeout(callback, wait);
        return () => clearTimeout(timer);
      },
    });
    const given: unknown[] = [];
    for (const each of packets) {
      number++;
      given.push(await listener.handle(each));
    }
    return given;
  });
}

function moduleOf(name: string, text: string): string {
  writeFileSync(path.join(folder, `${name}.mjs`), text);
  return `${name}.mjs`;
}

describe('a module', () => {
  const at = (name: string): string => `--queue 5=${name}.mjs: packet 1 (id 1): `;

  it.each([
    ['loops', 'export default () => { for (;;); }', 'no answer within 0.4 s (--queue-timeout)'],
    ['never-resolves', 'export default () => new Promise(() => {});', 'no answer within 0.4 s (--queue-timeout)'],
    ['throws', 'export default (packet) =>\n  packet.nothing.at;', "(reading 'at') (line 2)"],
    ['throws-undefined', 'export default () => { throw undefined; }', 'it threw undefined'],
    ['rejects', "export default () => Promise.reject(new Error('no'));", 'no (line 1)'],
    ['exits', 'export default () => process.exit(0);', 'it called process.exit(0)'],
    ['cannot-be-copied', 'export default () => () => 1;', 'could not be cloned'],
    [
      'answers-nothing',
      'export default () => {};',
      'the answer must be an object like {"verdict":"accept"}, not nothing',
    ],
    [
      'fails-elsewhere',
      "export default () => { setTimeout(() => { throw new Error('later') }); return new Promise(() => {}); }",
      'later (line 1)',
    ],
  ])('that %s', async (name, text, message) => {
    const started = performance.now();
    const asked = answers(moduleOf(name, text), [packet(1)], message.startsWith('no answer') ? 400 : 5000);
    await expect(asked).rejects.toThrow(at(name));
    await expect(asked).rejects.toThrow(message);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it.each([
    ['loops-early', 'for (;;);', 'it was not done within 3 s (--queue-timeout)'],
    ['is-wrong', 'export default () => {', 'cannot be loaded: Unexpected end of input'],
    ['exits-early', 'process.exit(3);', 'it called process.exit(3)'],
    ['exports-nothing', 'export const x = 1;', 'it has no default export that is a function'],
  ])('that %s when it is loaded', async (name, text, message) => {
    await expect(answers(moduleOf(name, text), [packet(1)], 400)).rejects.toThrow(message);
  });

  it('that fails after its last answer', async () => {
    const text = "export default () => { Promise.reject(new Error('oops')); return 'accept'; }";
    const asked = answers(moduleOf('fails-late', text), [packet(1), packet(2)]);
    await expect(asked).rejects.toThrow(/packet 2 \(id 2\): oops|after the last packet: oops/);
  });

  it('may answer late, with timers', async () => {
    const text =
      "export default ({ id }) => new Promise((done) => setTimeout(done, 5, { verdict: 'accept', mark: id }));";
    const expected = [1, 2].map((mark) => ({ verdict: Verdict.accept, mark }));
    expect(await answers(moduleOf('late', text), [packet(1), packet(2)])).toEqual(expected);
  });
});

describe('a command', () => {
  const answer = (id: number): string => `echo '{"id":${id},"verdict":"accept"}'`;

  it.each([
    ['sleep 60', 'no answer within 0.4 s (--queue-timeout)'],
    ['exec 0<&-; sleep 60', 'no answer within 0.4 s (--queue-timeout)'],
    ['exec 1>&-; sleep 60', 'no answer within 0.4 s (--queue-timeout)'],
    ["trap '' TERM INT HUP; sleep 60", 'no answer within 0.4 s (--queue-timeout)'],
    [`printf '{"id":1,'; sleep 60`, 'no answer within 0.4 s (--queue-timeout)'],
    ['exit 0', 'the command ended early (status 0)'],
    ['read x; kill -9 $$', 'the command ended early (signal SIGKILL)'],
    ['no-such-program 2>&-', 'the command ended early (status 127)'],
    ['cat', '"verdict" must be accept'],
    ['yes', 'the answer is not JSON: "y"'],
    [`read x; ${answer(2)}`, 'the answer must have "id":1, as the packet has, not 2'],
  ])('%s', async (command, message) => {
    const started = performance.now();
    // More than a pipe holds, for those that read nothing.
    const asked = answers(command, [packet(1, 65_000)], message.startsWith('no answer') ? 400 : 5000);
    await expect(asked).rejects.toThrow(`--queue 5=${command}: packet 1 (id 1): `);
    await expect(asked).rejects.toThrow(message);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it('that writes without an end', async () => {
    await expect(answers("tr '\\0' x </dev/zero", [packet(1)])).rejects.toThrow("characters without a line's end");
  });

  it('that writes more than it was asked', async () => {
    const nobody = 'the command wrote a line that nobody asked for';
    const twice = `read x; ${answer(1)}; ${answer(1)}; sleep 60`;
    // It depends on when the second line is read.
    const message = /nobody asked for|the answer must have "id":2, as the packet has, not 1/;
    await expect(answers(twice, [packet(1), packet(2)])).rejects.toThrow(message);
    const late = `read x; ${answer(1)}; read x || echo bye`;
    await expect(answers(late, [packet(1)])).rejects.toThrow(`after the last packet: ${nobody}: "bye"`);
  });

  it('ends with the trace, though it does not look at its input', async () => {
    const asked = answers(`read x; ${answer(1)}; sleep 60`, [packet(1)]);
    expect(await asked).toEqual([{ verdict: Verdict.accept }]);
  });
});

it('a packet that goes round in circles is the fault of who sends it round', async () => {
  const asked = answers(moduleOf('circles', "export default () => 'repeat';"), [{ ...packet(1), rounds: 1000 }]);
  await expect(asked).rejects.toThrow('it was repeated or handed on 1000 times in FORWARD, without an end');
});
