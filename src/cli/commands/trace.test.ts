import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCapture } from '../../capture/reader.ts';
import { bytesSource } from '../../capture/source.ts';
import { toHex } from '../../packet/bytes.ts';
import type { Command, Io } from '../io.ts';
import { check } from './check.ts';
import { trace } from './trace.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'iptsim-trace-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const HOST = `interfaces:
  eth0: { mac: "02:00:00:00:00:01", addresses: [192.0.2.1/24] }
  eth1: { mac: "02:00:00:00:00:02", addresses: [10.0.0.1/24] }
routes: [default via 192.0.2.254 dev eth0]
sysctl: { net.ipv4.ip_forward: 1 }
`;
const RULES = `*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
-A INPUT -p tcp --dport 25 -j REJECT --reject-with tcp-reset
COMMIT
`;

function put(name: string, text: string | Uint8Array): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

async function called(command: Command, ...args: string[]) {
  let out = '';
  let err = '';
  const io: Io = {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    readStdin: () => '',
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    directory: folder,
    variant: 'nft',
    hints: false,
  };
  const status = await command('trace', args, io);
  return { status, out, err };
}

const SSH = 'in=eth0 tcp 198.51.100.7:40000 > 192.0.2.1:22';

describe('iptsim trace', () => {
  it('prints one JSON object for each packet', async () => {
    put('host.yaml', HOST);
    put('rules.v4', RULES);
    const through = 'in=eth1 udp 10.0.0.5:5000 > 198.51.100.9:53 data=x';
    const { status, out } = await called(trace, '--json', SSH, through, 'in=eth0 tcp 198.51.100.7:1 > 192.0.2.1:25');
    expect(status).toBe(0);
    const objects = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(
      objects.map(({ n, time, in: from, verdict, table, chain, rule, out: to }) => [
        n,
        time,
        from,
        verdict,
        table,
        chain,
        rule,
        to,
      ]),
    ).toEqual([
      [1, 0, 'eth0', 'delivered', 'filter', 'INPUT', 1, null],
      [2, 0.001, 'eth1', 'forwarded', 'filter', 'FORWARD', null, 'eth0'],
      [3, 0.002, 'eth0', 'rejected', 'filter', 'INPUT', 2, null],
    ]);
    expect(objects[1].emitted).toHaveLength(1);
    expect(objects[1].emitted[0]).toMatchObject({ dev: 'eth0' });
    // As Linux: TTL 63, the rest as it was.
    expect(objects[1].emitted[0].hex).toMatch(/^4500001d000000003f11/);
    expect(objects[2].emitted[0].hex.slice(66, 68)).toBe('14');
  });

  it('keeps times to the microsecond and n from 1', async () => {
    put('host.yaml', HOST);
    const { out } = await called(trace, '--json', '--no-steps', `${SSH} time=1700000000.000123`, `${SSH} time=+30s`);
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).time),
    ).toEqual([1700000000.000123, 1700000030.000123]);
    expect(out).not.toContain('"steps"');
  });

  it('says in one line how packets find their way without a host', async () => {
    const { status, out, err } = await called(
      trace,
      '--json',
      SSH,
      'in=eth0 out=eth1 udp 1.1.1.1:1 > 2.2.2.2:2',
      'out=eth0 udp 1.1.1.1:1 > 2.2.2.2:2',
    );
    expect(status).toBe(0);
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).verdict),
    ).toEqual(['delivered', 'forwarded', 'sent']);
  });

  it('writes a capture for each interface, each record with the time of its cause', async () => {
    put('host.yaml', HOST);
    put('rules.v4', RULES);
    const out = path.join(folder, 'out');
    const { status } = await called(
      trace,
      '--write-pcap',
      out,
      '--summary',
      `${SSH} time=1700000000.5`,
      'in=eth1 udp 10.0.0.5:5000 > 198.51.100.9:53',
    );
    expect(status).toBe(0);
    expect(readdirSync(out).sort()).toEqual(['eth0.pcap', 'eth1.pcap', 'local.pcap']);
    const records = (name: string) => readCapture(bytesSource(readFileSync(path.join(out, name))));
    expect(records('eth1.pcap')).toEqual([]);
    // RST of the machine (nobody listens), then the forwarded datagram.
    expect(records('eth0.pcap').map(({ time }) => time)).toEqual([1700000000500000, 1700000000501000]);
    expect(records('local.pcap').map(({ data, linkType }) => [linkType, toHex(data, 0, 1)])).toEqual([[101, '45']]);
  });

  it('reads back what it wrote', async () => {
    put('host.yaml', HOST);
    const out = path.join(folder, 'out');
    await called(trace, '--write-pcap', out, '--summary', 'in=eth1 udp 10.0.0.5:5000 > 198.51.100.9:53 time=3');
    const again = await called(trace, '--json', '--pcap', `eth1=${path.join(out, 'eth0.pcap')}`);
    // The frame is for the next hop's MAC, not for eth1's.
    expect(JSON.parse(again.out)).toMatchObject({ time: 3, in: 'eth1', verdict: 'invalid' });
  });

  it('takes frames for any host as its own where its MAC is made up', async () => {
    put('host.yaml', HOST);
    const out = path.join(folder, 'out');
    await called(trace, '--write-pcap', out, '--summary', 'in=eth1 udp 10.0.0.5:5000 > 198.51.100.9:53');
    const file = path.join(out, 'eth0.pcap');
    put('host.yaml', HOST.replace('mac: "02:00:00:00:00:02", ', ''));
    expect(JSON.parse((await called(trace, '--json', '--pcap', `eth1=${file}`)).out).verdict).not.toBe('invalid');
    rmSync(path.join(folder, 'host.yaml'));
    expect(JSON.parse((await called(trace, '--json', '--pcap', `eth1=${file}`)).out).verdict).toBe('delivered');
  });

  it('says where a packet does not leave as it says', async () => {
    put('host.yaml', HOST);
    const { err } = await called(trace, '--summary', 'in=eth1 out=eth1 udp 10.0.0.5:5000 > 198.51.100.9:53');
    expect(err).toBe('iptsim trace: packet 1 says out=eth1, but is routed out eth0\n');
  });

  it('sums up', async () => {
    put('host.yaml', HOST);
    put('rules.v4', RULES);
    const { out } = await called(trace, '--summary', SSH, SSH, 'in=eth0 tcp 198.51.100.7:1 > 192.0.2.1:80');
    expect(out).toMatch(/^3 packets: 2 delivered, 1 dropped; \d+ packets\/s\n$/);
  });

  it('changes nothing without --commit, and counters with it', async () => {
    put('host.yaml', HOST);
    put('rules.v4', RULES);
    await called(trace, '--summary', SSH);
    expect(readFileSync(path.join(folder, 'rules.v4'), 'utf8')).toBe(RULES);
    await called(trace, '--summary', '--commit', SSH);
    expect(readFileSync(path.join(folder, 'rules.v4'), 'utf8')).toContain(
      '[1:40] -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT',
    );
    // The next packet without a time starts at the clock of the last committed one.
    await called(trace, '--summary', '--commit', `${SSH} time=100`);
    const { out } = await called(trace, '--json', SSH);
    expect(JSON.parse(out).time).toBe(100);
  });

  it('gives usage errors status 2', async () => {
    for (const args of [
      [],
      ['--commit', '--rules', 'x', SSH],
      ['--pcap', 'eth0', SSH],
      ['--seed', 'x', SSH],
      ['--json', '--summary', SSH],
      ['--queue', 'accept', SSH],
      ['--frobnicate', SSH],
      ['in=eth0 tcp 1.1.1.1:1 > 2.2.2.2:2 ttl=900'],
    ]) {
      const { status, err } = await called(trace, ...args);
      expect([status, err === '' ? 'silent' : 'told']).toEqual([2, 'told']);
    }
  });

  it('gives inputs that cannot be read status 1, and names them', async () => {
    put('host.yaml', HOST);
    const broken = put('broken.pcap', Uint8Array.from([0xd4, 0xc3, 0xb2, 0xa1, 2, 0]));
    for (const [args, message] of [
      [[`${folder}/none.pcap`], 'none.pcap: no such file'],
      [['--pcap', `eth0=${folder}/none.pcap`], 'none.pcap: no such file'],
      [['--pcap', `eth0=${broken}`], 'broken.pcap: the file ends within the pcap header'],
      [['--pcap', `eth7=${broken}`], 'the host has no interface eth7: did you mean eth0?'],
      [['--rules', `${folder}/none`, SSH], 'none: no such file'],
      [['--rules', put('bad.v4', '*filter\n-A INPUT -j NOPE\nCOMMIT\n'), SSH], 'bad.v4:2: '],
      [['--host', put('bad.yaml', 'interfaces:\n  eth0: { mtu: x }\n'), SSH], 'bad.yaml:2: '],
      [
        [put('list.yaml', '- in=eth0 tcp 1.1.1.1:1 > 2.2.2.2:2 ttl=900\n')],
        'list.yaml:1: ttl="900": expected a number from 0 to 255',
      ],
    ] as const) {
      const { status, err } = await called(trace, ...args);
      expect([status, err]).toEqual([1, expect.stringContaining(message)]);
    }
  });

  it('takes lists of packets and flows, and text of tcpdump', async () => {
    put('host.yaml', HOST);
    const yaml = put(
      'list.yaml',
      'packets:\n  - { in: eth1, proto: udp, src: "10.0.0.5:5000", dst: "198.51.100.9:53", ttl: 9 }\n  - flow in=eth1 icmp 10.0.0.5 > 198.51.100.9 rounds=2\n',
    );
    const text = put('dump.txt', '22:13:20.013574 IP 10.0.0.5.5000 > 198.51.100.9.9999: UDP, length 5\n');
    const list = put('list.txt', `# comment\n\n${SSH}\n`);
    const { status, out } = await called(trace, '--json', yaml, text, list);
    expect(status).toBe(0);
    const verdicts = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .map(({ in: from, verdict }) => `${from} ${verdict}`);
    expect(verdicts.sort()).toEqual([
      'eth0 delivered',
      'eth0 forwarded',
      'eth0 forwarded',
      'eth1 forwarded',
      'eth1 forwarded',
      'eth1 forwarded',
      'eth1 forwarded',
    ]);
  });

  it('says that a list has no packets', async () => {
    const list = put('list.txt', '# nothing yet\n');
    const { status, out, err } = await called(trace, '--host', put('host.yaml', HOST), '--summary', list);
    expect({ status, out, err }).toEqual({
      status: 0,
      out: '0 packets; 0 packets/s\n',
      err: `iptsim trace: ${list}: there are no packets in it\n`,
    });
  });

  it('asks the handler of a queue', async () => {
    put('host.yaml', HOST);
    put('rules.v4', '*filter\n-A INPUT -j NFQUEUE --queue-num 7\nCOMMIT\n');
    const verdict = async (...args: string[]) => JSON.parse((await called(trace, '--json', ...args, SSH)).out).verdict;
    expect(await verdict()).toBe('queued');
    expect(await verdict('--queue', '7=accept')).toBe('delivered');
    expect(await verdict('--queue', '0-9=drop')).toBe('dropped');
    const { status, err } = await called(trace, '--json', '--queue', '7=exit 1', SSH);
    expect([status, err]).toEqual([
      1,
      expect.stringContaining('--queue 7=exit 1: packet 1 (id 1): the command ended early'),
    ]);
  });

  it('tells the way of a packet in 80 columns without colours', async () => {
    put('host.yaml', HOST);
    put('rules.v4', RULES);
    const { out } = await called(trace, '-v', 'in=eth0 tcp 198.51.100.7:1 > 192.0.2.1:25');
    expect(out).toContain(
      'INPUT 1  -p tcp -m tcp --dport 22 -j ACCEPT\n          no: -m tcp; the packet has port 1 to port 25, flags S\n',
    );
    expect(out).toContain('=> REJECTED');
    expect(out.split('\n').every((line) => line.length <= 80)).toBe(true);
    expect(out).not.toContain('\x1b');
  });
});

