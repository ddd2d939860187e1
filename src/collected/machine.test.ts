import { beforeEach, describe, expect, it } from 'vitest';
import { parseHostYaml } from '../host/yaml.ts';
import { noteText } from './collection.ts';
import { hostYaml } from './host-yaml.ts';
import { type CollectedMachine, readMachine } from './machine.ts';

// Entries as `ip -j` and `bridge -j` of iproute2 6.1 print them, shortened.
const UP = ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'];
const lo = {
  ifindex: 1,
  ifname: 'lo',
  flags: ['LOOPBACK', 'UP', 'LOWER_UP'],
  mtu: 65536,
  group: 'default',
  link_type: 'loopback',
  address: '00:00:00:00:00:00',
};
let index = 1;
beforeEach(() => {
  index = 1;
});
const link = (ifname: string, more: object = {}): object => ({
  ifindex: ++index,
  ifname,
  flags: UP,
  mtu: 1500,
  group: 'default',
  link_type: 'ether',
  address: `02:00:00:00:00:${String(index).padStart(2, '0')}`,
  ...more,
});
const kind = (info_kind: string, info_data: object = {}): object => ({ linkinfo: { info_kind, info_data } });
const address = (local: string, prefixlen: number, more: object = {}): object => ({
  family: local.includes(':') ? 'inet6' : 'inet',
  local,
  prefixlen,
  scope: 'global',
  ...more,
});

/** A machine of these files; `addr` by device. */
function machine(
  links: object[],
  addr: Record<string, object[]> = {},
  files: Record<string, unknown> = {},
): CollectedMachine & { lines: string[] } {
  const all: Record<string, unknown> = {
    'ip-link.json': [lo, ...links],
    'ip-addr.json': Object.entries(addr).map(([ifname, addr_info]) => ({ ifname, addr_info })),
    'ip-route.json': [],
    'ip-rule.json': [],
    'iptables-nft-save': '',
    'ip6tables-nft-save': '',
    sysctl: 'net.bridge.bridge-nf-call-iptables = 1\n',
    ...files,
  };
  const read = readMachine((name) => {
    const value = all[name];
    return value === undefined ? null : typeof value === 'string' ? value : JSON.stringify(value);
  });
  // What is written can be read again.
  expect(parseHostYaml(hostYaml(read.description, 'x'), 'host.yaml')).toEqual(
    JSON.parse(
      JSON.stringify(
        Object.fromEntries(
          Object.entries(read.description).filter(([, value]) => Object.keys(value as object).length > 0),
        ),
      ),
    ),
  );
  return { ...read, lines: read.notes.map(noteText) };
}

describe('devices', () => {
  it('bridges with ports, VLANs, groups, MTUs', () => {
    const port = {
      linkinfo: {
        info_kind: 'tun',
        info_data: { type: 'tap' },
        info_slave_kind: 'bridge',
        info_slave_data: { state: 'forwarding', hairpin: true, isolated: true },
      },
    };
    const { description, lines } = machine(
      [
        link('br0', kind('bridge', { vlan_filtering: 1 })),
        link('tap1', { master: 'br0', ...port }),
        link('eth0', { mtu: 9000, group: 'outside' }),
        link('eth0.5', {
          mtu: 1500,
          link: 'eth0',
          address: '02:00:00:00:00:04',
          ...kind('vlan', { protocol: '802.1Q', id: 5 }),
        }),
      ],
      {},
      { group: '0 default\n12 outside\n' },
    );
    expect(description.interfaces).toEqual({
      br0: { mac: '02:00:00:00:00:02', bridge: ['tap1'] },
      tap1: { mac: '02:00:00:00:00:03', hairpin: true },
      eth0: { mac: '02:00:00:00:00:04', mtu: 9000, group: 12 },
      'eth0.5': { mtu: 1500, link: 'eth0', vlan: 5 },
    });
    expect(lines).toEqual([
      'ip-link.json, entry 2 (br0): vlan_filtering is on: the VLANs of its ports are not simulated',
      'ip-link.json, entry 3 (tap1): bridge port setting isolated on is not simulated',
    ]);
  });

  it.each([
    [
      'wireguard',
      { link_type: 'none', address: undefined },
      'a tunnel: packets leave by it and come in on it; the encrypted ones beneath are not simulated',
    ],
    ['bond', {}, 'a device of its own here: packets come in on it, not on its members'],
    ['macvlan', {}, 'a device of its own here: what it shares with the one below is not simulated'],
    ['vrf', {}, 'VRFs are not simulated: its table is used only where rules lead to it'],
    ['newkind', {}, 'devices of kind newkind are plain ones here'],
  ])('%s', (name, more, note) => {
    const { lines } = machine([link('dev0', { ...kind(name), ...more })]);
    expect(lines).toEqual([`ip-link.json, entry 2 (dev0): ${note}`]);
  });

  it('members, ports that do not forward, links elsewhere', () => {
    const { lines } = machine([
      link('bond0', kind('bond')),
      link('eth0', { master: 'bond0' }),
      link('br0', kind('bridge')),
      link('eth1', { master: 'br0', linkinfo: { info_slave_kind: 'bridge', info_slave_data: { state: 'blocking' } } }),
      link('v5', { link_index: 9, link_netnsid: 0, ...kind('vlan', { id: 5 }) }),
      link('eth2', { flags: ['NO-CARRIER', 'BROADCAST', 'UP'] }),
    ]);
    expect(lines.slice(1)).toEqual([
      'ip-link.json, entry 7 (eth2): has no carrier: what leaves by it reaches nobody on the machine',
      'ip-link.json, entry 3 (eth0): is a member of bond0: this is not simulated',
      'ip-link.json, entry 5 (eth1): the port is blocking: the bridge forwards over it here',
      'ip-link.json, entry 6 (v5): the device below this VLAN is not on this machine: a plain device here',
    ]);
  });
});

