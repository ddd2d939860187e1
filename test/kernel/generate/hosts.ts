import type { Random } from '../random.ts';
import type { HostDescription } from '../scenario.ts';

const COMMON_SYSCTL: Record<string, number> = {
  'net.ipv4.ip_forward': 1,
  'net.ipv4.conf.all.rp_filter': 0,
  'net.ipv4.conf.default.rp_filter': 0,
  'net.ipv4.conf.all.send_redirects': 0,
  'net.ipv4.conf.default.send_redirects': 0,
  'net.ipv4.icmp_ratelimit': 0,
  'net.ipv4.icmp_ratemask': 0,
  'net.ipv6.conf.all.forwarding': 1,
  'net.ipv6.icmp.ratelimit': 0,
  'net.ipv6.auto_flowlabels': 0,
  'net.netfilter.nf_conntrack_acct': 1,
};

/** Machines of the networks around the router: address by interface. */
export const PLACES: Record<'eth0' | 'eth1' | 'eth2', { v4: string[]; v6: string[] }> = {
  eth0: {
    v4: ['198.51.100.7', '203.0.113.5', '192.0.2.10', '192.0.2.77'],
    v6: ['2001:db8:f:0:0:0:0:7', '2001:db8:0:0:0:0:0:10', '2001:db8:0:0:0:0:0:77'],
  },
  eth1: {
    v4: ['10.0.0.10', '10.0.0.11', '10.0.0.130'],
    v6: ['2001:db8:1:0:0:0:0:10', '2001:db8:1:0:0:0:0:11', '2001:db8:1:0:0:ff:fe00:ff11'],
  },
  eth2: { v4: ['10.0.2.20', '10.0.2.21'], v6: ['2001:db8:2:0:0:0:0:20', '2001:db8:2:0:0:0:0:21'] },
};

export const ROUTER_ADDRESSES = {
  v4: ['192.0.2.1', '192.0.2.2', '10.0.0.1', '10.0.2.1'],
  v6: ['2001:db8:0:0:0:0:0:1', '2001:db8:1:0:0:0:0:1', '2001:db8:2:0:0:0:0:1'],
};

/** Destinations to which routes lead nowhere, in the order of `REFUSALS`. */
export const NOWHERE = {
  v4: ['198.18.0.1', '198.18.0.2', '198.18.0.3'],
  v6: ['2001:db8:dead:0:0:0:0:1', '2001:db8:dead:0:0:0:0:2', '2001:db8:dead:0:0:0:0:3'],
};
const REFUSALS = ['blackhole', 'unreachable', 'prohibit'];

function shortV6(address: string): string {
  return address.replace(/(:0)+(?=:)/, ':');
}