describe('iptsim check', () => {
  const cases = (expectation: string) =>
    put(
      'cases.yaml',
      `host: host.yaml\nrules: rules.v4\ncases:\n  - name: ssh\n    packet: ${SSH}\n    expect: ${expectation}\n`,
    );

  it('holds, or says what differs', async () => {
    put('host.yaml', HOST);
    put('rules.v4', RULES);
    expect(await called(check, cases('{ verdict: delivered, rule: filter/INPUT/1 }'))).toMatchObject({ status: 0 });
    const { status, out } = await called(check, cases('{ verdict: dropped, rule: filter/INPUT/policy }'));
    expect(status).toBe(1);
    expect(out).toContain('verdict: expected dropped, got delivered');
    expect(out).toContain('rule: expected filter/INPUT/policy, got filter/INPUT/1: -p tcp -m tcp --dport 22 -j ACCEPT');
    expect(out).toContain('1 case: 0 hold, 1 fail');
  });

  it.each([
    ['{ verdikt: dropped }', ':6: unknown key "verdikt" in expect; known are verdict, rule'],
    ['lost', ':6: verdict "lost": expected one of forwarded'],
    ['{ state: OPEN }', ':6: state "OPEN": expected one of NEW'],
  ])('refuses expect: %s', async (expectation, message) => {
    const { status, err } = await called(check, cases(expectation));
    expect([status, err]).toEqual([2, expect.stringContaining(message)]);
  });
});
