import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { afterAll, describe, expect, it } from 'vitest';
import { FIXTURES, iptsim } from '../fixtures/run.ts';
import { ImportedRouter, type Recorded } from './imported.ts';

const fixture = path.join(FIXTURES, 'imported-router');
const collected = path.join(fixture, 'collected');
const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-import-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a router that was collected (Linux 6.18, iproute2 6.1)', () => {
  const recorded = JSON.parse(readFileSync(path.join(fixture, 'kernel.json'), 'utf8')) as Recorded;
  const router = new ImportedRouter(collected, recorded.played[0]!.time);

  it('sends what the kernel sent, frame by frame', () => {
    expect(recorded.played.length).toBeGreaterThan(90);
    expect(router.compare(readFileSync(path.join(fixture, 'sent.txt'), 'utf8'), recorded.played)).toEqual([]);
  });

  it.each(Object.entries(recorded.routes))('ip route get %s', (words, answer) => {
    expect(router.routeGet(words)).toBe(answer);
  });

  it('tells what is not as there', () => {
    expect(router.machine.notes).toEqual([
      { file: 'ip-link.json', entry: 'entry 9 (tun0)', text: expect.stringContaining('a tun device') },
      { file: 'ip-link.json', entry: 'entry 9 (tun0)', text: 'is down: nothing should come in on it' },
      { file: 'ip-link.json', entry: 'entry 10 (idle)', text: 'is down: nothing should come in on it' },
      {
        file: 'ip-route.json',
        entry: 'entry 15 (10.40.0.0/16)',
        text: 'has 2 next hops, of which the kernel picks one by a hash seeded at boot: all packets take the first, via 10.0.0.2 dev lan',
      },
    ]);
  });
});

describe('iptsim import', () => {
  it('makes a state directory, in which packets go their way', () => {
    const out = path.join(folder, 'state');
    const { status, stdout, stderr } = iptsim(['import', collected, '--out', out]);
    expect(status).toBe(0);
    expect(stdout).toBe(
      `${out}: host.yaml, rules.v4, rules.v6, ipsets\n4 things are not as on the machine (above, and in host.yaml)\n`,
    );
    expect(stderr.split('\n')).toHaveLength(5);
    expect(readFileSync(path.join(out, 'rules.v4'), 'utf8')).toBe(
      readFileSync(path.join(collected, 'iptables-nft-save'), 'utf8'),
    );
    const traced = iptsim(['--dir', out, 'trace', '--json', 'lan tcp 10.0.0.5:40000 > 192.0.2.200:443 S']);
    expect(JSON.parse(traced.stdout)).toMatchObject({ verdict: 'forwarded', out: 'wan', table: 'filter', rule: 7 });
    // What the bridge had learned: a static entry.
    const bridged = iptsim([
      '--dir',
      out,
      'trace',
      '--json',
      'port2 udp 172.16.0.21:40071 > 172.16.0.20:53 dstmac=02:00:00:00:aa:0d srcmac=02:00:00:00:aa:0e',
    ]);
    expect(JSON.parse(bridged.stdout).emitted).toMatchObject([{ dev: 'port1' }]);
  });

  it('takes connections over: what belongs to them passes', () => {
    const live = path.join(folder, 'live');
    cpSync(collected, live, { recursive: true });
    // As conntrack 1.4.7 saves a connection out of and one into translation.
    const lines = [
      '-A -t 431998 -u SEEN_REPLY,ASSURED -s 10.0.0.5 -d 192.0.2.200 -r 192.0.2.200 -n 203.0.113.10 -p tcp --sport 40000 --dport 443 --reply-port-src 443 --reply-port-dst 40777 --state ESTABLISHED',
      '-A -t 431998 -u SEEN_REPLY,ASSURED -s 8.8.4.4 -d 203.0.113.11 -g 172.16.0.20 -q 8.8.4.4 -p tcp --sport 5000 --dport 8080 --reply-port-src 80 --reply-port-dst 5000 --state ESTABLISHED',
    ];
    writeFileSync(path.join(live, 'conntrack-save'), `${lines.join('\n')}\n`);
    const out = path.join(folder, 'connected');
    expect(iptsim(['import', live, '--out', out]).stdout).toContain('ipsets, 2 connections\n');
    expect(iptsim(['--dir', out, 'conntrack', '-L', '-g']).stdout).toContain(
      'src=172.16.0.20 dst=8.8.4.4 sport=80 dport=5000',
    );
    const answer = 'wan tcp 192.0.2.200:443 > 203.0.113.10:40777 A';
    expect(JSON.parse(iptsim(['--dir', out, 'trace', '--json', answer]).stdout)).toMatchObject({
      verdict: 'forwarded',
      out: 'lan',
      rule: 1,
    });
    writeFileSync(path.join(live, 'conntrack-save'), '-A nonsense\n');
    expect(iptsim(['import', live, '--out', path.join(folder, 'nonsense')]).stderr).toContain(
      'conntrack-save: not all connections are taken over: conntrack v1.4.7',
    );
  });

  it('writes over nothing unless told to', () => {
    const out = path.join(folder, 'state');
    expect(iptsim(['import', collected, '--out', out])).toMatchObject({
      status: 2,
      stderr: `iptsim import: ${out}/host.yaml: there is one already; --force writes over it, --out takes another directory\n`,
    });
    const { status, stdout } = iptsim(['import', collected, '--out', out, '--force', '--strict', '--json']);
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ variant: 'nft', notes: [{ file: 'ip-link.json' }, {}, {}, {}] });
  });

  it('names the file that is wrong', () => {
    const broken = path.join(folder, 'broken');
    cpSync(collected, broken, { recursive: true });
    writeFileSync(path.join(broken, 'ip-route.json'), '[{');
    const { status, stderr } = iptsim(['import', broken, '--out', path.join(folder, 'none')]);
    expect(status).toBe(2);
    expect(stderr).toContain(`iptsim import: ${broken}/ip-route.json: not JSON, as ip -j prints it`);
    expect(iptsim(['import', folder]).stderr).toContain('ip-link.json: no such file in the directory');
    expect(iptsim(['import', path.join(folder, 'nowhere')]).status).toBe(2);
    writeFileSync(path.join(broken, 'ip-route.json'), '[]');
    writeFileSync(
      path.join(broken, 'iptables-nft-save'),
      '*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m nothing -j ACCEPT\n-A INPUT -j NOWHERE\nCOMMIT\n',
    );
    const odd = iptsim(['import', broken, '--out', path.join(folder, 'odd')]);
    expect(odd.status).toBe(0);
    expect(odd.stderr).toContain('iptsim import: rules.v4, line 3: ');
    expect(odd.stderr).toContain('iptsim import: rules.v4, line 4: ');
  });

  it('a network takes the directory as a host', () => {
    const file = path.join(folder, 'network.yaml');
    writeFileSync(
      file,
      `hosts:
  router: { dir: ${collected} }
  inside:
    interfaces: { eth0: { addresses: [10.0.0.5/24] } }
    routes: [default via 10.0.0.1 dev eth0]
links:
  lan: ["router:lan", inside]
  wan: ["router:wan", internet]
internet:
  servers:
    example: { addresses: [192.0.2.163], listen: [tcp/443] }
  routes: []
`,
    );
    const { status, stdout, stderr } = iptsim(['net', 'trace', file, '--from', 'inside', '--to', 'example:443']);
    expect({ status, stdout: stdout.split('\n').at(-2) }).toEqual({
      status: 0,
      stdout: '=> ANSWERED by internet, who sees 203.0.113.10:40000 > 192.0.2.163:443',
    });
    expect(stderr).toContain(`iptsim net: ${collected}/ip-route.json, entry 15 (10.40.0.0/16): has 2 next hops`);
  });
});

