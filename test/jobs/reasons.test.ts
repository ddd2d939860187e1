import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentIo } from '../../src/cli/trace/part.ts';
import { toHex } from '../../src/packet/bytes.ts';
import { buildPacket } from '../../src/packet/notation/build.ts';
import { parsePacket } from '../../src/packet/notation/parse.ts';
import { pcap } from '../kernel/simulate.ts';
import { playParts } from './whole.ts';

// What keeps packets on one core, and that `trace --jobs` says so. The command runs as it is built.

const IPTSIM = path.resolve(import.meta.dirname, '../../bin/iptsim.js');

let root = '';
beforeAll(() => {
  root = mkdtempSync(path.join(tmpdir(), 'iptsim-reasons-'));
});
afterAll(() => rmSync(root, { recursive: true }));

interface Setting {
  rules?: string;
  interfaces?: string;
  sysctl?: string;
  listen?: string;
  sets?: string;
}

/** A state directory. */
function state({ rules = '', interfaces = '', sysctl = '', listen = '[]', sets = '' }: Setting): string {
  const folder = mkdtempSync(path.join(root, 'state-'));
  writeFileSync(
    path.join(folder, 'host.yaml'),
    `interfaces:
  eth0: { mac: "02:00:00:00:00:01", addresses: [192.0.2.1/24] }
  eth1: { mac: "02:00:00:00:00:02", addresses: [10.0.0.1/24] }
${interfaces}
sysctl: { net.ipv4.ip_forward: 1${sysctl} }
listen: ${listen}
`,
  );
  writeFileSync(path.join(folder, 'rules.v4'), rules === '' ? '' : `*filter\n${rules}\nCOMMIT\n`);
  if (sets !== '') writeFileSync(path.join(folder, 'ipsets'), sets);
  return folder;
}

/** A capture of eth0 with these packets, a millisecond apart. */
function capture(folder: string, lines: readonly string[]): string {
  const file = path.join(folder, 'eth0.pcap');
  const frames = lines.map((line, n) => ({
    time: 1_700_000_000e6 + 1000 * n,
    data: Buffer.from(`0200000000010200000000fe0800${toHex(buildPacket(parsePacket(line)))}`, 'hex'),
  }));
  writeFileSync(file, pcap(1, frames));
  return file;
}

/** Between so many pairs of hosts. */
const many = (packet: (n: number) => string, count = 40): string[] =>
  Array.from({ length: count }, (_, n) => packet(n));
const FORWARDED = many((n) => `udp 192.0.2.9:${4000 + n} > 10.0.0.${10 + n}:53`);

async function reason(setting: Setting, lines: readonly string[] = FORWARDED): Promise<unknown> {
  const folder = state(setting);
  return playParts(silentIo(folder, 'nft'), [`eth0=${capture(folder, lines)}`], 3);
}

function trace(folder: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [IPTSIM, '--dir', folder, 'trace', ...args], {
    encoding: 'utf8',
  });
  return { status, out: stdout.replace(/\d+ packets\/s/, 'RATE'), err: stderr };
}

