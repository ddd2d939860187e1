import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FIXTURES, iptsim } from '../fixtures/run.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-apply-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const cloud = path.join(FIXTURES, 'cloud-two-hosts/network.yaml');
const state = path.join(folder, 'hosts');
const declared = readFileSync(cloud, 'utf8');

/** The cloud with a change, as a file. */
function changed(name: string, from: RegExp | string, to: string): string {
  const text = declared.replace(from, to);
  expect(text).not.toBe(declared);
  const file = path.join(folder, `${name}.yaml`);
  writeFileSync(file, text);
  return file;
}

const web2Leaves = changed('web2-leaves', /(web2:[\s\S]*?groups: )\[A\]/, '$1[]');
const apply = (file: string, ...flags: string[]) => iptsim(['group', 'apply', file, '--state', state, ...flags]);

/** All files of the state directories, with their content. */
function files(): Record<string, string> {
  return Object.fromEntries(
    readdirSync(state, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.includes('/'))
      .map((name) => [name, readFileSync(path.join(state, name), 'utf8')]),
  );
}

const connection = (source: string): string[] =>
  `--dir ${state}/compute2 conntrack -I -p tcp -s ${source} -d 172.16.0.12 --sport 40000 --dport 3306 --state ESTABLISHED -t 1000 -u SEEN_REPLY`.split(
    ' ',
  );

describe('group apply', () => {
  beforeAll(() => {
    expect(apply(cloud)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(
        /\n2 of 2 hosts changed by 6 commands \(2 compiled, 0 as their agents left them\)\n$/,
      ),
    });
    for (const source of ['172.16.0.11', '172.16.0.13']) expect(iptsim(connection(source)).status).toBe(0);
  }, 60_000);

  test('does nothing where nothing changed', () => {
    const before = files();
    const again = { status: 0, stdout: '2 hosts: nothing to do (none compiled)\n', stderr: '' };
    expect(apply(cloud)).toEqual(again);
    rmSync(path.join(state, 'compute1/agent.json'));
    expect(apply(cloud).stdout).toBe('2 hosts: nothing to do (1 compiled, 1 as their agents left them)\n');
    expect(files()).toEqual(before);
  });

  test('sends the smallest change, and forgets connections that are no longer allowed; a trial changes nothing', () => {
    const before = files();
    const said = `compute2 close: ipset restore
  del NIPv4A 172.16.0.13
compute2 close: iptables-restore --noflush
  *filter
  -D neutron-openvswi-i-web2 3
  -D neutron-openvswi-i-web2 3
  -D neutron-openvswi-o-web2 6
  COMMIT
compute2 close: ip6tables-restore --noflush
  *filter
  -D neutron-openvswi-o-web2 10
  COMMIT
compute2 close: conntrack -D -f ipv4 -p tcp -s 172.16.0.13 -d 172.16.0.12 --sport 40000 --dport 3306
1 of 2 hosts changed by 4 commands (1 compiled, 1 as their agents left them)
`;
    expect(apply(web2Leaves, '--dry-run').stdout).toBe(said);
    expect(files()).toEqual(before);
    expect(apply(web2Leaves).stdout).toBe(said);
    const left = iptsim(['--dir', `${state}/compute2`, 'conntrack', '-L']).stdout;
    expect(left).toMatch(/^tcp .* src=172\.16\.0\.11 dst=172\.16\.0\.12 .*\n$/);
    expect(apply(cloud).status).toBe(0);
  });

  test('JSON', () => {
    const lines = apply(web2Leaves, '--dry-run', '--json', '--verify').stdout.trim().split('\n');
    expect(JSON.parse(lines[0]!)).toEqual({
      host: 'compute2',
      stage: 'close',
      commands: [{ command: 'ipset restore', input: 'del NIPv4A 172.16.0.13\n' }],
    });
    expect(JSON.parse(lines.at(-2)!)).toEqual({
      hosts: 2,
      compiled: 1,
      changed: 1,
      commands: 3,
      kept: {},
    });
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({
      verified: { flows: expect.any(Number), before: 14, after: 0, delayed: 0, violations: [] },
    });
  });

  test('what a real host would be given', () => {
    const out = path.join(folder, 'out');
    expect(apply(web2Leaves, '--dry-run', '--out', out).status).toBe(0);
    expect(readdirSync(out)).toEqual(['compute2']);
    const directory = path.join(out, 'compute2');
    expect(readFileSync(path.join(directory, '01-close.ipset'), 'utf8')).toBe('del NIPv4A 172.16.0.13\n');
    const script = readFileSync(path.join(directory, 'apply.sh'), 'utf8');
    expect(script).toContain('  ipset restore < 01-close.ipset\n  iptables-restore --noflush < 02-close.filter.v4\n');
    for (const name of ['apply.sh', 'forget.sh']) {
      expect(spawnSync('sh', ['-n', path.join(directory, name)]).status).toBe(0);
    }
    const listed = [
      'tcp      6 999 ESTABLISHED src=172.16.0.13 dst=172.16.0.12 sport=40000 dport=3306 src=172.16.0.12 dst=172.16.0.13 sport=3306 dport=40000 [ASSURED] mark=0 use=1',
      'tcp      6 999 ESTABLISHED src=172.16.0.11 dst=172.16.0.12 sport=40000 dport=3306 src=172.16.0.12 dst=172.16.0.11 sport=3306 dport=40000 [ASSURED] mark=0 use=1',
      'tcp      6 999 ESTABLISHED src=203.0.113.200 dst=172.16.0.12 sport=40000 dport=22 src=172.16.0.12 dst=203.0.113.200 sport=22 dport=40000 [ASSURED] mark=0 use=1',
      'icmp     1 29 src=198.51.100.7 dst=172.16.0.12 type=8 code=0 id=77 src=172.16.0.12 dst=198.51.100.7 type=0 code=0 id=77 mark=0 use=1',
      'icmpv6   58 29 src=fe80::f816:3eff:fe00:12 dst=fe80::1 type=128 code=0 id=5 src=fe80::1 dst=fe80::f816:3eff:fe00:12 type=129 code=0 id=5 mark=0 use=1',
      'unknown  47 599 src=fe80::1 dst=fe80::f816:3eff:fe00:12 src=fe80::f816:3eff:fe00:12 dst=fe80::1 mark=0 use=1',
    ];
    const stale = spawnSync('awk', ['-f', 'stale.awk', 'allowed', '-'], {
      cwd: directory,
      input: `${listed.join('\n')}\n`,
      encoding: 'utf8',
    });
    expect(stale.stdout.split('\n')).toEqual([
      '-D -f ipv4 -p tcp -s 172.16.0.13 -d 172.16.0.12 --sport 40000 --dport 3306',
      '-D -f ipv4 -p icmp -s 198.51.100.7 -d 172.16.0.12 --icmp-type 8 --icmp-code 0 --icmp-id 77',
      '-D -f ipv6 -p 47 -s fe80::1 -d fe80::f816:3eff:fe00:12',
      '',
    ]);
  });

  test('one host alone; wrong words end with 2', () => {
    expect(apply(web2Leaves, '--dry-run', '--host', 'compute1').stdout).toBe('1 host: nothing to do (none compiled)\n');
    expect(apply(cloud, '--host', 'compute3')).toMatchObject({
      status: 2,
      stderr: 'iptsim group: no host compute3 with machines or a state directory: did you mean compute1?\n',
    });
    expect(iptsim(['group', 'apply', cloud]).status).toBe(2);
  });

  test('a set of another kind in the place of one of the agent', () => {
    const other = path.join(folder, 'other');
    mkdirSync(path.join(other, 'compute2'), { recursive: true });
    writeFileSync(path.join(other, 'compute2/ipsets'), 'create NIPv4A hash:mac\n');
    writeFileSync(
      path.join(other, 'compute2/rules.v4'),
      '*filter\n-A INPUT -m set --match-set NIPv4A src -j DROP\nCOMMIT\n',
    );
    expect(iptsim(['group', 'apply', cloud, '--state', other])).toMatchObject({
      status: 1,
      stderr: "iptsim group: compute2: set NIPv4A is a hash:mac, and in use: it is none of the agent's\n",
    });
  });
});