describe('iptsim-collect.sh', () => {
  const script = path.resolve(FIXTURES, '../adapters/collect/iptsim-collect.sh');
  /** Runs it with stand-ins for the tools that it asks; `null` for one that fails. */
  function collect(directory: string, tools: Record<string, string | null>): { status: number | null; stderr: string } {
    const bin = mkdtempSync(path.join(folder, 'bin-'));
    const all: Record<string, string | null> = { ip: '[]', bridge: '[]', sysctl: 'net.ipv4.ip_forward = 1' };
    for (const name of ['ss', 'nft', 'ipset', 'conntrack']) all[name] = '';
    for (const family of ['', '6']) {
      for (const kind of ['', '-nft-save', '-legacy-save']) all[`ip${family}tables${kind}`] = '';
    }
    Object.assign(all, tools);
    for (const [name, output] of Object.entries(all)) {
      const file = path.join(bin, name);
      writeFileSync(file, output === null ? '#!/bin/sh\necho no >&2\nexit 1\n' : `#!/bin/sh\necho '${output}'\n`);
      chmodSync(file, 0o755);
    }
    const { status, stderr } = spawnSync('sh', [script, directory], {
      encoding: 'utf8',
      env: { PATH: `${bin}:${process.env.PATH}` },
    });
    return { status, stderr };
  }

  it('collects what there is', () => {
    const directory = path.join(folder, 'whole');
    expect(collect(directory, {})).toMatchObject({ status: 0 });
    expect(readFileSync(path.join(directory, 'collected'), 'utf8')).toContain('ok ip-link.json ip -j -d link show\n');
    expect(collect(directory, {})).toMatchObject({ status: 2, stderr: `iptsim-collect: ${directory} is not empty\n` });
  });

  it('leaves keys out', () => {
    const directory = path.join(folder, 'keys');
    collect(directory, {
      sysctl: 'net.ipv6.conf.all.stable_secret = 1234\nnet.ipv4.tcp_fastopen_key = 5678\nnet.ipv4.ip_forward = 1',
    });
    expect(readFileSync(path.join(directory, 'sysctl'), 'utf8')).toBe('net.ipv4.ip_forward = 1\n');
  });

  it('says what it could not read, and ends with 1', () => {
    const directory = path.join(folder, 'part');
    const { status, stderr } = collect(directory, { 'iptables-nft-save': null });
    expect(status).toBe(1);
    expect(stderr).toContain('iptsim-collect: iptables-nft-save -c failed: no\n');
    expect(readFileSync(path.join(directory, 'collected'), 'utf8')).toContain(
      'failed iptables-nft-save iptables-nft-save -c: no\n',
    );
    expect(existsSync(path.join(directory, 'iptables-nft-save'))).toBe(false);
    mkdirSync(path.join(folder, 'ip'));
    expect(collect(path.join(folder, 'ip'), { ip: null }).status).toBe(1);
  });
});