describe('addresses and routes', () => {
  const eth0 = link('eth0');
  const connected = {
    dst: '192.0.2.0/24',
    dev: 'eth0',
    protocol: 'kernel',
    scope: 'link',
    prefsrc: '192.0.2.1',
    flags: [],
  };

  it('what an address makes by itself is not written', () => {
    const { description, lines } = machine(
      [eth0],
      { eth0: [address('192.0.2.1', 24)] },
      {
        'ip-route.json': [
          connected,
          {
            type: 'local',
            dst: '192.0.2.1',
            dev: 'eth0',
            table: 'local',
            protocol: 'kernel',
            scope: 'host',
            prefsrc: '192.0.2.1',
            flags: [],
          },
          {
            type: 'broadcast',
            dst: '192.0.2.255',
            dev: 'eth0',
            table: 'local',
            protocol: 'kernel',
            scope: 'link',
            prefsrc: '192.0.2.1',
            flags: [],
          },
        ],
      },
    );
    expect(description.interfaces).toMatchObject({ eth0: { addresses: ['192.0.2.1/24'] } });
    expect(description.routes).toBeUndefined();
    expect(lines).toEqual([]);
  });

  it('NetworkManager makes the route itself', () => {
    const { description } = machine(
      [eth0],
      { eth0: [address('192.0.2.1', 24, { noprefixroute: true })] },
      {
        'ip-route.json': [{ ...connected, metric: 100 }],
      },
    );
    expect(description.interfaces).toMatchObject({ eth0: { addresses: ['192.0.2.1/24 noprefixroute'] } });
    expect(description.routes).toEqual(['192.0.2.0/24 dev eth0 scope link src 192.0.2.1 metric 100']);
  });

  it('duplicates are left out, peers keep their route, IPv6 addresses come in the order in which they were added', () => {
    const { description, lines } = machine(
      [eth0],
      {
        eth0: [
          address('192.0.2.1', 32, { address: '192.0.2.2' }),
          address('2001:db8::2', 128),
          address('2001:db8::1', 128),
          address('2001:db8::9', 64, { tentative: true, dadfailed: true }),
        ],
      },
      {
        'ip-route.json': [
          { dst: '192.0.2.2', dev: 'eth0', protocol: 'kernel', scope: 'link', prefsrc: '192.0.2.1', flags: [] },
        ],
      },
    );
    expect(description.interfaces).toMatchObject({
      eth0: { addresses: ['192.0.2.1/32', '2001:db8::1/128 noprefixroute', '2001:db8::2/128 noprefixroute'] },
    });
    expect(description.routes).toEqual(['192.0.2.2 dev eth0 scope link src 192.0.2.1']);
    expect(lines[0]).toBe('ip-addr.json, entry 1 (eth0 2001:db8::9): is tentative, or a duplicate: left out');
  });

  it('names of tables and realms, gateways that were in reach once, what is left out', () => {
    const { description, lines } = machine(
      [eth0],
      { eth0: [address('192.0.2.1', 24)] },
      {
        rt_tables: '255 local\n7 office\n',
        rt_realms: '3 paid\n',
        'ip-route.json': [
          connected,
          { dst: 'default', gateway: '192.0.2.254', dev: 'eth0', table: 'office', flow: { to: 'paid' }, flags: [] },
          { dst: '10.0.0.0/8', gateway: '198.51.100.1', dev: 'eth0', flags: [] },
          { dst: '10.1.0.0/16', gateway: '192.0.2.9', dev: 'eth0', table: 'unheard', flags: [] },
          { dst: '10.2.0.0/16', dev: 'eth9', scope: 'link', flags: [] },
          { dst: '10.3.0.0/16', encap: 'mpls', gateway: '192.0.2.9', dev: 'eth0', flags: [] },
        ],
      },
    );
    expect(description.routes).toEqual([
      'default via 192.0.2.254 dev eth0 table 7 realm 3',
      '10.0.0.0/8 via 198.51.100.1 dev eth0 onlink',
      '10.3.0.0/16 via 192.0.2.9 dev eth0',
    ]);
    expect(lines.filter((line) => line.startsWith('ip-route'))).toEqual([
      'ip-route.json, entry 4 (10.1.0.0/16): the number of table "unheard" is not known (rt_tables); left out',
      'ip-route.json, entry 6 (10.3.0.0/16): its encapsulation is not simulated: packets leave as they are',
      expect.stringContaining('local 192.0.2.1/32: iptsim has the route that an address of eth0 makes'),
      expect.stringContaining('broadcast 192.0.2.255/32'),
      'ip-route.json, entry 5 (10.2.0.0/16 dev eth9 scope link): there is no interface "eth9"; there are lo, eth0; left out',
    ]);
  });

  it('IPv6 routes without an address in them', () => {
    const { description } = machine(
      [eth0],
      {},
      {
        'ip-6-route.json': [
          { dst: 'default', dev: 'eth0', metric: 1024, flags: [], pref: 'medium' },
          { type: 'unreachable', dst: 'default', dev: 'lo', table: '7', metric: 4294967295, flags: [], pref: 'medium' },
          { dst: 'default', gateway: 'fe80::1', dev: 'eth0', metric: 100, flags: [], pref: 'medium' },
        ],
      },
    );
    expect(description.routes).toEqual([
      '-6 default dev eth0 metric 1024',
      '-6 unreachable default table 7 metric 4294967295',
      'default via fe80::1 dev eth0 metric 100',
    ]);
  });

  it('rules of the kernel that are gone', () => {
    const { lines } = machine(
      [],
      {},
      {
        'ip-rule.json': [
          { priority: 0, src: 'all', table: 'local' },
          { priority: 1000, src: 'all', l3mdev: null },
          { priority: 32767, src: 'all', table: 'default' },
        ],
      },
    );
    expect(lines).toEqual([
      'ip-rule.json, entry 2 (preference 1000): "l3mdev" is not simulated; left out',
      `ip-rule.json: the kernel's rule "32766: from all lookup main" is not there: iptsim always has it`,
    ]);
  });
});

