import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../fixtures/run.ts';

/**
 * What nfnetlink_queue answers to configuration and verdicts, right and wrong ones: probe.py asks, probe.txt is what Linux 6.18 said.
 */
const PROBE = path.join(ROOT, 'test/queue/probe.py');
const RECORDED = readFileSync(path.join(ROOT, 'test/queue/probe.txt'), 'utf8');

const hasPython = spawnSync('python3', ['--version']).status === 0 && spawnSync('cc', ['--version']).status === 0;
const namespace = `iptsim-probe-${process.pid}`;
const hasKernel = hasPython && process.getuid?.() === 0 && spawnSync('ip', ['netns', 'add', namespace]).status === 0;
if (hasKernel) spawnSync('ip', ['netns', 'del', namespace]);
if (!hasPython) console.warn('SKIPPED: the protocol of nfnetlink_queue: no python3, or no C compiler');

test.skipIf(!hasPython)('iptsim answers as the kernel does', async () => {
  const child = spawn(process.execPath, [path.join(ROOT, 'bin/iptsim.js'), 'queue', 'run', '--', 'python3', PROBE], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let text = '';
  await new Promise<void>((resolve) => {
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.split('\n').length >= RECORDED.split('\n').length) child.stdin.end();
    });
    child.once('close', () => resolve());
  });
  expect(text).toBe(RECORDED);
});

test.skipIf(!hasKernel)('the kernel answers as recorded', () => {
  execFileSync('ip', ['netns', 'add', namespace]);
  try {
    const told = execFileSync('ip', ['netns', 'exec', namespace, 'python3', PROBE], { encoding: 'utf8' });
    expect(told).toBe(RECORDED);
  } finally {
    execFileSync('ip', ['netns', 'del', namespace]);
  }
});
