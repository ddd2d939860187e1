import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { silentIo } from '../../src/cli/trace/part.ts';
import { toHex } from '../../src/packet/bytes.ts';
import { buildPacket } from '../../src/packet/notation/build.ts';
import { parsePacket } from '../../src/packet/notation/parse.ts';
import { pcap } from '../kernel/simulate.ts';
import { playParts, playWhole } from './whole.ts';

// Random flows of few hosts through a router whose rules use all that a flow can remember.

const HOST = `interfaces:
  eth0: { mac: "02:00:00:00:00:01", addresses: [192.0.2.1/24, "2001:db8::1/64"] }
  eth1: { mac: "02:00:00:00:00:02", addresses: [10.0.0.1/24, "fd00::1/64"], mtu: 1400 }
routes: [default via 192.0.2.254 dev eth0, default via 2001:db8::fe dev eth0]
sysctl: { net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1, net.netfilter.nf_conntrack_acct: 1, net.netfilter.nf_conntrack_udp_timeout: 2 }
`;
const rules = (reject: string): string => `*mangle
-A PREROUTING -m conntrack --ctstate NEW -j CONNMARK --set-mark 5
-A FORWARD -m connbytes --connbytes 3 --connbytes-mode packets --connbytes-dir both -j MARK --set-mark 7
-A OUTPUT -m conntrack --ctstate RELATED -j CONNMARK --set-mark 9
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m mark --mark 7 -j LOG
-A FORWARD -m conntrack --ctstate RELATED -j ACCEPT
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m connmark --mark 9 -j DROP
-A FORWARD -m conntrack --ctexpire 0:1 -j LOG
-A FORWARD -p tcp --dport 25 -j REJECT --reject-with tcp-reset
-A FORWARD -p udp --dport 161 -j REJECT --reject-with ${reject}
-A FORWARD -i eth1 -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED
COMMIT
`;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'iptsim-flows-'));
  writeFileSync(path.join(folder, 'host.yaml'), HOST);
  writeFileSync(path.join(folder, 'rules.v4'), rules('icmp-port-unreachable'));
  writeFileSync(path.join(folder, 'rules.v6'), rules('icmp6-port-unreachable'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** One packet: of which hosts, which way, what, and how long after the one before. */
const packet = fc.record({
  six: fc.boolean(),
  inside: fc.integer({ min: 2, max: 5 }),
  outside: fc.constantFrom(1, 7, 8, 9),
  out: fc.boolean(),
  kind: fc.constantFrom(
    'S',
    'SA',
    'A',
    'F',
    'R',
    'udp',
    'snmp',
    'mail',
    'echo',
    'reply',
    'error',
    'expired',
    'big',
    'head',
    'tail',
    'last-hop',
  ),
  port: fc.integer({ min: 1, max: 3 }),
  gap: fc.constantFrom(-50, 0, 10, 1000, 900_000, 3_000_000),
});
type Sent = typeof packet extends fc.Arbitrary<infer T> ? T : never;

function lineOf({ six, inside, outside, out, kind, port }: Sent): string {
  const here = six ? `fd00::${inside}` : `10.0.0.${inside}`;
  const there = six ? `2001:db8::${outside}` : `192.0.2.${outside}`;
  const [from, to] = out ? [here, there] : [there, here];
  const at = (address: string, number: number): string => (six ? `[${address}]:${number}` : `${address}:${number}`);
  const [low, high] = [at(from, out ? 4000 + port : 80), at(to, out ? 80 : 4000 + port)];
  const icmp = six ? 'icmp6' : 'icmp';
  switch (kind) {
    case 'udp':
      return `udp ${low} > ${high} len=40`;
    case 'snmp':
      return `udp ${at(from, 4000)} > ${at(to, 161)}`;
    case 'mail':
      return `tcp ${at(from, 4000)} > ${at(to, 25)} S`;
    case 'echo':
      return `${icmp} ${from} > ${to} echo-request id=${port}`;
    case 'reply':
      return `${icmp} ${from} > ${to} echo-reply id=${port}`;
    case 'error':
    case 'expired': {
      // A router on the way tells of a packet that went the other way.
      const quoted = toHex(buildPacket(parsePacket(`udp ${high} > ${low} len=40`)));
      const router =
        kind === 'error' ? from : out ? (six ? 'fd00::99' : '10.0.0.99') : six ? '2001:db8::99' : '192.0.2.99';
      return `${icmp} ${router} > ${to} ${kind === 'error' ? (six ? 'no-route' : 'host-unreachable') : 'ttl-zero-during-transit'} hex=${quoted}`;
    }
    case 'big':
      return `udp ${low} > ${high} len=1450${six ? '' : ' df=1'}`;
    case 'head':
      return `udp ${low} > ${high} ipid=${port} mf=1 len=32`;
    case 'tail':
      return `udp ${from} > ${to} ipid=${port} frag=40 len=16`;
    case 'last-hop':
      return `udp ${low} > ${high} ttl=1`;
    default:
      return `tcp ${low} > ${high} ${kind}`;
  }
}

function write(packets: readonly Sent[]): string[] {
  const files: { time: number; data: Buffer }[][] = [[], []];
  let time = 1_700_000_000e6;
  for (const sent of packets) {
    time += sent.gap;
    const device = sent.out ? 1 : 0;
    const header = `02000000000${device + 1}0200000000fe${sent.six ? '86dd' : '0800'}`;
    const data = Buffer.from(header + toHex(buildPacket(parsePacket(lineOf(sent)))), 'hex');
    files[device]!.push({ time, data });
  }
  return files.map((records, device) => {
    const file = path.join(folder, `eth${device}.pcap`);
    writeFileSync(file, pcap(1, records));
    return `eth${device}=${file}`;
  });
}

it('verdicts, counters and connections of random flows do not depend on how many machines share them', async () => {
  const io = silentIo(folder, 'nft');
  let shared = 0;
  const verdicts = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(packet, { minLength: 20, maxLength: 120 }),
      fc.integer({ min: 2, max: 4 }),
      async (packets, jobs) => {
        const pcaps = write(packets);
        const parts = await playParts(io, pcaps, jobs);
        if (typeof parts === 'string') {
          expect(parts).toBe('fragments waited too long for the others');
          return;
        }
        const whole = await playWhole(io, pcaps);
        expect(parts).toEqual(whole);
        shared++;
        for (const [verdict, count] of Object.entries(whole.counts)) if (count > 0) verdicts.add(verdict);
      },
    ),
    { numRuns: 60, seed: 7 },
  );
  expect(shared).toBeGreaterThan(30);
  expect([...verdicts].sort()).toEqual(['delivered', 'dropped', 'forwarded', 'rejected', 'stolen']);
});