describe('what ties flows together', () => {
  it.each([
    ['-A FORWARD -m limit --limit 5/s -j ACCEPT', '-m limit'],
    ['-A FORWARD -m statistic --mode random --probability 0.5 -j DROP', '-m statistic'],
    ['-A FORWARD -m hashlimit --hashlimit-upto 5/s --hashlimit-mode srcip --hashlimit-name x -j DROP', '-m hashlimit'],
    ['-A FORWARD -m recent --name x --set', '-m recent'],
    ['-A FORWARD -m quota --quota 1000 -j ACCEPT', '-m quota'],
    ['-A FORWARD -p tcp -m connlimit --connlimit-above 3 -j DROP', '-m connlimit'],
    ['-A FORWARD -m set --match-set s src --packets-gt 5 -j DROP', '-m set'],
    ['-A FORWARD -j SET --add-set s src', '-j SET'],
    ['-A FORWARD -j NFQUEUE --queue-balance 0:3', '-j NFQUEUE'],
  ])('%s', async (rule, use) => {
    const setting = { rules: rule, sets: 'create s hash:ip counters\n' };
    expect(await reason(setting)).toMatch(
      new RegExp(`^at .*/rules.v4:2 what ${use} does depends on packets of other flows$`),
    );
  });

  it.each([
    '-A FORWARD -m conntrack --ctstate NEW -j CONNMARK --set-mark 1',
    '-A FORWARD -m set --match-set s src -j DROP',
    '-A FORWARD -m time --timestart 10:00 -j LOG',
    '-A FORWARD -m connbytes --connbytes 5 --connbytes-mode packets --connbytes-dir both -j DROP',
    '-A FORWARD -j NFQUEUE --queue-num 3',
    '-A FORWARD -j REJECT',
  ])('nothing: %s', async (rule) => {
    expect(await reason({ rules: rule, sets: 'create s hash:ip timeout 10\n' })).toHaveProperty('packets', 40);
  });

  it('translation of addresses', async () => {
    const folder = state({});
    writeFileSync(path.join(folder, 'rules.v4'), '*nat\n\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n');
    const pcaps = [`eth0=${capture(folder, FORWARDED)}`];
    expect(await playParts(silentIo(folder, 'nft'), pcaps, 2)).toMatch(/rules\.v4:3 what -j MASQUERADE does/);
  });

  it('a bridge', async () => {
    expect(await reason({ interfaces: '  br0: { bridge: [tap0] }\n  tap0: {}' })).toMatch(/^the bridge br0 learns/);
  });

  it('sequence numbers of the machine', async () => {
    const syns = many((n) => `tcp 192.0.2.${10 + n}:4000 > 192.0.2.1:22 S`);
    expect(await reason({ listen: '[tcp/22]' }, syns)).toBe('the machine took a random number');
    expect(await reason({}, syns)).toHaveProperty('packets', 40);
  });

  it('identifications that a rule may read', async () => {
    const pings = many((n) => `icmp 192.0.2.${10 + n} > 192.0.2.1 ping`);
    const rules = '-A OUTPUT -m u32 --u32 "2&0xffff=7" -j DROP';
    expect(await reason({ rules }, pings)).toBe('the machine sent a packet whose identification a rule may read');
    expect(await reason({}, pings)).toHaveProperty('counts.delivered', 40);
  });

  it('limits of what is answered to each sender', async () => {
    const expiring = many((n) => `udp 192.0.2.9:4000 > 10.0.0.${10 + n}:53 ttl=1`);
    const sysctl = ', net.ipv4.icmp_ratelimit: 1000, net.ipv4.icmp_ratemask: 6168';
    expect(await reason({ sysctl }, expiring)).toBe('the machine limits what it answers to each sender');
    expect(await reason({}, expiring)).toHaveProperty('counts.dropped', 40);
  });

  it('a full table of connections', async () => {
    const rules = '-A FORWARD -m conntrack --ctstate NEW -j ACCEPT';
    const sysctl = ', net.netfilter.nf_conntrack_max: 30';
    expect(await reason({ rules, sysctl })).toMatch(/^the table of connections may be full/);
    expect(await reason({ rules })).toHaveProperty('connections.length', 40);
  });

  it('an answer from another address', async () => {
    const pings = many((n) => `icmp 192.0.2.${10 + n} > 192.0.2.255 ping dstmac=ff:ff:ff:ff:ff:ff`);
    const frames = pings.map((line) => line.replace(/ dstmac=\S+/, ''));
    const answer = await reason({ sysctl: ', net.ipv4.icmp_echo_ignore_broadcasts: 0' }, frames);
    expect(answer).toMatch(/^the machine sent a packet between other addresses/);
  });

  it('an ICMP error in fragments, and fragments of one sender for many', async () => {
    const rules = '-A FORWARD -m conntrack --ctstate NEW -j ACCEPT';
    expect(await reason({ rules }, ['icmp 192.0.2.9 > 10.0.0.5 time-exceeded mf=1 len=64'])).toBe(
      'an ICMP error came in fragments',
    );
    const fragments = many((n) => `udp 192.0.2.9:4000 > 10.0.0.${2 + (n % 200)}:53 ipid=${n} mf=1 len=32`, 80);
    expect(await reason({ rules }, fragments)).toBe('a sender has sent many fragments to several receivers');
    expect(await reason({ rules }, fragments.slice(0, 50))).toHaveProperty('counts.stolen', 50);
  });
});

