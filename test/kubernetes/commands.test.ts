import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { FIXTURES, iptsim } from '../fixtures/run.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-kube-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const cluster = path.join(FIXTURES, 'kube-two-nodes/cluster.yaml');

describe('kube compile', () => {
  test('writes the texts of every node', () => {
    const out = path.join(folder, 'rules');
    expect(iptsim(['kube', 'compile', cluster, '--out', out])).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(readdirSync(out).sort()).toEqual(['worker-1', 'worker-2']);
    const { stdout } = iptsim(['kube', 'compile', cluster, '--node', 'worker-2', '-6']);
    expect(readFileSync(path.join(out, 'worker-2/rules.v6'), 'utf8')).toBe(stdout);
  });

  test('reads standard input; options go before the configuration', () => {
    const input = readFileSync(cluster, 'utf8');
    const { stdout } = iptsim(['kube', 'compile', '-', '--node', 'worker-1', '--detect-local-mode', 'NodeCIDR'], {
      input,
    });
    expect(stdout).toContain('! -s 10.244.1.0/24 -j KUBE-MARK-MASQ');
  });

  test('tells as JSON which chain is whose', () => {
    const { nodes } = JSON.parse(iptsim(['kube', 'compile', cluster, '--json']).stdout);
    expect(nodes.map(({ node }: { node: string }) => node)).toEqual(['worker-1', 'worker-2']);
    const front = nodes[0].services.find(({ service }: { service: string }) => service === 'default/front:https');
    expect(front).toEqual({
      service: 'default/front:https',
      protocol: 'tcp',
      family: 4,
      clusterIp: '10.96.0.44',
      port: 443,
      nodePort: 30443,
      chains: {
        cluster: 'KUBE-SVC-YLFQ6NE5CHZ6LNVL',
        local: 'KUBE-SVL-YLFQ6NE5CHZ6LNVL',
        external: 'KUBE-EXT-YLFQ6NE5CHZ6LNVL',
        firewall: 'KUBE-FW-YLFQ6NE5CHZ6LNVL',
      },
      endpoints: [
        {
          endpoint: '10.244.1.10:8443',
          chain: 'KUBE-SEP-4UNANPVXIREY5I5S',
          node: 'worker-1',
          policies: ['Cluster', 'Local'],
        },
      ],
    });
  });

  test.each([
    [[cluster], 'iptsim kube: write --node NAME, one of worker-1, worker-2; or --out DIR, or --json\n'],
    [[cluster, '--node', 'worker-3'], 'iptsim kube: no Node worker-3: did you mean worker-1?\n'],
    [
      [cluster, '--node', 'worker-1', '--pod-bridge-interface', 'cni0'],
      'iptsim kube: --pod-bridge-interface needs --detect-local-mode BridgeInterface\n',
    ],
    [[cluster, '--json', '-6'], "error: option '-6, --ipv6' cannot be used with option '--json'\n"],
    [['nowhere.yaml', '--node', 'a'], 'iptsim kube: nowhere.yaml: no such file\n'],
    [['-', '--node', 'a'], 'iptsim kube: no Service with a cluster IP in -\n'],
    [
      [path.join(FIXTURES, 'kube-two-nodes/network.yaml'), '--node', 'a'],
      /network\.yaml:2: no object of Kubernetes: "kind" is missing\n$/,
    ],
  ])('%j ends with 2', (args, message) => {
    const { status, stdout, stderr } = iptsim(['kube', 'compile', ...args]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    if (typeof message === 'string') expect(stderr).toBe(message);
    else expect(stderr).toMatch(message);
  });
});

test('net check plays the two nodes', () => {
  const { status, stdout } = iptsim(['net', 'check', path.join(FIXTURES, 'kube-two-nodes/network.yaml')]);
  expect({ status, stdout }).toEqual({ status: 0, stdout: '35 conversations: all hold\n' });
});