describe('sysctls', () => {
  it('only what differs from what holds without it; names with dots and slashes', () => {
    const { description } = machine(
      [link('eth0.5', { address: '02:00:00:00:00:77' })],
      {},
      {
        sysctl: [
          'net.bridge.bridge-nf-call-iptables = 0',
          'net.ipv4.ip_forward = 1',
          'net.ipv4.conf.all.forwarding = 1',
          'net.ipv4.conf.all.rp_filter = 0',
          'net.ipv4.conf.default.rp_filter = 2',
          'net.ipv4.conf.eth0/5.rp_filter = 2',
          'net.ipv4.conf.eth0/5.forwarding = 0',
          'net.ipv4.tcp_rmem = 4096\t131072\t6291456',
          'net.core.somaxconn = 4096',
        ].join('\n'),
      },
    );
    expect(description.sysctl).toEqual({
      'net.bridge.bridge-nf-call-iptables': 0,
      'net.ipv4.ip_forward': 1,
      'net.ipv4.conf.default.rp_filter': 2,
      'net.ipv4.conf.eth0/5.forwarding': 0,
    });
  });

  it('without br_netfilter iptables sees nothing of bridges; files of /proc/sys have slashes', () => {
    const { description } = machine([], {}, { sysctl: 'net/ipv4/ip_forward = 1\nnet/ipv6/conf/lo/disable_ipv6 = 0\n' });
    expect(description.sysctl).toMatchObject({ 'net.bridge.bridge-nf-call-iptables': 0, 'net.ipv4.ip_forward': 1 });
  });

  it('what a simulation does not look at, where it would matter', () => {
    const { lines } = machine(
      [],
      {},
      { sysctl: 'net.bridge.x = 1\nnet.ipv4.ip_default_ttl = 128\nnet.ipv4.tcp_ecn = 2\n' },
    );
    expect(lines).toEqual(['sysctl, net.ipv4.ip_default_ttl = 128: is not simulated: packets fare as with 64']);
  });

  it('IPv6 switched off', () => {
    const { lines } = machine([link('eth0')], {}, { sysctl: 'net.ipv6.conf.eth0.disable_ipv6 = 1\n' });
    expect(lines).toEqual([
      'sysctl, disable_ipv6 of eth0: IPv6 packets that come in there are dropped on the machine before any rule; iptsim takes them',
    ]);
  });
});

