import { describe, expect, it } from 'vitest';
import type { Host, RouteAnswer } from '../datapath/environment.ts';
import { formatAddress, parseAddress } from '../packet/address-text.ts';
import { decode } from '../packet/decode.ts';
import type { AddressWords } from '../packet/family.ts';
import { buildIpv4 } from '../packet/ipv4.ts';
import { buildIpv6 } from '../packet/ipv6.ts';
import { Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';
import { createHost } from './host.ts';
import { tableName } from './tables.ts';

/**
 * A machine made with `ip address`, `ip route` and `ip rule` in a network namespace of Linux 6.18, and what `ip route get` said there
 * (without what does not matter here: uid, mark, metric, the words after `cache`).
 */
const machine = {
  interfaces: {
    eth0: {
      addresses: ['192.0.2.1/24', '203.0.113.1/28', '192.0.2.9/32', '192.0.2.2/24', '2001:db8::1/64', '2001:db8::2/64'],
    },
    eth1: {
      addresses: ['10.0.0.1/24', '10.0.0.2/24', '10.9.0.1/24', '2001:db8:1::1/64'],
    },
    eth2: {
      addresses: ['10.0.2.1/24', '10.5.0.0/31', '2001:db8:2::1/64', 'fd00::1/64'],
    },
  },
  routes: [
    'default via 192.0.2.254 dev eth0',
    'default via 2001:db8::fe dev eth0',
    'default via 10.0.2.254 dev eth2 table 100',
    '198.51.100.0/24 via 10.0.0.254 dev eth1 table 101',
    'default via 192.0.2.253 dev eth0 table 102',
    '10.0.0.0/24 dev eth1 table 102',
    'blackhole 198.18.0.0/16',
    'unreachable 198.19.0.0/16',
    'prohibit 100.64.0.0/10',
    '198.19.7.0/24 via 10.0.2.254 dev eth2',
    '203.0.113.128/25 via 10.9.0.7 dev eth1',
    'throw 198.51.100.0/25 table 102',
    '172.20.0.0/16 via 10.0.2.9 dev eth2 metric 10',
    '172.20.0.0/16 via 10.0.0.9 dev eth1 metric 5',
    '172.21.0.0/16 via 10.0.0.9',
    '172.22.0.0/16 via 10.0.0.9 src 10.9.0.1 mtu 1300',
    '172.23.0.0/16 dev eth2 scope link',
    '172.24.0.0/16 via 7.7.7.7 dev eth1 onlink',
    '10/8 via 10.0.2.77',
    '172.25.0.0/16 via 10.0.0.8',
    'tos 0x10 172.25.0.0/16 via 10.0.0.9',
    'local 5.5.5.0/24 dev lo',
    'local default dev lo table 103',
    '2001:db8:5::/48 via 2001:db8:1::9',
    'blackhole 2001:db8:6::/48',
    'unreachable 2001:db8:7::/48',
    'prohibit 2001:db8:8::/48',
    '2001:db8:9::/48 dev eth2 metric 5',
    '2001:db8:9::/48 via 2001:db8::9',
    'default via 2001:db8:2::9 table 100',
    '2001:db8:a::/48 via 2001:db8::9 src 2001:db8:2::1',
    '2001:db8:5:1::/64 via 2001:db8:2::9',
  ],
  rules: [
    'from all fwmark 0x1 lookup 100',
    'from all fwmark 0x2/0xf lookup 101',
    'from 10.0.2.0/24 lookup 102',
    'from all to 198.51.100.64/26 iif eth1 prohibit priority 90',
    'from all fwmark 0x9 unreachable priority 91',
    'from all fwmark 0xa blackhole priority 92',
    'from all to 8.8.4.4 unreachable priority 93',
    'from all tos 0x08 to 9.9.9.9 lookup 100 priority 94',
    'not fwmark 0x0/0x40 lookup 100 priority 95',
    'from all fwmark 0x30 lookup 103',
    'from all ipproto tcp dport 80-90 to 9.9.7.7 lookup 100 priority 96',
    'uidrange 1000-2000 to 9.9.6.6 lookup 100 priority 97',
    'to 9.9.5.5 goto 32767 priority 98',
  ],
  sysctl: {
    'net.ipv4.ip_forward': 1,
    'net.ipv6.conf.all.forwarding': 1,
  },
};

const VECTORS: readonly [family: 4 | 6, query: string, answer: string][] = [
  [4, '192.0.2.1', 'local 192.0.2.1 dev lo table local src 192.0.2.1'],
  [4, '192.0.2.2', 'local 192.0.2.2 dev lo table local src 192.0.2.1'],
  [4, '192.0.2.9', 'local 192.0.2.9 dev lo table local src 192.0.2.9'],
  [4, '192.0.2.0', '192.0.2.0 dev eth0 src 192.0.2.1'],
  [4, '192.0.2.255', 'broadcast 192.0.2.255 dev eth0 table local src 192.0.2.1'],
  [4, '192.0.2.77', '192.0.2.77 dev eth0 src 192.0.2.1'],
  [4, '192.0.2.254', '192.0.2.254 dev eth0 src 192.0.2.1'],
  [4, '203.0.113.5', '203.0.113.5 dev eth0 src 203.0.113.1'],
  [4, '203.0.113.15', 'broadcast 203.0.113.15 dev eth0 table local src 203.0.113.1'],
  [4, '203.0.113.20', '203.0.113.20 via 192.0.2.254 dev eth0 src 192.0.2.1'],
  [4, '203.0.113.200', '203.0.113.200 via 10.9.0.7 dev eth1 src 10.9.0.1'],
  [4, '10.0.0.2', 'local 10.0.0.2 dev lo table local src 10.0.0.1'],
  [4, '10.0.0.99', '10.0.0.99 dev eth1 src 10.0.0.1'],
  [4, '10.5.0.0', 'local 10.5.0.0 dev lo table local src 10.5.0.0'],
  [4, '10.5.0.1', '10.5.0.1 dev eth2 src 10.5.0.0'],
  [4, '10.200.1.1', '10.200.1.1 via 10.0.2.77 dev eth2 src 10.0.2.1'],
  [4, '198.18.1.1', 'Invalid argument'],
  [4, '198.19.1.1', 'No route to host'],
  [4, '198.19.7.1', '198.19.7.1 via 10.0.2.254 dev eth2 src 10.0.2.1'],
  [4, '100.64.1.1', 'Permission denied'],
  [4, '172.20.1.1', '172.20.1.1 via 10.0.0.9 dev eth1 src 10.0.0.1'],
  [4, '172.21.1.1', '172.21.1.1 via 10.0.0.9 dev eth1 src 10.0.0.1'],
  [4, '172.22.1.1', '172.22.1.1 via 10.0.0.9 dev eth1 src 10.9.0.1'],
  [4, '172.23.1.1', '172.23.1.1 dev eth2 src 10.0.2.1'],
  [4, '172.24.1.1', '172.24.1.1 via 7.7.7.7 dev eth1 src 10.0.0.1'],
  [4, '172.25.1.1', '172.25.1.1 via 10.0.0.8 dev eth1 src 10.0.0.1'],
  [4, '5.5.5.9', 'local 5.5.5.9 dev lo table local src 5.5.5.9'],
  [4, '127.0.0.1', 'local 127.0.0.1 dev lo table local src 127.0.0.1'],
  [4, '127.5.5.5', 'local 127.5.5.5 dev lo table local src 127.0.0.1'],
  [4, '8.8.4.4', 'Network is unreachable'],
  [4, '8.8.8.8', '8.8.8.8 via 192.0.2.254 dev eth0 src 192.0.2.1'],
  [4, '240.0.0.1', '240.0.0.1 via 192.0.2.254 dev eth0 src 192.0.2.1'],
  [4, '255.255.255.255', 'broadcast 255.255.255.255 dev eth0 src 192.0.2.1'],
  [4, '224.0.0.1', 'multicast 224.0.0.1 dev eth0 src 192.0.2.1'],
  [4, '224.0.0.9', 'multicast 224.0.0.9 dev eth0 src 192.0.2.1'],
  [4, '9.9.9.9', '9.9.9.9 via 192.0.2.254 dev eth0 src 192.0.2.1'],
  [4, '9.9.8.8', '9.9.8.8 via 192.0.2.254 dev eth0 src 192.0.2.1'],
  [4, '9.9.7.7', '9.9.7.7 via 192.0.2.254 dev eth0 src 192.0.2.1'],
  [4, '9.9.6.6', '9.9.6.6 via 192.0.2.254 dev eth0 src 192.0.2.1'],
  [4, '9.9.5.5', 'Network is unreachable'],
  [4, '8.8.8.8 mark 1', '8.8.8.8 via 10.0.2.254 dev eth2 table 100 src 10.0.2.1'],
  [4, '198.51.100.7 mark 2', '198.51.100.7 via 10.0.0.254 dev eth1 table 101 src 10.0.0.1'],
  [4, '198.51.100.7 mark 0x12', '198.51.100.7 via 10.0.0.254 dev eth1 table 101 src 10.0.0.1'],
  [4, '8.8.8.8 mark 2', '8.8.8.8 via 192.0.2.254 dev eth0 src 192.0.2.1'],
  [4, '8.8.8.8 mark 9', 'Network is unreachable'],
  [4, '8.8.8.8 mark 10', 'Invalid argument'],
  [4, '8.8.8.8 mark 0x30', 'local 8.8.8.8 dev lo table 103 src 8.8.8.8'],
  [4, '8.8.8.8 from 10.0.2.1', '8.8.8.8 via 192.0.2.253 dev eth0 table 102'],
  [4, '198.51.100.7 from 10.0.2.1', '198.51.100.7 via 192.0.2.254 dev eth0'],
  [4, '198.51.100.200 from 10.0.2.1', '198.51.100.200 via 192.0.2.253 dev eth0 table 102'],
  [4, '10.0.0.9 from 10.0.2.1', '10.0.0.9 dev eth1 table 102'],
  [4, '9.9.9.9 tos 0x08', '9.9.9.9 via 10.0.2.254 dev eth2 table 100 src 10.0.2.1'],
  [4, '9.9.9.9 tos 0x10', '9.9.9.9 via 192.0.2.254 dev eth0 src 192.0.2.1'],
  [4, '172.25.1.1 tos 0x10', '172.25.1.1 via 10.0.0.9 dev eth1 src 10.0.0.1'],
  [4, '172.25.1.1 tos 0x12', '172.25.1.1 via 10.0.0.9 dev eth1 src 10.0.0.1'],
  [4, '172.25.1.1 tos 0x30', '172.25.1.1 via 10.0.0.9 dev eth1 src 10.0.0.1'],
  [4, '9.9.8.8 mark 0x40', '9.9.8.8 via 10.0.2.254 dev eth2 table 100 src 10.0.2.1'],
  [4, '9.9.8.8 mark 0x80', '9.9.8.8 via 192.0.2.254 dev eth0 src 192.0.2.1'],
  [4, '9.9.7.7 ipproto tcp dport 80', '9.9.7.7 via 10.0.2.254 dev eth2 table 100 src 10.0.2.1'],
  [4, '9.9.7.7 ipproto tcp dport 91', '9.9.7.7 via 192.0.2.254 dev eth0 src 192.0.2.1'],
  [4, '9.9.7.7 ipproto udp dport 80', '9.9.7.7 via 192.0.2.254 dev eth0 src 192.0.2.1'],
  [4, '9.9.6.6 uid 1500', '9.9.6.6 via 10.0.2.254 dev eth2 table 100 src 10.0.2.1'],
  [4, '9.9.6.6 uid 10', '9.9.6.6 via 192.0.2.254 dev eth0 src 192.0.2.1'],
  [4, '10.0.0.9 oif eth2', '10.0.0.9 via 10.0.2.77 dev eth2 src 10.0.2.1'],
  [4, '8.8.8.8 oif eth1', '8.8.8.8 dev eth1 src 10.0.0.1'],
  [4, '172.20.1.1 oif eth2', '172.20.1.1 via 10.0.2.9 dev eth2 src 10.0.2.1'],
  [4, '8.8.8.8 from 10.0.0.5 iif eth1', '8.8.8.8 via 192.0.2.254 dev eth0'],
  [4, '8.8.8.8 from 10.0.2.5 iif eth2', '8.8.8.8 via 192.0.2.253 dev eth0 table 102'],
  [4, '198.51.100.70 from 10.0.0.5 iif eth1', 'Permission denied'],
  [4, '198.51.100.70 from 10.0.2.5 iif eth2', '198.51.100.70 via 192.0.2.254 dev eth0'],
  [4, '10.0.0.7 from 8.8.8.8 iif eth0', '10.0.0.7 dev eth1'],
  [4, '198.18.1.1 from 10.0.0.5 iif eth1', 'Invalid argument'],
  [4, '198.19.1.1 from 10.0.0.5 iif eth1', 'No route to host'],
  [4, '100.64.1.1 from 10.0.0.5 iif eth1', 'Permission denied'],
  [4, '8.8.4.4 from 10.0.0.5 iif eth1', 'Network is unreachable'],
  [4, '192.0.2.1 from 8.8.8.8 iif eth0', 'local 192.0.2.1 dev lo table local'],
  [4, '192.0.2.255 from 8.8.8.8 iif eth0', 'broadcast 192.0.2.255 dev lo table local'],
  [4, '8.8.8.8 from 192.0.2.1 iif eth1', 'Invalid argument'],
  [4, '8.8.8.8 from 127.0.0.1 iif eth1', 'Invalid argument'],
  [4, '127.0.0.1 from 10.0.0.5 iif eth1', 'Invalid argument'],
  [4, '8.8.8.8 from 10.0.0.5 iif eth1 mark 1', '8.8.8.8 via 10.0.2.254 dev eth2 table 100'],
  [4, '5.5.5.1 from 10.0.0.5 iif eth1', 'local 5.5.5.1 dev lo table local'],
  [4, '224.0.0.1 from 10.0.0.5 iif eth1', 'multicast 224.0.0.1 dev lo'],
  [4, '224.0.0.5 from 10.0.0.5 iif eth1', 'Invalid argument'],
  [6, '2001:db8::1', 'local 2001:db8::1 dev lo table local src 2001:db8::1'],
  [6, '2001:db8::2', 'local 2001:db8::2 dev lo table local src 2001:db8::2'],
  [6, '2001:db8::', 'anycast 2001:db8:: dev lo table local src 2001:db8::2'],
  [6, '2001:db8::77', '2001:db8::77 dev eth0 src 2001:db8::2'],
  [6, '2001:db8:1::5', '2001:db8:1::5 dev eth1 src 2001:db8:1::1'],
  [6, '2001:db8:2::', 'anycast 2001:db8:2:: dev lo table local src 2001:db8:2::1'],
  [6, '2001:db8:5::1', '2001:db8:5::1 via 2001:db8:1::9 dev eth1 src 2001:db8:1::1'],
  [6, '2001:db8:5:1::7', '2001:db8:5:1::7 via 2001:db8:2::9 dev eth2 src 2001:db8:2::1'],
  [6, '2001:db8:6::1', 'Invalid argument'],
  [6, '2001:db8:7::1', 'No route to host'],
  [6, '2001:db8:8::1', 'Permission denied'],
  [6, '2001:db8:9::1', '2001:db8:9::1 dev eth2 src 2001:db8:2::1'],
  [6, '2001:db8:a::1', '2001:db8:a::1 via 2001:db8::9 dev eth0 src 2001:db8:2::1'],
  [6, '2600::1', '2600::1 via 2001:db8::fe dev eth0 src 2001:db8::2'],
  [6, 'fd00::9', 'fd00::9 dev eth2 src fd00::1'],
  [6, 'fd00::1', 'local fd00::1 dev lo table local src fd00::1'],
  [6, '::1', 'local ::1 dev lo table local src ::1'],
  [6, 'fd99::1', 'fd99::1 via 2001:db8::fe dev eth0 src 2001:db8::2'],
  [6, '2002::1', '2002::1 via 2001:db8::fe dev eth0 src 2001:db8::2'],
  [6, '64:ff9b::1', '64:ff9b::1 via 2001:db8::fe dev eth0 src 2001:db8::2'],
  [6, '2600::1 mark 1', '2600::1 via 2001:db8:2::9 dev eth2 table 100 src 2001:db8:2::1'],
  [6, '2600::1 mark 9', 'Network is unreachable'],
  [6, '2600::1 mark 10', 'Invalid argument'],
  [6, '2001:db8:1::5 mark 1', '2001:db8:1::5 via 2001:db8:2::9 dev eth2 table 100 src 2001:db8:2::1'],
  [6, '2600::1 from 2001:db8:1::5 iif eth1', '2600::1 via 2001:db8::fe dev eth0'],
  [6, '2600::1 from 2001:db8:1::5 iif eth1 mark 1', '2600::1 via 2001:db8:2::9 dev eth2 table 100'],
  [6, '2001:db8:7::1 from 2001:db8:1::5 iif eth1', 'No route to host'],
  [6, '2001:db8:8::1 from 2001:db8:1::5 iif eth1', 'Permission denied'],
  [6, '2001:db8:1:: from 2001:db8::5 iif eth0', 'anycast 2001:db8:1:: dev lo table local'],
  [6, '2001:db8:9::1 oif eth0', '2001:db8:9::1 via 2001:db8::9 dev eth0 src 2001:db8::2'],
  [6, '2600::1 oif eth2', 'Network is unreachable'],
];

const host: Host = createHost(machine);

/** Errors of netlink by what the machine says. */
const ERRORS: Readonly<Record<string, string>> = {
  none: 'Network is unreachable',
  unreachable: 'No route to host',
  prohibit: 'Permission denied',
  blackhole: 'Invalid argument',
};

function ask(family: 4 | 6, query: string): string {
  const words = query.split(' ');
  const option = (name: string): string | undefined => words[words.indexOf(name) + 1 || words.length];
  const destination = parseAddress(words[0]!)!.words;
  const from = option('from');
  const source = from === undefined ? undefined : parseAddress(from)!.words;
  const inName = option('iif');
  const mark = Number(option('mark') ?? 0);
  const protocol = option('ipproto') === 'tcp' ? Protocol.tcp : option('ipproto') === 'udp' ? Protocol.udp : 0;
  if (inName !== undefined) return askInput(family, destination, source!, inName, mark, words[0]!);
  const answer = host.route({
    family,
    destination,
    mark,
    protocol,
    tos: Number(option('tos') ?? 0),
    uid: Number(option('uid') ?? 0),
    destinationPort: Number(option('dport') ?? 0),
    outDevice: host.device(option('oif') ?? ''),
    ...(source === undefined ? {} : { source }),
  });
  if (ERRORS[answer.type] !== undefined)
    return answer.text.startsWith('rule') && answer.type === 'unreachable' ? ERRORS.none! : ERRORS[answer.type]!;
  const own =
    answer.preferredSource ??
    (answer.type === 'local' && answer.anycast !== true
      ? destination
      : host.sourceAddress(family, answer.device!, destination));
  return shown(family, words[0]!, answer, source === undefined ? own : null);
}

function shown(family: 4 | 6, destination: string, answer: RouteAnswer, source: AddressWords | null): string {
  const type = answer.anycast ? 'anycast ' : answer.type === 'unicast' ? '' : `${answer.type} `;
  return [
    `${type}${destination}`,
    ...(answer.gateway === null ? [] : [`via ${formatAddress(family, answer.gateway)}`]),
    `dev ${answer.device?.name}`,
    ...(answer.table === 254 || answer.table === 0 ? [] : [`table ${tableName(answer.table)}`]),
    ...(source === null ? [] : [`src ${formatAddress(family, source)}`]),
  ].join(' ');
}

function askInput(
  family: 4 | 6,
  destination: AddressWords,
  source: AddressWords,
  inName: string,
  mark: number,
  text: string,
): string {
  const payload = new Uint8Array(8);
  const packet = new Packet(
    family,
    family === 4
      ? buildIpv4({ source: source[0], destination: destination[0], protocol: Protocol.udp }, payload)
      : buildIpv6({ source, destination, nextHeader: Protocol.udp }, payload),
  );
  decode(packet);
  packet.mark = mark;
  const { action, route, icmpType, icmpCode } = host.routeInput(packet, host.device(inName)!);
  if (action === 'drop') return ERRORS.blackhole!;
  if (action === 'error') {
    const prohibited = family === 4 ? icmpCode === 13 : icmpCode === 1;
    if (prohibited) return ERRORS.prohibit!;
    return (family === 4 ? icmpCode === 1 : route.type === 'unreachable') && icmpType !== 0
      ? ERRORS.unreachable!
      : ERRORS.none!;
  }
  // `ip` shows lo where a received packet is delivered.
  return shown(family, text, action === 'local' ? { ...route, device: host.device('lo') } : route, null);
}

describe('ip route get', () => {
  it.each(VECTORS)('-%i %s', (family, query, answer) => expect(ask(family, query)).toBe(answer));
});
