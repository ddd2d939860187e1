import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { toHex } from '../../src/packet/bytes.ts';
import { buildPacket } from '../../src/packet/notation/build.ts';
import { parseLine } from '../../src/packet/notation/flow.ts';
import { iptsim, ROOT } from '../fixtures/run.ts';
import { counters } from '../kernel/compare.ts';
import { kernelUnavailable, runKernel } from '../kernel/kernel.ts';
import type { Scenario } from '../kernel/scenario.ts';
import { writeInputs } from '../kernel/simulate.ts';

/**
 * The same unmodified program of libnetfilter_queue (listener.c) behind the queues of the real kernel, in a namespace, and behind those of iptsim:
 * what leaves, rules' counters, marks of connections and what the program saw must be equal.
 */
const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-nfq-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const listener = path.join(folder, 'listener');

function unavailable(): string | null {
  const cc = spawnSync('cc', ['-o', listener, path.join(ROOT, 'test/queue/listener.c'), '-lnetfilter_queue'], {
    encoding: 'utf8',
  });
  if (cc.error !== undefined) return 'no C compiler';
  if (cc.status !== 0) return `libnetfilter_queue is not installed (${cc.stderr.split('\n')[0]})`;
  return kernelUnavailable();
}

const reason = unavailable();
if (reason !== null) console.warn(`SKIPPED: queues against the real kernel: ${reason}`);

const MAC = { eth0: '02:00:00:00:00:01', eth1: '02:00:00:00:00:02' };

function scenario(rules: string, packets: readonly string[]): Scenario {
  return {
    name: 'queue',
    profile: 'queue',
    seed: 0,
    host: {
      interfaces: {
        eth0: { mac: MAC.eth0, addresses: ['10.1.0.1/24', '2001:db8:1::1/64'] },
        eth1: { mac: MAC.eth1, addresses: ['10.2.0.1/24', '2001:db8:2::1/64'] },
      },
      routes: [],
      neighbours: {
        '10.1.0.2': '02:00:00:00:01:02',
        '10.2.0.2': '02:00:00:00:02:02',
        '10.2.0.3': '02:00:00:00:02:03',
        '2001:db8:2::2': '02:00:00:00:02:04',
      },
      sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 },
    },
    rulesV4: rules,
    rulesV6: '',
    ipsets: '',
    packets: packets.map((text) => {
      const line = parseLine(text);
      if (line.kind !== 'packet') throw new Error('not a packet');
      return { dev: line.packet.in!, hex: toHex(buildPacket(line.packet)) };
    }),
  };
}

const RULES = (target: string, table = 'mangle', chain = 'FORWARD'): string =>
  `*filter\n:FORWARD ACCEPT\n-A FORWARD -m conntrack --ctstate NEW\n-A FORWARD -m mark --mark 9\n-A FORWARD -m mark --mark 6\nCOMMIT\n` +
  `*${table}\n:${chain} ACCEPT\n-A ${chain} -p udp -j ${target}\n-A ${chain} -m mark --mark 1\nCOMMIT\n`;

const PACKETS = [
  'in=eth0 udp 10.1.0.2:1000 > 10.2.0.2:53 data=hello',
  'in=eth0 udp 10.1.0.2:1001 > 10.2.0.2:53 data=worlds',
  'in=eth1 udp 10.2.0.2:53 > 10.1.0.2:1000 data=answer',
  'in=eth0 tcp 10.1.0.2:1002 > 10.2.0.2:80',
  'in=eth0 udp 10.1.0.2:1003 > 10.2.0.3:53 data=last',
];

/** What the program saw; the kernel's messages have the fields that ours have. */
function saw(text: string): string[] {
  return text.split('\n').filter((line) => line.startsWith('queue '));
}

const marks = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => / udp /.test(line))
    .map((line) => line.match(/src=\S+ dst=\S+ sport=\d+ dport=\d+/)![0] + line.match(/ mark=\d+/)![0])
    .sort();

