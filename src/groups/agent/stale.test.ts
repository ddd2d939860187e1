import { describe, expect, it } from 'vitest';
import { planNetwork } from '../../network/plan.ts';
import { readNetworkYaml } from '../../network/yaml.ts';
import { readCloud } from '../read.ts';
import { connectionJudge, deletionOf } from './stale.ts';

const { description } = readNetworkYaml(
  `
hosts: { h: {}, i: {} }
groups:
  web: { rules: [{ protocol: tcp, ports: 80 }, { protocol: icmp, icmp: 8, ethertype: ipv4 }] }
  db: { rules: [{ protocol: tcp, ports: 3306, remote_group: web }], egress: none }
  free: { stateful: false, rules: [] }
vms:
  a: { on: h, bridge: br, addresses: [10.0.0.1/24, "2001:db8::1/64"], groups: [web] }
  b: { on: h, bridge: br, addresses: [10.0.0.2/24, "2001:db8::2/64"], groups: [db] }
  c: { on: i, bridge: br, addresses: [10.0.0.3/24], groups: [web] }
  d: { on: h, bridge: br, addresses: [10.0.0.4/24], groups: [free] }
`,
  'network.yaml',
);
const cloud = readCloud(
  description,
  planNetwork(description, () => null),
);
const judge = connectionJudge(
  cloud,
  cloud.ports.filter(({ host }) => host === 'h'),
  new Set(['10.0.0.254']),
);

let id = 0;
/** A line of the table: from, to, source port (ICMP: identifier), destination port (type and code). */
function line(protocol: number, from: string, to: string, first: number, second: number, more: object = {}): string {
  const family = from.includes(':') ? 6 : 4;
  const original = [from, to, first, second];
  const back = protocol === 1 || protocol === 58 ? [to, from, first, 0] : [to, from, second, first];
  return JSON.stringify({ id: ++id, family, protocol, original, reply: back, left: 60, status: 14, ...more });
}

const isStale = (...words: Parameters<typeof line>): boolean => judge.stale([line(...words)]).length === 1;

describe('connections that the groups of a host do not allow', () => {
  it.each([
    ['from outside to a port that is open', 6, '192.0.2.1', '10.0.0.1', 4000, 80, false],
    ['from outside to one that is not', 6, '192.0.2.1', '10.0.0.1', 4000, 81, true],
    ['from a member of the group', 6, '10.0.0.3', '10.0.0.2', 4000, 3306, false],
    ['from no member', 6, '10.0.0.4', '10.0.0.2', 4000, 3306, true],
    ['out, where nothing may go out', 6, '10.0.0.2', '192.0.2.1', 4000, 443, true],
    ['out, where all may', 6, '10.0.0.1', '192.0.2.1', 4000, 443, false],
    ['between machines of other hosts', 6, '10.0.0.3', '192.0.2.1', 4000, 443, false],
    ['of the host itself', 6, '10.0.0.254', '10.0.0.1', 4000, 22, false],
    ['of a machine in a stateless group', 6, '192.0.2.1', '10.0.0.4', 4000, 22, false],
    ['echo requests that are let in', 1, '192.0.2.1', '10.0.0.1', 7, 8 << 8, false],
    ['echo requests that are not', 1, '10.0.0.1', '10.0.0.2', 7, 8 << 8, true],
    ['DHCP', 17, '10.0.0.2', '10.0.0.253', 68, 67, false],
    ['DHCPv6', 17, 'fe80::5', 'fe80::ff:fe00:1', 547, 546, false],
    ['ICMPv6 out', 58, '2001:db8::2', '2001:db8::99', 7, 128 << 8, false],
  ] as const)('%s', (_what, protocol, from, to, first, second, expected) => {
    expect(isStale(protocol, from, to, first, second)).toBe(expected);
  });

  it('behind a translation of its destination', () => {
    const translated = { reply: ['10.0.0.1', '192.0.2.1', 80, 4000] };
    expect(isStale(6, '192.0.2.1', '203.0.113.1', 4000, 8080, translated)).toBe(false);
    expect(isStale(6, '192.0.2.1', '203.0.113.1', 4000, 8080, { reply: ['10.0.0.1', '192.0.2.1', 81, 4000] })).toBe(
      true,
    );
  });

  it('what another connection expected goes with that', () => {
    const control = line(6, '192.0.2.1', '10.0.0.1', 4000, 80);
    const data = line(6, '192.0.2.1', '10.0.0.1', 4001, 50000, { master: id });
    expect(judge.stale([control, data])).toEqual([]);
    expect(judge.stale([data]).length).toBe(1);
  });

  it('are deleted one by one', () => {
    const words = (...each: Parameters<typeof line>): string => deletionOf(JSON.parse(line(...each))).join(' ');
    expect(words(6, '192.0.2.1', '10.0.0.1', 4000, 81)).toBe(
      '-D -f ipv4 -p tcp -s 192.0.2.1 -d 10.0.0.1 --sport 4000 --dport 81',
    );
    expect(words(58, '2001:db8::1', '2001:db8::2', 7, (128 << 8) | 1)).toBe(
      '-D -f ipv6 -p icmpv6 -s 2001:db8::1 -d 2001:db8::2 --icmpv6-type 128 --icmpv6-code 1 --icmpv6-id 7',
    );
    expect(words(47, '192.0.2.1', '10.0.0.1', 0, 0, { zone: [5, 3] })).toBe(
      '-D -f ipv4 -p 47 -s 192.0.2.1 -d 10.0.0.1 -w 5',
    );
  });
});
