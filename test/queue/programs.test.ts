import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { iptsim, ROOT } from '../fixtures/run.ts';

/** Programs behind `iptsim queue run`, without root and without a kernel. */
const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-programs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(
  path.join(folder, 'rules.v4'),
  '*raw\n:PREROUTING ACCEPT\n-A PREROUTING -p udp -j NFQUEUE --queue-num 5\nCOMMIT\n',
);
const PACKET = 'in=eth0 out=eth1 udp 10.0.0.1:1000 > 10.0.1.1:53 data=hello';

function unavailable(): string | null {
  if (spawnSync('cc', ['--version']).error !== undefined) return 'no C compiler';
  const python = spawnSync('python3', ['-c', "import ctypes; ctypes.CDLL('libnetfilter_queue.so.1')"]);
  return python.status === 0 ? null : 'no Python, or no libnetfilter_queue';
}

const reason = unavailable();
if (reason !== null) console.warn(`SKIPPED: programs of libnetfilter_queue: ${reason}`);

function traced(program: string, packets: readonly string[], ...options: string[]) {
  const handler = `${process.execPath} ${ROOT}/bin/iptsim.js queue run -- ${program}`;
  const args = ['--dir', folder, 'trace', '--queue', `5=${handler}`, ...options, '--json', '--no-steps', ...packets];
  const { status, stdout, stderr } = iptsim(args);
  const lines = stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '');
  return { status, stderr, verdicts: lines.map((line) => (JSON.parse(line) as { verdict: string }).verdict) };
}

describe.skipIf(reason !== null)('programs of libnetfilter_queue', () => {
  test.each(['', ' spin'])('with a thread for each queue%s', (how) => {
    const state = mkdtempSync(path.join(folder, 'threads-'));
    const queue = '-A PREROUTING -p udp -j NFQUEUE --queue-balance 5:8';
    writeFileSync(path.join(state, 'rules.v4'), `*mangle\n:PREROUTING ACCEPT\n${queue}\nCOMMIT\n`);
    const handler = `${process.execPath} ${ROOT}/bin/iptsim.js queue run -- python3 ${ROOT}/test/queue/threads.py${how}`;
    const packets = Array.from({ length: 16 }, (_, n) => `in=eth0 out=eth1 udp 10.0.0.${n + 1}:1000 > 10.0.1.1:53`);
    const { status, stdout, stderr } = iptsim([
      '--dir',
      state,
      'trace',
      '--queue',
      `5-8=${handler}`,
      '--json',
      ...packets,
    ]);
    expect(status, stderr).toBe(0);
    const lines = stdout.trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { verdict: string }).verdict)).toEqual(
      packets.map(() => 'forwarded'),
    );
    expect(
      new Set(lines.map((line) => (JSON.parse(line) as { queue: { queue: number }[] }).queue[0]?.queue)).size,
    ).toBe(4);
  });

  test.each([
    ['sh -c "exit 3"', 'sh ended (status 3)'],
    ['no-such-program', 'no-such-program cannot be started'],
  ])('%s: the trace ends and says why', (program, message) => {
    const { status, stderr } = traced(program, [PACKET]);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr).toContain('packet 1 (id 1)');
  });

  test('one that never listens runs into the time limit', () => {
    const { status, stderr } = traced('sleep 60', [PACKET], '--queue-timeout', '0.7');
    expect(status).toBe(1);
    expect(stderr).toContain('packet 1 (id 1): no answer within 0.7 s (--queue-timeout)');
  });
});