describe.skipIf(reason !== null)('a program of libnetfilter_queue, in the kernel and here', () => {
  const cases: [string, string, string[]][] = [
    ['accepts', RULES('NFQUEUE --queue-num 5'), ['5=accept']],
    ['drops', RULES('NFQUEUE --queue-num 5'), ['5=drop']],
    ['stops the hook', RULES('NFQUEUE --queue-num 5'), ['5=stop']],
    ['repeats the table with a mark', RULES('NFQUEUE --queue-num 5'), ['5=repeat']],
    ['sets a mark', RULES('NFQUEUE --queue-num 5'), ['5=mark:9']],
    ['sets a mark before routing', RULES('NFQUEUE --queue-num 5', 'mangle', 'PREROUTING'), ['5=mark:9']],
    ['hands on to another queue', RULES('NFQUEUE --queue-num 5'), ['5=queue:6', '6=mark:9']],
    [
      'hands on to a queue without a listener',
      RULES('NFQUEUE --queue-num 5 --queue-bypass'),
      ['5=queue:7', '6=accept'],
    ],
    ['changes a byte', RULES('NFQUEUE --queue-num 5'), ['5=last:58']],
    ['changes a byte in POSTROUTING', RULES('NFQUEUE --queue-num 5', 'mangle', 'POSTROUTING'), ['5=last:58']],
    ['makes packets longer', RULES('NFQUEUE --queue-num 5', 'raw', 'PREROUTING'), ['5=append:58585858']],
    ['gives one verdict for two packets', RULES('NFQUEUE --queue-num 5'), ['5=batch:2']],
    [
      'gives one verdict for two packets before the connection is known',
      RULES('NFQUEUE --queue-num 5', 'raw', 'PREROUTING'),
      ['5=batch:2'],
    ],
    ['copies a part', RULES('NFQUEUE --queue-num 5'), ['5=cut']],
    ['copies nothing', RULES('NFQUEUE --queue-num 5'), ['5=meta']],
    ['listens elsewhere', RULES('NFQUEUE --queue-num 5'), ['6=accept']],
    ['listens elsewhere, with bypass', RULES('NFQUEUE --queue-num 5 --queue-bypass'), ['6=accept']],
    [
      'listens on all numbers of a balance',
      RULES('NFQUEUE --queue-balance 6:7 --queue-bypass'),
      ['6=mark:9', '7=mark:9'],
    ],
  ];

  test.each(cases)('%s', async (_name, rules, actions) => {
    const input = scenario(rules, PACKETS);
    const companion = { command: [listener, ...actions], ready: 'ready\n' };
    const kernel = await runKernel(input, 'legacy', path.join(ROOT, 'test/kernel/wire.c'), { companion });
    const work = mkdtempSync(path.join(folder, 'run-'));
    const args = writeInputs(input, kernel.sent, work);
    const handler = `${process.execPath} ${ROOT}/bin/iptsim.js queue run -- ${listener} ${actions.join(' ')}`;
    const legacy = { env: { IPTSIM_VARIANT: 'legacy' } };
    const state = path.join(work, 'state');
    const trace = ['--dir', state, 'trace', '--queue', `0-9=${handler}`, '--json', '--no-steps', '--commit', ...args];
    const traced = iptsim(trace, legacy);
    expect(traced.status, traced.stderr).toBe(0);
    const outputs = traced.stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { emitted: { dev: string; hex: string }[] }).emitted);
    expect(outputs).toEqual(kernel.outcome.outputs);
    const seen = saw(traced.stderr);
    const queued = (lines: string[]) =>
      lines.map((line) => (rules.includes('balance') ? line.replace(/^queue \d id \d/, '') : line));
    expect(queued(seen)).toEqual(queued(saw(kernel.told)));
    expect(counters(iptsim(['--dir', state, 'iptables-save', '-c'], legacy).stdout)).toEqual(
      counters(kernel.outcome.saveV4),
    );
    expect(marks(iptsim(['--dir', state, 'conntrack', '-L', '-o', 'extended'], legacy).stdout)).toEqual(
      marks(kernel.outcome.conntrack),
    );
  });
});

// The kernel does this only where it was built with CONFIG_NETFILTER_NETLINK_GLUE_CT; many are not.
test.skipIf(reason !== null)('a program changes the mark of the connection', () => {
  const work = mkdtempSync(path.join(folder, 'mark-'));
  writeFileSync(path.join(work, 'rules.v4'), RULES('NFQUEUE --queue-num 5', 'mangle', 'PREROUTING'));
  const handler = `${process.execPath} ${ROOT}/bin/iptsim.js queue run -- ${listener} 5=ctmark:77`;
  const packet = 'in=eth0 out=eth1 udp 10.1.0.2:1000 > 10.2.0.2:53';
  const traced = iptsim(['--dir', work, 'trace', '--queue', `5=${handler}`, '--commit', '--json', packet]);
  expect(traced.status, traced.stderr).toBe(0);
  expect(iptsim(['--dir', work, 'conntrack', '-L']).stdout).toContain('mark=77');
});

test.skipIf(reason !== null)('the listener is the same program in both', () => {
  expect(execFileSync('ldd', [listener], { encoding: 'utf8' })).toContain('libnetfilter_queue.so');
});
