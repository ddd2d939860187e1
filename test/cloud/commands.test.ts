import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { FIXTURES, iptsim } from '../fixtures/run.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-cloud-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const nats = path.join(FIXTURES, 'two-nats/network.yaml');
const cloud = path.join(FIXTURES, 'cloud-two-hosts/network.yaml');

describe('net trace', () => {
  test('text, captures of every link', () => {
    const { status, stdout } = iptsim([
      'net',
      'trace',
      nats,
      '--from',
      'laptop',
      '--to',
      '163.com:443',
      '--write-pcap',
      folder,
    ]);
    expect(status).toBe(0);
    expect(stdout).toContain('source 100.64.0.2:40000 → 203.0.113.10:40000');
    expect(stdout).toMatch(/=> ANSWERED by internet, who sees 203\.0\.113\.10:40000 > 192\.0\.2\.163:443\n$/);
    expect(readdirSync(folder).sort()).toEqual(['access.pcap', 'campus.pcap', 'home-lan.pcap', 'world.pcap']);
  });

  test('JSON', () => {
    const { stdout } = iptsim(['net', 'trace', nats, '--from', 'laptop', '--to', '163.com:22', '--json']);
    const conversation = JSON.parse(stdout);
    expect(conversation).toMatchObject({
      result: 'refused',
      stop: { host: 'internet', reason: 'a TCP reset came back' },
    });
    expect(conversation.packets[0]).toMatchObject({
      host: 'laptop',
      out: 'wlan0',
      next: [{ host: 'home', link: 'home-lan' }],
    });
  });

  test('check answers scripts', () => {
    const { status, stdout } = iptsim(['net', 'check', nats, '--json']);
    const { conversations, failed } = JSON.parse(stdout);
    expect({ status, failed }).toEqual({ status: 0, failed: 0 });
    expect(conversations[0]).toMatchObject({ from: 'laptop', to: '163.com:443', holds: true, wrong: [] });
  });

  test('wrong words and wrong files end with 2', () => {
    expect(iptsim(['net', 'trace', nats, '--from', 'laptopp', '--to', '163.com'])).toMatchObject({
      status: 2,
      stderr: 'iptsim net: no host laptopp: did you mean laptop?\n',
    });
    expect(iptsim(['net', 'check', 'nowhere.yaml'])).toMatchObject({
      status: 2,
      stderr: 'iptsim net: nowhere.yaml: no such file\n',
    });
    expect(iptsim(['net', 'trace', nats]).status).toBe(2);
  });
});

describe('group', () => {
  test('compile writes what each host loads', () => {
    const out = path.join(folder, 'rules');
    expect(iptsim(['group', 'compile', '-f', cloud, '--out', out]).status).toBe(0);
    expect(readdirSync(out).sort()).toEqual(['compute1', 'compute2']);
    expect(readFileSync(path.join(out, 'compute2/ipsets'), 'utf8')).toBe(
      'create NIPv4A hash:net family inet hashsize 1024 maxelem 65536\nadd NIPv4A 172.16.0.11\nadd NIPv4A 172.16.0.13\n' +
        'create NIPv6A hash:net family inet6 hashsize 1024 maxelem 65536\n',
    );
    for (const [tool, file] of [
      ['iptables-restore', 'rules.v4'],
      ['ip6tables-restore', 'rules.v6'],
    ] as const) {
      const dir = path.join(folder, 'state');
      iptsim(['--dir', dir, 'ipset', '-exist', 'restore'], {
        input: readFileSync(path.join(out, 'compute2/ipsets'), 'utf8'),
      });
      const input = readFileSync(path.join(out, 'compute2', file), 'utf8');
      expect(iptsim(['--dir', dir, tool], { input })).toEqual({ status: 0, stdout: '', stderr: '' });
    }
  });

  test('explain answers with its status', () => {
    const allowed = iptsim(['group', 'explain', 'web', 'db', 'tcp/3306', '-f', cloud]);
    expect(allowed.status).toBe(0);
    expect(allowed.stdout).toContain(
      'into db: allowed by group B, rule 1: ingress tcp/3306 from group A\n  played: the compiled rules let it through\n',
    );
    const refused = iptsim(['group', 'explain', '198.51.100.7', 'db', 'tcp/3306', '-f', cloud]);
    expect(refused.status).toBe(1);
    expect(refused.stdout).toContain('refused\n');
  });

  test('explain takes hosts of the network too, and answers scripts', () => {
    const words = ['group', 'explain', 'customer', 'web', 'tcp/22', '-f', cloud];
    expect(iptsim(words).stdout).toContain('  played: lost at compute1: dropped');
    const { status, stdout } = iptsim([...words, '--json']);
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      service: 'tcp/22',
      from: { vm: null, address: '198.51.100.7' },
      to: { vm: 'web', groups: ['A'] },
      allowed: false,
      egress: null,
      ingress: {
        misses: [
          { index: 1, miss: 'port' },
          { index: 2, miss: 'remote', remote: '203.0.113.0/24' },
        ],
      },
      played: { passed: false },
    });
    const asked = ['-f', cloud, '--json'];
    expect(JSON.parse(iptsim(['group', 'who-can-reach', 'db:3306', ...asked]).stdout)).toMatchObject({
      machines: [{ vm: 'web' }, { vm: 'web2', allowedBy: { group: 'B', index: 1 } }],
      outside: [],
    });
    const { pairs } = JSON.parse(iptsim(['group', 'matrix', ...asked]).stdout);
    expect(pairs).toContainEqual({ from: 'A', to: 'B', may: [{ matter: 'tcp/3306', partly: false, oneWay: false }] });
  });

  test('who-can-reach', () => {
    expect(
      iptsim(['group', 'who-can-reach', 'db:3306', '-f', cloud]).stdout,
    ).toBe(`tcp/3306 of db (172.16.0.12) is reached by
  web (A on compute1)  group B, rule 1: ingress tcp/3306 from group A
  web2 (A on compute2)  group B, rule 1: ingress tcp/3306 from group A
`);
  });
});
