import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';
import { FIXTURES } from '../fixtures/run.ts';

/** The numbers of a line of fixtures/balancer/compare.mjs: queues and a program, statistic and DNAT. */
function numbers(lines: readonly string[], name: string): number[] {
  const line = lines.find((each) => each.startsWith(`  ${name} `)) ?? '';
  return (line.slice(name.length + 2).match(/\d+/g) ?? []).map(Number);
}

test('one service, balanced by a program behind queues and by rules', () => {
  const script = path.join(FIXTURES, 'balancer/compare.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '1000'], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const [all = [], fresh = []] = [stdout.split('\n').slice(0, 5), stdout.split('\n').slice(-5)];
  for (const backend of ['10.244.1.10', '10.244.1.11', '10.244.1.12']) {
    for (const count of numbers(all, backend)) expect(Math.abs(count - 333)).toBeLessThan(60);
  }
  expect(stdout).toMatch(/^cost of a packet, here +\d+ µs +\d+ µs$/m);

  const lines = stdout.split('\n').slice(5);
  const had = numbers(lines, 'it had');
  for (const count of had) expect(Math.abs(count - 100)).toBeLessThan(30);
  // The program knows at once; connection tracking leads what it knows to where it was led.
  expect(numbers(lines, 'move to another backend')).toEqual([had[0], 0]);
  expect(numbers(lines, 'are led to it still')).toEqual([0, had[1]]);
  expect(numbers(lines, 'of other backends are disturbed')).toEqual([0, 0]);
  // New ones avoid it either way.
  expect(numbers(fresh, '10.244.1.11')).toEqual([0, 0]);
  for (const count of numbers(fresh, '10.244.1.10')) expect(Math.abs(count - 150)).toBeLessThan(50);
});
