import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FIXTURES, iptsim, ROOT } from '../fixtures/run.ts';
import { kernelUnavailable } from '../kernel/kernel.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-kubernetes-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const golden = path.join(ROOT, 'test/kubernetes/golden.yaml');
const cluster = path.join(FIXTURES, 'kube-two-nodes/cluster.yaml');

function compile(...args: string[]): string {
  const { status, stdout, stderr } = iptsim(['kube', 'compile', ...args]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

/** Text that kube-proxy's own test expects (kubernetes, pkg/proxy/iptables/proxier_test.go), without the lines that count with nfacct. */
const OVERALL = path.join(ROOT, '../shared/truth/clients/dumps/kube-proxy-overall.v4');

describe.runIf(existsSync(OVERALL))("kube-proxy's own expectations", () => {
  test('every line is the same', () => {
    const own = compile(golden, '--node', 'here', '--cluster-cidr', '10.0.0.0/8', '--nfacct')
      // Jumps and the canary are made by commands of their own; the test's iptables knows no --random-fully.
      .replace(/^\*mangle\n[^*]*/, '')
      .split('\n')
      .filter((line) => !/^-I |^:KUBE-PROXY-CANARY|-m nfacct /.test(line))
      .map((line) => line.replace(' --random-fully', ''));
    expect(own.sort()).toEqual(readFileSync(OVERALL, 'utf8').split('\n').sort());
  });
});

const NAMESPACE = `iptsim-kubernetes-${process.pid}`;
const why = kernelUnavailable();
if (why !== null) console.warn(`NOT COMPARED WITH THE REAL TOOLS: ${why}`);

describe.runIf(why === null)('the real tools', () => {
  const again = (): void => {
    spawnSync('ip', ['netns', 'del', NAMESPACE]);
    spawnSync('ip', ['netns', 'add', NAMESPACE]);
  };
  beforeAll(again);
  afterAll(() => {
    spawnSync('ip', ['netns', 'del', NAMESPACE]);
  });
  const real = (args: string[], input = ''): string => {
    const done = spawnSync('ip', ['netns', 'exec', NAMESPACE, ...args], { input, encoding: 'utf8' });
    expect({ status: done.status, stderr: done.stderr }, args.join(' ')).toEqual({ status: 0, stderr: '' });
    return done.stdout;
  };
  const tables = (text: string): string[] =>
    text
      .replaceAll(/^#.*\n/gm, '')
      .split(/^(?=\*)/m)
      .sort();

  /** What a node has already. */
  const OWN: Record<4 | 6, string> = {
    4: readFileSync(path.join(FIXTURES, 'kube-two-nodes/plugin.v4'), 'utf8'),
    6: '*filter\n:FORWARD DROP [0:0]\n-A FORWARD -s fd00:10:244::/48 -j ACCEPT\nCOMMIT\n',
  };

  for (const variant of ['legacy', 'nft'] as const) {
    for (const family of [4, 6] as const) {
      test(`take the rules, and save what iptsim saves: ${variant}, IPv${family}`, () => {
        again();
        const tool = family === 4 ? 'iptables' : 'ip6tables';
        const text = compile(cluster, '--node', 'worker-1', ...(family === 6 ? ['-6'] : []));
        const dir = path.join(folder, `${variant}${family}`);
        const env = { IPTSIM_VARIANT: variant };
        for (const [input, ...options] of [
          [OWN[family]],
          [text, '--noflush'],
          [text, '--noflush', '--test'],
        ] as const) {
          real([`${tool}-${variant}-restore`, ...options], input);
          expect(iptsim(['--dir', dir, `${tool}-restore`, ...options], { input, env })).toMatchObject({
            status: 0,
            stderr: '',
          });
        }
        const saved = iptsim(['--dir', dir, `${tool}-save`], { env }).stdout;
        expect(tables(saved)).toEqual(tables(real([`${tool}-${variant}-save`])));
        // Alone they need no --noflush; --saved prints what then is there.
        again();
        real([`${tool}-${variant}-restore`], text);
        const printed = iptsim(
          ['kube', 'compile', cluster, '--node', 'worker-1', '--saved', ...(family === 6 ? ['-6'] : [])],
          { env },
        );
        expect(tables(printed.stdout)).toEqual(
          tables(real([`${tool}-${variant}-save`])).map((table) => table.replaceAll(/\[\d+:\d+\]$/gm, '[0:0]')),
        );
      });
    }
  }
});
