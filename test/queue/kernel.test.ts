import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ROOT } from '../fixtures/run.ts';
import { compare } from '../kernel/compare.ts';
import { kernelUnavailable, runKernel } from '../kernel/kernel.ts';
import type { Outcome } from '../kernel/scenario.ts';
import { runSimulation } from '../kernel/simulate.ts';
import { CASES, isBalanced, listenerArguments, scenarioOf } from './cases.ts';

/**
 * The same unmodified program of libnetfilter_queue (listener.c) behind the queues of the real kernel, in a namespace, and behind those of iptsim:
 * what leaves or is delivered, rules' counters, connections and what the program saw must be equal. All cases are played in one ruleset, both
 * families, with either variant of the tools. Which queue of a balance it is depends on the kernel's random seed, and is not compared.
 */
const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-nfq-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const listener = path.join(folder, 'listener');

function unavailable(): string | null {
  const cc = spawnSync('cc', ['-o', listener, path.join(ROOT, 'test/queue/listener.c'), '-lnetfilter_queue'], {
    encoding: 'utf8',
  });
  if (cc.error !== undefined) return 'no C compiler';
  if (cc.status !== 0) return `libnetfilter_queue is not installed (${cc.stderr.split('\n')[0]})`;
  return kernelUnavailable();
}

const reason = unavailable();
if (reason !== null) console.warn(`SKIPPED: queues against the real kernel: ${reason}`);

/** The scenario takes seconds, and how much of a connection's time is left is another matter. */
function withoutTimes(outcome: Outcome): Outcome {
  return { ...outcome, conntrack: outcome.conntrack.replaceAll(/ (udp|icmp|icmpv6) +(\d+) \d+ /g, ' $1 $2 30 ') };
}

/** What the program saw. */
function saw(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => /^(queue|error) /.test(line))
    .map((line) => {
      const queue = Number(/^queue (\d+)/.exec(line)?.[1]);
      return isBalanced(CASES, queue) ? line.replace(/^queue \d+ id \d+/, 'balanced') : line;
    });
}

/** Plays all cases on both sides: what differs. */
async function played(variant: 'legacy' | 'nft', quiet: number): Promise<string[]> {
  const { scenario, names } = scenarioOf(CASES);
  const command = [listener, ...listenerArguments(CASES)];
  const playing = { companion: { command, ready: 'ready\n' }, quiet };
  const kernel = await runKernel(scenario, variant, path.join(ROOT, 'test/kernel/wire.c'), playing);
  const work = mkdtempSync(path.join(folder, 'run-'));
  const seen = path.join(work, 'seen.txt');
  const handler = `${process.execPath} ${ROOT}/bin/iptsim.js queue run -- ${command.join(' ')} 2>${seen}`;
  const { outcome } = await runSimulation(scenario, kernel.sent, work, variant, {
    options: ['--queue', `0-65535=${handler}`],
  });
  const differences = compare(kernel.sent, withoutTimes(kernel.outcome), withoutTimes(outcome)).map(
    ({ packet, text }) => `${names[packet] ?? ''} ${text}`,
  );
  const [want, have] = [saw(kernel.told), saw(readFileSync(seen, 'utf8'))];
  const length = Math.max(want.length, have.length);
  for (let i = 0; i < length && differences.length < 40; i++) {
    if (want[i] !== have[i]) differences.push(`the program saw\n    kernel: ${want[i]}\n    iptsim: ${have[i]}`);
  }
  return differences;
}

describe.skipIf(reason !== null)('a program of libnetfilter_queue, in the kernel and here', () => {
  test.each(['legacy', 'nft'] as const)('iptables-%s', async (variant) => {
    // A busy machine may be too slow for the short wait after each packet; then it is asked again, with patience.
    let differences = await played(variant, 20_000);
    if (differences.length > 0) differences = await played(variant, 60_000);
    expect(differences).toEqual([]);
  });
});

test.skipIf(reason !== null)('the listener is the same program in both', () => {
  expect(execFileSync('ldd', [listener], { encoding: 'utf8' })).toContain('libnetfilter_queue.so');
});
