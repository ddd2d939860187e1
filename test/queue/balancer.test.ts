import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { FIXTURES, iptsim } from '../fixtures/run.ts';

/** One Service, balanced by a program behind queues and by the statistic match: what happens when a backend goes away. */
const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-balancer-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function state(fixture: string, files: readonly string[]): string {
  const dir = path.join(folder, fixture);
  mkdirSync(dir);
  for (const file of files) copyFileSync(path.join(FIXTURES, fixture, file), path.join(dir, file));
  return dir;
}

/** Destinations by the client's port of what leaves. */
function destinations(
  args: string[],
  ports: readonly number[],
  line: (port: number) => string,
  env = {},
): Map<number, string> {
  const file = path.join(folder, 'packets.txt');
  writeFileSync(file, `${ports.map(line).join('\n')}\n`);
  const { status, stdout, stderr } = iptsim([...args, '--json', '--no-steps', file], { env });
  expect(status, stderr).toBe(0);
  const found = stdout
    .trim()
    .split('\n')
    .map((text) => Buffer.from((JSON.parse(text) as { emitted: { hex: string }[] }).emitted[0]!.hex, 'hex'));
  return new Map(found.map((bytes, i) => [ports[i]!, [...bytes.subarray(16, 20)].join('.')]));
}

const PORTS = Array.from({ length: 300 }, (_, i) => 20_000 + i);
const LATER = PORTS.map((port) => port + 1000);

describe('a backend goes away', () => {
  test('behind queues its connections move at once, the others stay; new ones avoid it', () => {
    const dir = state('balancer', ['host.yaml', 'ipsets', 'rules.v4']);
    const trace = [
      '--dir',
      dir,
      'trace',
      '--queue',
      `50-58=${path.join(FIXTURES, 'balancer/balancer.mjs')}`,
      '--commit',
    ];
    const packet = (flags: string) => (port: number) => `in=eth0 tcp 198.51.100.7:${port} > 11.0.0.1:80 ${flags}`;
    const before = destinations(trace, PORTS, packet('S'));
    const env = { BACKENDS: '10.244.1.10,10.244.1.12' };
    const after = destinations(trace, PORTS, packet('A seq=2 ack=1'), env);
    for (const port of PORTS) {
      if (before.get(port) === '10.244.1.11') expect(after.get(port)).not.toBe('10.244.1.11');
      else expect(after.get(port)).toBe(before.get(port));
    }
    expect([...destinations(trace, LATER, packet('S'), env).values()]).not.toContain('10.244.1.11');
  });

  test('with kube-proxy new connections avoid it, but connection tracking leads the old ones to it still', () => {
    const dir = state('kube-proxy', ['host.yaml', 'rules.v4']);
    const trace = ['--dir', dir, 'trace', '--seed', '7', '--commit'];
    const packet = (flags: string) => (port: number) => `in=cni0 tcp 10.244.1.99:${port} > 10.96.0.80:80 ${flags}`;
    const before = destinations(trace, PORTS, packet('S'));
    const answer = (port: number) => `in=cni0 tcp ${before.get(port)}:8080 > 10.244.1.99:${port} SA seq=9 ack=2`;
    destinations(trace, PORTS, answer);
    const rules = readFileSync(path.join(dir, 'rules.v4'), 'utf8').split('\n');
    // What kube-proxy writes for two Pods.
    const two = rules
      .filter((rule) => !/-A KUBE-SVC-SHOP .*-j KUBE-SEP-B/.test(rule))
      .map((rule) =>
        /-A KUBE-SVC-SHOP .*-j KUBE-SEP-A/.test(rule) ? rule.replace(/--probability \S+/, '--probability 0.5') : rule,
      );
    writeFileSync(path.join(dir, 'rules.v4'), two.join('\n'));
    expect(destinations(trace, PORTS, packet('A seq=2 ack=10'))).toEqual(before);
    const fresh = [...destinations(trace, LATER, packet('S')).values()];
    expect([...before.values()]).toContain('10.244.1.11');
    expect(fresh).not.toContain('10.244.1.11');
    expect(new Set(fresh).size).toBe(2);
  });
});
