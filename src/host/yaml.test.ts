import { describe, expect, it } from 'vitest';
import { parseHostYaml, readHostYaml } from './yaml.ts';

const CONTRACT = `interfaces:
  eth0: { mac: "02:00:00:00:00:01", addresses: [192.0.2.1/24, "2001:db8::1/64"], mtu: 1500 }
  eth1: { addresses: [10.0.0.1/24] }
  br0:  { bridge: [tap1, tap2], addresses: [172.16.0.1/24] }
  tap1: {}
  tap2: { group: 3 }
  eth0.5: { link: eth0, vlan: 5 }
routes:                       # comment
  - default via 192.0.2.254 dev eth0
rules:
  - from all fwmark 0x1 lookup 100
neighbours:
  192.0.2.254: "02:00:00:00:01:fe"
sysctl:
  net.ipv4.ip_forward: 1
listen: [tcp/22, udp/53, { port: tcp/80, uid: 33, address: 10.0.0.1 }]
`;

describe('host.yaml', () => {
  it('reads the form of the manual', () => {
    const { host } = readHostYaml(CONTRACT, 'host.yaml');
    expect(host.devices.map((device) => device.name)).toEqual(['lo', 'eth0', 'eth1', 'br0', 'tap1', 'tap2', 'eth0.5']);
    expect(host.device('tap2')).toMatchObject({ group: 3, bridge: host.device('br0'), mtu: 1500, kind: 'ethernet' });
    expect(host.device('br0')).toMatchObject({ kind: 'bridge', ports: [host.device('tap1'), host.device('tap2')] });
    expect(host.device('eth0.5')).toMatchObject({ kind: 'vlan', vlan: 5, link: host.device('eth0'), mtu: 1500 });
    expect(host.sysctl('net.ipv4.ip_forward')).toBe(1);
    expect(host.interfaceSysctl(4, host.device('eth1')!, 'forwarding')).toBe(1);
    const socket = (port: number, address: number) =>
      host.findSocket(6, 4, [1, 0, 0, 0], 5, [address, 0, 0, 0], port, null);
    expect(socket(22, 0xc0000201)).toMatchObject({ wildcard: true, transparent: true, owner: { uid: 0 } });
    expect(socket(80, 0x0a000001)).toMatchObject({ wildcard: false, owner: { uid: 33 } });
    expect(socket(80, 0xc0000201)).toBeNull();
  });

  it.each([
    '',
    '# nothing\n',
    'interfaces:\nroutes:\nrules:\nneighbours:\nsysctl:\nlisten:\n',
    'interfaces: {eth0: }\n',
  ])('takes what is empty: %j', (text) => expect(() => parseHostYaml(text, 'host.yaml')).not.toThrow());

  it.each<[string, string]>([
    [
      'interfaces:\n  eth0:\n    mac: zz\n',
      'h:3: interfaces.eth0.mac: "zz" is no station\'s MAC; write it as "02:00:00:00:00:01"',
    ],
    [
      'interfaces:\n  eth0: { addresses: [192.0.2.1/33] }\n',
      'h:2: interfaces.eth0.addresses[0]: "192.0.2.1/33" is no address; write it with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64',
    ],
    [
      'interfaces:\n  eth0: { adresses: [] }\n',
      'h:2: interfaces.eth0.adresses: unknown key; an interface has mac, addresses, mtu, group, bridge, hairpin, link, vlan',
    ],
    [
      'interface:\n  eth0: {}\n',
      'h:1: interface: unknown key; there are interfaces, routes, rules, neighbours, sysctl, listen',
    ],
    [
      'interfaces: [eth0]\n',
      'h:1: interfaces: a mapping is needed, with entries such as "eth0: { addresses: [192.0.2.1/24] }"',
    ],
    ['\nroutes: default\n', 'h:2: routes: a list is needed, with entries such as "- default via 192.0.2.254 dev eth0"'],
    [
      'routes:\n  - default via 192.0.2.254\n',
      'h:2: routes[0]: the gateway 192.0.2.254 is not on a network of this machine; give the interface an address of its network, or write "onlink"',
    ],
    ['routes:\n  - default dev eth9\n', 'h:2: routes[0]: there is no interface "eth9"; there are lo'],
    [
      'routes:\n  - blackhole 10.0.0.1/8\n',
      'h:2: routes[0]: "10.0.0.1/8" has bits beyond its length; "10.0.0.0/8" would be right',
    ],
    [
      'rules: [from all fwmark x lookup 1]\n',
      'h:1: rules[0]: "fwmark x": MARK or MARK/MASK is needed, such as 0x1/0xff',
    ],
    [
      'neighbours:\n  a: b\n',
      'h:2: neighbours.a: "a" is no address; an entry is written as 192.0.2.254: "02:00:00:00:01:fe"',
    ],
    ['sysctl:\n  net.ipv4.ip_forward: true\n', 'h:2: sysctl.net.ipv4.ip_forward: 1 is needed, not true'],
    ['listen:\n  - tcp/22\n  - http\n', 'h:3: listen[1]: "http" is no socket; write it as tcp/22 or udp/53'],
    [
      'interfaces:\n  br0: { bridge: [tap1] }\n',
      'h:2: interfaces.br0.bridge[0]: there is no interface "tap1"; add "tap1: {}" to interfaces',
    ],
    ['interfaces:\n  eth0: {}\n  eth0: {}\n', 'h:3: Map keys must be unique'],
    [
      'interfaces:\n  eth0: { hairpin: true }\n',
      'h:2: interfaces.eth0.hairpin: only a port of a bridge can be set to hairpin',
    ],
  ])('says what is wrong in %j', (text, message) => {
    expect(() => parseHostYaml(text, 'h')).toThrow(message);
  });
});