describe('iptsim trace --jobs', () => {
  const rules = '-A FORWARD -p udp --dport 53 -d 10.0.0.16/28 -j DROP\n-A FORWARD -j ACCEPT';

  it('gives the same summary, and no word more', () => {
    const folder = state({ rules });
    const args = ['--pcap', `eth0=${capture(folder, FORWARDED)}`, '--summary'];
    expect(trace(folder, ...args, '--jobs', '3')).toEqual(trace(folder, ...args));
    expect(trace(folder, ...args, '--jobs', '2').out).toBe('40 packets: 24 forwarded, 16 dropped; RATE\n');
  });

  it('commits the same counters', () => {
    const folders = [1, 2].map((jobs) => {
      const folder = state({ rules });
      const args = ['--pcap', `eth0=${capture(folder, FORWARDED)}`, '--summary', '--commit', '--jobs', `${jobs}`];
      expect(trace(folder, ...args)).toMatchObject({ status: 0, err: '' });
      return folder;
    });
    const files = readdirSync(folders[0]!).sort();
    expect(readdirSync(folders[1]!).sort()).toEqual(files);
    for (const file of files.filter((name) => !name.endsWith('.pcap'))) {
      const [one, two] = folders.map((folder) => readFileSync(path.join(folder, file), 'utf8'));
      expect(two, file).toBe(one);
    }
    expect(readFileSync(path.join(folders[1]!, 'rules.v4'), 'utf8')).toContain('[16:');
  });

  it.each([
    [['--commit', '--summary'], '--commit numbers connections in the order in which they begin'],
    [[], 'without --summary packets are told of in their order'],
    [['--summary', '--write-pcap', 'out'], '--write-pcap writes packets in their order'],
    [['--summary', '--queue', '0=accept'], 'the handlers of --queue get packets in their order'],
    [['--summary', 'in=eth0 udp 192.0.2.9:1 > 10.0.0.9:2'], 'only captures are shared out'],
  ])('%j: says why one core works', (options, why) => {
    const folder = state({ rules: '-A FORWARD -m conntrack --ctstate NEW -j ACCEPT' });
    mkdirSync(path.join(folder, 'out'));
    const words = options.map((word) => (word === 'out' ? path.join(folder, 'out') : word));
    const args = ['--pcap', `eth0=${capture(folder, FORWARDED)}`, ...words];
    const plain = trace(folder, ...args);
    expect(plain.status).toBe(0);
    expect(trace(folder, ...args, '--jobs', '2')).toMatchObject({
      status: 0,
      err: `iptsim trace: --jobs 2: on one core, because ${why}\n`,
    });
  });

  it('begins again on one core where packets turn out to depend on others', () => {
    const folder = state({ listen: '[tcp/22]' });
    const syns = many((n) => `tcp 192.0.2.${10 + n}:4000 > 192.0.2.1:22 S`);
    const args = ['--pcap', `eth0=${capture(folder, syns)}`, '--summary'];
    expect(trace(folder, ...args, '--jobs', '2')).toEqual({
      ...trace(folder, ...args),
      err: 'iptsim trace: --jobs 2: on one core, because the machine took a random number\n',
    });
  });

  it('fails as one core does: damaged captures, wrong numbers', () => {
    const folder = state({ rules });
    const file = capture(folder, FORWARDED);
    writeFileSync(file, readFileSync(file).subarray(0, -5));
    const args = ['--pcap', `eth0=${file}`, '--summary'];
    const plain = trace(folder, ...args);
    expect(plain).toMatchObject({ status: 1, out: '' });
    expect(trace(folder, ...args, '--jobs', '2')).toEqual(plain);
    for (const number of ['0', 'x', '-1', '1.5', '1000']) {
      expect(trace(folder, ...args, '--jobs', number)).toMatchObject({
        status: 2,
        err: expect.stringContaining(`--jobs ${number}: expected a number of cores from 1 to 64`) as string,
      });
    }
  });
});
