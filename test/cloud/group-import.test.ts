import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { FIXTURES, iptsim } from '../fixtures/run.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-group-import-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const from = (...names: string[]): string[] => names.map((name) => path.join(FIXTURES, 'group-imports', name));

describe('group import', () => {
  test('AWS: what comes out can be asked', () => {
    const file = path.join(folder, 'aws.yaml');
    const files = from('aws-groups.json', 'aws-interfaces.json', 'pl-0a1b2c3d4e5f60718.json');
    const { status, stdout, stderr } = iptsim(['group', 'import', ...files, '--out', file]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    expect(stderr).toContain('group sg-0c0000000000000c3 of account 444455556666 is in none of the files');
    expect(iptsim(['group', 'who-can-reach', 'db-1:3306', '-f', file]).stdout).toBe(
      'tcp/3306 of db-1 (172.31.16.12) is reached by\n  web-1 (web on eu-central-1a)  group db, rule 1: ingress tcp/3306 from group web\n',
    );
    expect(iptsim(['group', 'explain', '203.0.114.1', 'web-1', 'tcp/22', '-f', file]).status).toBe(1);
    expect(iptsim(['group', 'import', ...files, '--strict']).status).toBe(1);
    // A network of one's own with these groups.
    const own = path.join(folder, 'own.yaml');
    const vm = 'v: { on: h, bridge: br, addresses: [10.0.0.1/24], groups: [web] }';
    writeFileSync(own, `hosts: { h: {} }\nvms: { ${vm} }\ngroups: aws.yaml\n`);
    expect(iptsim(['group', 'explain', '203.0.114.200', 'v', 'tcp/22', '-f', own]).status).toBe(0);
    writeFileSync(file, readFileSync(file, 'utf8').replace('ports: 443', 'ports: 44x'));
    expect(iptsim(['group', 'explain', '203.0.114.200', 'v', 'tcp/22', '-f', own]).stderr).toMatch(
      /^iptsim group: .*aws\.yaml:\d+: groups\.web\.rules\[0\]\.ports: a port or a range/,
    );
  });

  test('OpenStack: groups, rules, addresses, ports from files of their own', () => {
    const names = ['openstack-groups.json', 'openstack-rules.json', 'openstack-show.json', 'openstack-addresses.json'];
    const { status, stdout, stderr } = iptsim(['group', 'import', ...from(...names, 'openstack-ports.json')]);
    expect({ status, lines: stderr.split('\n').slice(0, -1) }).toEqual({
      status: 0,
      lines: [expect.stringContaining('openstack-groups.json: lists do not say which groups are stateless')],
    });
    expect(stdout).toContain(
      '  dns:\n    description: dns, 5e5e5e5e-0000-4000-8000-000000000005, name servers\n    stateful: false\n',
    );
    expect(stdout).toContain('{protocol: icmp, icmp: 3/4, remote: 10.0.0.0/8}');
  });

  test('NetworkPolicies: the compiled rules of two nodes let through what they say', () => {
    const file = path.join(folder, 'kubernetes.yaml');
    writeFileSync(file, iptsim(['group', 'import', ...from('policies.yaml', 'pods.yaml')]).stdout);
    const asked = (a: string, b: string, service: string): unknown => {
      const { status, stdout } = iptsim(['group', 'explain', a, b, service, '-f', file]);
      return [status, stdout.split('\n').at(-2)];
    };
    const through = [0, '  played: the compiled rules let it through'];
    expect(asked('front-1', 'api-2', 'tcp/8081')).toEqual(through);
    expect(asked('api-2', 'dns-1', 'udp/53')).toEqual(through);
    // The port called http of this one is another.
    expect(asked('front-1', 'api-2', 'tcp/8080')).toEqual([1, expect.stringContaining('played: lost at node2')]);
    expect(iptsim(['group', 'explain', '203.0.113.70', 'db-1', 'tcp/5432', '-f', file]).status).toBe(1);
  });

  test('wrong files', () => {
    expect(iptsim(['group', 'import', 'nowhere.json'])).toMatchObject({
      status: 2,
      stderr: 'iptsim group: nowhere.json: no such file\n',
    });
    const text = readFileSync(from('policies.yaml')[0]!, 'utf8');
    const wrong = path.join(folder, 'wrong.yaml');
    writeFileSync(wrong, text.replace('endPort: 9010', 'endPort: 8000'));
    expect(iptsim(['group', 'import', wrong])).toMatchObject({
      status: 2,
      stderr: `iptsim group: ${wrong}:17: NetworkPolicy shop/api: spec.ingress[0].ports[1].port: "9000" is no port, or above endPort\n`,
    });
  });
});