describe('net trace --state', () => {
  const hosts = path.join(folder, 'traced');
  const trace = (file: string, ...flags: string[]) =>
    iptsim(['net', 'trace', file, '--from', 'web2', '--to', 'db:3306', '--state', hosts, ...flags]);

  test('has the rules and connections that are there, and keeps new ones', () => {
    expect(trace(cloud).stdout).toContain('=> ANSWERED by db');
    expect(iptsim(['group', 'apply', web2Leaves, '--state', hosts]).status).toBe(0);
    expect(trace(cloud).stdout).toContain('=> LOST at compute2: dropped');
    expect(iptsim(['group', 'apply', cloud, '--state', hosts]).status).toBe(0);
    expect(trace(web2Leaves, '--commit').stdout).toContain('=> ANSWERED by db');
    expect(iptsim(['--dir', path.join(hosts, 'compute2'), 'conntrack', '-L']).stdout).toMatch(
      /^tcp .* src=172\.16\.0\.13 dst=172\.16\.0\.12 sport=40000 dport=3306 .*\n$/,
    );
    expect(readFileSync(path.join(hosts, 'compute2/rules.v4'), 'utf8')).toMatch(
      /^\[1:40\] -A neutron-openvswi-i-db -p tcp -m tcp --dport 3306 /m,
    );
    expect(iptsim(['group', 'apply', cloud, '--state', hosts]).stdout).toContain('nothing to do');
    expect(iptsim(['group', 'apply', web2Leaves, '--state', hosts]).stdout).toContain(
      'conntrack -D -f ipv4 -p tcp -s 172.16.0.13 -d 172.16.0.12 --sport 40000 --dport 3306\n',
    );
  });

  test('--commit needs --state', () => {
    const words = ['net', 'trace', cloud, '--from', 'web', '--to', 'db', '--commit'];
    expect(iptsim(words)).toMatchObject({ status: 2, stderr: 'iptsim net: --commit needs --state\n' });
  });
});

describe('group compile --changed-from', () => {
  test('compiles the hosts alone that depend on what changed', () => {
    const out = path.join(folder, 'compiled');
    const { status, stderr } = iptsim(['group', 'compile', '-f', web2Leaves, '--changed-from', cloud, '--out', out]);
    expect(status).toBe(0);
    expect(stderr).toContain(`iptsim group: 1 of 2 hosts depend on what changed since ${cloud}\n`);
    expect(readdirSync(out)).toEqual(['compute2']);
  });
});