describe('rules', () => {
  const rules = (count: number): string =>
    `*filter\n:INPUT ACCEPT [0:0]\n${'-A INPUT -j ACCEPT\n'.repeat(count)}COMMIT\n`;

  it.each([
    ['nft alone', { 'iptables-nft-save': rules(1) }, 'nft', 0],
    ['legacy alone', { 'iptables-nft-save': '', 'iptables-legacy-save': rules(1) }, 'legacy', 0],
    ['both', { 'iptables-nft-save': rules(1), 'iptables-legacy-save': rules(2) }, 'nft', 1],
    ['collected by hand', { 'iptables-nft-save': undefined, 'iptables-save': rules(1) }, 'nft', 0],
    ['none', {}, null, 0],
  ])('%s', (_what, files, variant, notes) => {
    const read = machine([], {}, files);
    expect({ variant: read.variant, notes: read.notes.length }).toEqual({ variant, notes });
  });

  it('tables of nftables beside those of iptables', () => {
    expect(machine([], {}, { 'nft-tables': 'table ip filter\ntable inet firewalld\n' }).lines).toEqual([
      'nft-tables, line 2: table inet firewalld of nftables is not simulated',
    ]);
  });

  it('sockets, neighbours, what bridges learned, connections', () => {
    const { description, learnedMacs, lines } = machine(
      [link('br0', kind('bridge')), link('eth0')],
      {},
      {
        sockets:
          'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\ntcp LISTEN 0 128 [::]:22 [::]:*\nudp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*\n',
        'ip-neigh.json': [
          { dst: '192.0.2.9', dev: 'eth0', lladdr: '02:00:00:00:00:99', state: ['STALE'] },
          { dst: '192.0.2.8', dev: 'eth0', state: ['FAILED'] },
        ],
        'bridge-fdb.json': [
          { mac: '02:00:00:00:00:aa', ifname: 'eth0', flags: [], master: 'br0', state: '' },
          { mac: '02:00:00:00:00:ab', ifname: 'eth0', flags: [], master: 'br0', state: 'permanent' },
        ],
        conntrack: 'ipv4     2 tcp      6 431999 ESTABLISHED src=192.0.2.1 dst=192.0.2.9 sport=1 dport=2 src=...\n',
      },
    );
    expect(description.listen).toEqual(['tcp/22', { port: 'udp/53', address: '127.0.0.53', device: 'lo' }]);
    expect(description.neighbours).toEqual({ '192.0.2.9': '02:00:00:00:00:99' });
    expect(learnedMacs).toEqual({ br0: { '0200000000aa': { port: 'eth0', age: 0 } } });
    expect(lines).toEqual(['conntrack: 1 connection is not taken over: the machine begins without any']);
  });
});