/** A router with three interfaces: eth0 to the world, eth1 and eth2 to private networks. */
export function router(random: Random, kind: RouterKind = 'plain'): HostDescription {
  const neighbours: Record<string, string> = {
    '192.0.2.254': '02:00:00:00:01:fe',
    '2001:db8::fe': '02:00:00:00:01:fe',
  };
  let n = 0;
  for (const { v4, v6 } of Object.values(PLACES)) {
    for (const address of [...v4, ...v6.map(shortV6)]) {
      n++;
      neighbours[address] = `02:00:00:00:02:${n.toString(16).padStart(2, '0')}`;
    }
  }
  for (let i = 96; i < 112; i++) neighbours[`192.0.2.${i}`] = `02:00:00:00:03:${i.toString(16).padStart(2, '0')}`;
  for (const net of ['10.0.0', '10.0.2'])
    for (let i = 0; i < 8; i++)
      neighbours[`${net}.${32 + i}`] =
        `02:00:00:00:04:${(i + (net === '10.0.2' ? 16 : 0)).toString(16).padStart(2, '0')}`;
  // Where DNPT's and NETMAP's mappings of these addresses lead.
  const { v6 } = PLACES.eth1;
  for (const place of [...PLACES.eth0.v6, ...v6, ...PLACES.eth2.v6, ...ROUTER_ADDRESSES.v6]) {
    const rest = place.split(':').slice(5).join(':');
    // And where its neighbours' addresses lead in the networks of others.
    for (const net of ['2001:db8:0:0', '2001:db8:1:0'])
      neighbours[shortV6(`${net}:${place.split(':').slice(4).join(':')}`)] ??= '02:00:00:00:05:02';
    for (const step of ['76', 'ec', '162']) neighbours[shortV6(`2001:db8:1:0:${step}:${rest}`)] = '02:00:00:00:05:01';
  }
  const small = random.chance(0.15);
  const marked = random.chance(0.4);
  return {
    interfaces: {
      eth0: {
        mac: '02:00:00:00:00:01',
        addresses: ['192.0.2.1/24', '192.0.2.2/24', '2001:db8::1/64'],
        mtu: small ? 1280 : 1500,
      },
      eth1: { mac: '02:00:00:00:00:02', addresses: ['10.0.0.1/24', '2001:db8:1::1/64'], mtu: 1500 },
      eth2: { mac: '02:00:00:00:00:03', addresses: ['10.0.2.1/24', '2001:db8:2::1/64'], mtu: 1500, group: 3 },
    },
    routes: [
      'default via 192.0.2.254 dev eth0',
      'default via 2001:db8::fe dev eth0',
      '203.0.113.0/24 via 192.0.2.254 dev eth0 realm 5',
      ...NOWHERE.v4.map((address, i) => `${REFUSALS[i]} ${address}/32`),
      ...NOWHERE.v6.map((address, i) => `${REFUSALS[i]} ${shortV6(address)}/128`),
      ...(marked ? ['default via 10.0.2.20 dev eth2 table 100', 'default via 2001:db8:2::20 dev eth2 table 100'] : []),
      ...(kind === 'crooked' ? CROOKED : []),
    ],
    ...(marked ? { rules: [`fwmark 0x1${random.chance(0.5) ? '/0x1' : ''} lookup 100 pref 1000`] } : {}),
    neighbours,
    sysctl: { ...COMMON_SYSCTL, ...settings(random, kind) },
    ...(kind === 'listening' ? { listen: LISTENING } : {}),
  };
}

/**
 * What is special about a router: `crooked` routes and reverse path filters, `listening` sockets, `tracked` settings of conntrack,
 * `hasty` timeouts of connections.
 */
export type RouterKind = 'plain' | 'crooked' | 'listening' | 'tracked' | 'hasty';

/** Answers to these take another interface than the one on which the packets come in. */
const CROOKED = [
  '198.51.100.0/24 via 10.0.2.20 dev eth2',
  '2001:db8:f::/64 via 2001:db8:2::20 dev eth2',
  '10.0.0.128/25 via 10.0.2.21 dev eth2',
];

/** What the kernel is to write to its log by itself: invalid packets of all protocols or one, martians, bogus errors. */
export function outspoken(random: Random, interfaces: readonly string[]): Record<string, number> {
  return {
    ...(random.chance(0.4)
      ? { 'net.netfilter.nf_conntrack_log_invalid': random.pick([255, 255, 1, 6, 17, 58, 132]) }
      : {}),
    ...(random.chance(0.05) ? { 'net.ipv4.icmp_ignore_bogus_error_responses': 0 } : {}),
    ...(random.chance(0.06)
      ? { [`net.ipv4.conf.${random.pick(['all', ...interfaces.slice(0, 2)])}.log_martians`]: 1 }
      : {}),
  };
}

export const LISTENING = ['tcp/80', 'udp/53', 'tcp/3128', 'udp/5353'];

