import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Io } from '../io.ts';
import type { QueueStatistics } from '../queue/stats.ts';
import { queue } from './queue.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-queue-stats-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const rules = (target: string): string => {
  const file = path.join(folder, 'rules');
  writeFileSync(file, `*mangle\n:PREROUTING ACCEPT\n-A PREROUTING -p udp -j NFQUEUE ${target}\nCOMMIT\n`);
  return file;
};
const PACKET = 'in=eth0 udp 10.0.0.1:5000 > 192.0.2.1:53';

async function stats(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const io: Io = {
    out(text) {
      said.out += text;
    },
    err(text) {
      said.err += text;
    },
    readStdin: () => '',
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    directory: folder,
    variant: 'legacy',
    hints: false,
  };
  const status = await queue('queue', ['stats', ...args], io);
  return { status, ...said };
}

async function counted(...args: string[]): Promise<QueueStatistics> {
  const { status, out, err } = await stats('--json', ...args);
  expect(status, err).toBe(0);
  return JSON.parse(out) as QueueStatistics;
}

const numbers = ({ queues }: QueueStatistics): number[] => queues.map((each) => each.connections);

describe('iptsim queue stats', () => {
  test('spreads connections from many addresses evenly, as the seed has it', async () => {
    const args = ['--rules', rules('--queue-balance 10:13'), '--times', '4000', PACKET];
    const first = await counted(...args, '--seed', '1');
    expect(first.queues.map((each) => each.queue)).toEqual([10, 11, 12, 13]);
    expect(numbers(first).reduce((sum, count) => sum + count)).toBe(4000);
    for (const count of numbers(first)) expect(Math.abs(count - 1000)).toBeLessThan(120);
    expect(await counted(...args, '--seed', '1')).toEqual(first);
    expect(await counted(...args, '--seed', '2')).not.toEqual(first);
  });

  test('knows that the hash looks neither at ports nor at the direction', async () => {
    const file = rules('--queue-balance 10:13');
    const ports = await counted('--rules', file, '--source-port', '1-60000', '--times', '1000', PACKET);
    expect(numbers(ports)).toEqual([1000]);
    const there = await counted('--rules', file, '--times', '1', PACKET);
    const back = await counted('--rules', file, '--times', '1', 'in=eth0 udp 192.0.2.1:53 > 10.0.0.1:5000');
    expect(back).toEqual(there);
  });

  test('spreads IPv6 by the addresses', async () => {
    const packet = 'in=eth0 udp [2001:db8::1]:5000 > [2001:db8:1::1]:53';
    const { queues, unqueued } = await counted('--rules6', rules('--queue-balance 10:13'), '--times', '1000', packet);
    expect(queues).toHaveLength(4);
    expect(unqueued).toBe(0);
  });

  test('counts what no queue gets', async () => {
    const file = rules('--queue-num 3');
    const { queues, unqueued } = await counted('--rules', file, '--times', '5', PACKET.replace('udp', 'tcp'));
    expect({ queues, unqueued }).toEqual({ queues: [], unqueued: 5 });
  });

  test('draws a picture', async () => {
    const { out } = await stats('--rules', rules('--queue-num 3'), '--times', '8', PACKET);
    expect(out).toContain(`│     3 │           8 │ 100.00% │ ${'█'.repeat(40)} │`);
    expect(out).toMatch(/\n8 connections: 8 queued, 0 not\n$/);
  });

  test.each([
    [['nonsense'], 'no "SOURCE > DESTINATION" in it'],
    [['--times', 'x', PACKET], '--times x: expected a whole number'],
    [['--seed', '-1', PACKET], '--seed -1: expected a whole number'],
    [['--source', '2001:db8::/64', PACKET], 'source:'],
    [[], "missing required argument 'packet'"],
  ])('%j is wrong usage', async (args, message) => {
    const { status, err } = await stats(...args);
    expect(err).toContain(message);
    expect(status).toBe(2);
  });

  test('rules that are not there end it with status 2', async () => {
    const { status, err } = await stats('--rules', '/nowhere', PACKET);
    expect({ status }).toMatchObject({ status: 2 });
    expect(err).toMatch(/\niptsim queue: \/nowhere: no such file\n$/);
    expect(err).not.toContain('iptsim trace');
  });
});