function settings(random: Random, kind: RouterKind): Record<string, number> {
  const some = (probability: number, all: Record<string, number>): Record<string, number> =>
    random.chance(probability) ? all : {};
  if (kind === 'crooked') {
    return {
      'net.ipv4.conf.all.rp_filter': random.pick([0, 0, 1, 2]),
      'net.ipv4.conf.eth0.rp_filter': random.int(0, 2),
      'net.ipv4.conf.eth1.rp_filter': random.int(0, 2),
      ...some(0.3, { 'net.ipv4.conf.eth1.forwarding': 0 }),
      ...some(0.3, { 'net.ipv6.conf.eth1.forwarding': 0 }),
      ...some(0.3, { 'net.ipv4.conf.all.accept_local': 1 }),
      ...some(0.3, { 'net.ipv4.conf.all.src_valid_mark': 1 }),
      ...some(0.3, { 'net.ipv4.conf.all.route_localnet': 1 }),
      ...some(0.3, { 'net.ipv4.fwmark_reflect': 1, 'net.ipv6.fwmark_reflect': 1 }),
      ...some(0.2, { 'net.ipv4.icmp_errors_use_inbound_ifaddr': 1 }),
      ...some(0.2, { 'net.ipv4.conf.all.accept_source_route': 1 }),
      ...some(0.2, { 'net.ipv4.icmp_echo_ignore_broadcasts': 0 }),
    };
  }
  if (kind === 'tracked') {
    return {
      ...some(0.4, { 'net.netfilter.nf_conntrack_tcp_loose': 0 }),
      ...some(0.3, { 'net.netfilter.nf_conntrack_tcp_be_liberal': 1 }),
      ...some(0.2, { 'net.netfilter.nf_conntrack_acct': 0 }),
      ...some(0.2, { 'net.netfilter.nf_conntrack_checksum': 0 }),
      ...some(0.2, { 'net.netfilter.nf_conntrack_tcp_ignore_invalid_rst': 1 }),
      ...some(0.2, { 'net.netfilter.nf_conntrack_tcp_max_retrans': 1 }),
    };
  }
  if (kind === 'hasty') {
    const timeouts = [
      'udp_timeout',
      'udp_timeout_stream',
      'icmp_timeout',
      'icmpv6_timeout',
      'generic_timeout',
      'tcp_timeout_syn_sent',
      'tcp_timeout_established',
      'tcp_timeout_close',
    ];
    return Object.fromEntries(
      timeouts.filter(() => random.chance(0.4)).map((name) => [`net.netfilter.nf_conntrack_${name}`, random.int(1, 2)]),
    );
  }
  return some(0.1, { 'net.ipv4.conf.all.rp_filter': random.int(1, 2) });
}

export const BRIDGE_MACHINES = [
  { port: 'tap1', mac: 'fa:16:3e:00:00:11', v4: '172.16.0.11', v6: 'fd00:0:0:0:0:0:0:11' },
  { port: 'tap2', mac: 'fa:16:3e:00:00:12', v4: '172.16.0.12', v6: 'fd00:0:0:0:0:0:0:12' },
  { port: 'qvb1', mac: 'fa:16:3e:00:00:fe', v4: '172.16.0.254', v6: 'fd00:0:0:0:0:0:0:fe' },
];

/** A host whose VMs hang on a bridge with br_netfilter. */
export function bridgeHost(): HostDescription {
  return {
    interfaces: {
      br0: { mac: '02:00:00:00:00:0b', addresses: ['172.16.0.1/24', 'fd00::1/64'], bridge: ['qvb1', 'tap1', 'tap2'] },
      qvb1: { mac: '02:00:00:00:01:00' },
      tap1: { mac: '02:00:00:00:01:01' },
      tap2: { mac: '02:00:00:00:01:02' },
    },
    routes: ['default via 172.16.0.254 dev br0'],
    neighbours: Object.fromEntries(
      BRIDGE_MACHINES.flatMap(({ v4, v6, mac }) => [
        [v4, mac],
        [shortV6(v6), mac],
      ]),
    ),
    sysctl: { ...COMMON_SYSCTL, 'net.bridge.bridge-nf-call-iptables': 1, 'net.bridge.bridge-nf-call-ip6tables': 1 },
  };
}
