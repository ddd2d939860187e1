import { describe, expect, it } from 'vitest';
import { wellKnownNames } from '../simulation/names.ts';
import { type Conversation, hopsOf, playConversation } from './converse.ts';
import { type Frame, Network } from './network.ts';
import { planNetwork } from './plan.ts';
import { readNetworkYaml } from './yaml.ts';

function start(text: string): Network {
  const { description, located } = readNetworkYaml(text, 'network.yaml');
  try {
    const plan = planNetwork(description, () => null);
    return new Network(plan, { names: wellKnownNames(), variant: 'nft', seed: 1 });
  } catch (error) {
    throw located(error as never);
  }
}

function ask(
  network: Network,
  from: string,
  to: string,
  protocol: Conversation['protocol'] | null = null,
): Conversation {
  return playConversation(network, { from, to, protocol, family: null });
}

const OFFICE = `
hosts:
  pc:
    interfaces: { eth0: { addresses: [10.0.0.5/24, "2001:db8:1::5/64"] } }
    routes: [default via 10.0.0.1 dev eth0, default via 2001:db8:1::1 dev eth0]
  gate:
    router: true
    interfaces:
      in: { addresses: [10.0.0.1/24, "2001:db8:1::1/64"] }
      out: { addresses: [203.0.113.1/24, "2001:db8:2::1/64"] }
    iptables: |
      *nat
      -A POSTROUTING -o out -j SNAT --to-source 203.0.113.1
      COMMIT
  web:
    interfaces: { eth0: { addresses: [203.0.113.80/24, "2001:db8:2::80/64"] } }
    routes: ["2001:db8:1::/64 via 2001:db8:2::1 dev eth0"]
    listen: [tcp/80, udp/53]
links:
  lan: [pc, "gate:in"]
  wire: ["gate:out", web]
`;

describe('a network', () => {
  it('translates a conversation on the way and back, and the addresses of hosts are found by their names', () => {
    const network = start(OFFICE);
    const conversation = ask(network, 'pc', 'web:80');
    expect(conversation).toMatchObject({
      result: 'answered',
      server: 'web',
      source: '10.0.0.5:40000',
      seenAs: { source: '203.0.113.1:40000', destination: '203.0.113.80:80' },
      stop: null,
    });
    // SYN, ACK, request, answer, ACK, FIN, FIN, ACK; the SYN+ACK is the server's machine's own and belongs to the first.
    expect(conversation.packets.map(({ from }) => from)).toEqual([
      'client',
      'client',
      'client',
      'server',
      'client',
      'client',
      'server',
      'client',
    ]);
    const [opening] = conversation.packets;
    expect(hopsOf(opening!.root).map(({ host }) => host)).toEqual(['pc', 'gate', 'web', 'gate', 'pc']);
    expect(network.nodes.get('pc')!.sockets.size).toBe(0);
  });

  it('speaks IPv6, UDP and echo', () => {
    const network = start(OFFICE);
    expect(ask(network, 'pc', '[2001:db8:2::80]:80')).toMatchObject({
      result: 'answered',
      seenAs: { source: '[2001:db8:1::5]:40000' },
    });
    expect(ask(network, 'pc', 'web:53', 'udp')).toMatchObject({ result: 'answered' });
    expect(ask(network, 'pc', 'web')).toMatchObject({ result: 'answered', protocol: 'icmp' });
    expect(ask(network, 'pc', '2001:db8:2::80')).toMatchObject({ result: 'answered', protocol: 'icmp' });
  });

  it('tells who refuses, and where a packet is lost', () => {
    const network = start(OFFICE);
    expect(ask(network, 'pc', 'web:81')).toMatchObject({
      result: 'refused',
      stop: { host: 'web', reason: 'a TCP reset came back' },
    });
    expect(ask(network, 'pc', 'web:54', 'udp')).toMatchObject({
      result: 'refused',
      stop: { host: 'web', reason: 'an ICMP error (type 3 code 3) came back' },
    });
    expect(ask(network, 'pc', '203.0.113.99:80')).toMatchObject({
      result: 'lost',
      stop: { host: 'gate', reason: 'nobody on wire has that address' },
    });
  });

  it('shows every frame of every link, with the MACs of those who talk', () => {
    const network = start(OFFICE);
    const frames: Frame[] = [];
    network.onFrame = (frame) => frames.push(frame);
    ask(network, 'pc', 'web');
    expect(frames.map(({ link }) => link)).toEqual(['lan', 'wire', 'wire', 'lan']);
    const pc = network.nodes.get('pc')!.host.device('eth0')!;
    const gate = network.nodes.get('gate')!.host.device('in')!;
    expect([...frames[0]!.linkHeader.subarray(0, 12)]).toEqual([...gate.mac, ...pc.mac]);
    expect([...frames[3]!.linkHeader.subarray(0, 12)]).toEqual([...pc.mac, ...gate.mac]);
  });

  it('drops a conversation where a rule says so, and names the rule', () => {
    const network = start(
      OFFICE.replace(
        '      *nat\n',
        '      *filter\n      -A FORWARD -p tcp --dport 80 -j DROP\n      COMMIT\n      *nat\n',
      ),
    );
    expect(ask(network, 'pc', 'web:80')).toMatchObject({
      result: 'lost',
      stop: { host: 'gate', table: 'filter', chain: 'FORWARD', rule: 1 },
    });
  });

  it('bridges the taps of virtual machines, across two hosts', () => {
    const network = start(`
hosts:
  one: { interfaces: { up: {}, br: { bridge: [up] } } }
  two: { interfaces: { up: {}, br: { bridge: [up] } } }
vms:
  a: { on: one, bridge: br, addresses: [10.1.0.1/24], listen: [tcp/7] }
  b: { on: one, bridge: br, addresses: [10.1.0.2/24] }
  c: { on: two, bridge: br, addresses: [10.1.0.3/24] }
links:
  trunk: ["one:up", "two:up"]
`);
    const near = ask(network, 'b', 'a:7');
    expect(near.result).toBe('answered');
    // The bridges know everybody, as they do after ARP: nothing is flooded.
    expect(hopsOf(near.packets[0]!.root).map(({ host }) => host)).toEqual(['b', 'one', 'a', 'one', 'b']);
    const far = ask(network, 'c', 'a:7');
    expect(hopsOf(far.packets[0]!.root).map(({ host }) => host)).toEqual(['c', 'two', 'one', 'a', 'one', 'two', 'c']);
  });

  it('carries tagged frames between VLAN devices', () => {
    const network = start(`
hosts:
  a: { interfaces: { eth0: {}, eth0.5: { link: eth0, vlan: 5, addresses: [10.5.0.1/24] } } }
  b: { interfaces: { eth0: {}, eth0.5: { link: eth0, vlan: 5, addresses: [10.5.0.2/24] } }, listen: [tcp/7] }
links: { wire: ["a:eth0", "b:eth0"] }
`);
    expect(ask(network, 'a', 'b:7').result).toBe('answered');
  });
});

describe('a wrong network', () => {
  it.each([
    [
      'hosts:\n  a: { interfaces: { eth0: {} } }\nlinks:\n  w: ["a:eth0", "b:eth0"]\n',
      'network.yaml:4: links.w[1]: no host b',
    ],
    [
      'hosts:\n  a: { interfaces: { eth0: {} } }\nlinks:\n  w: ["a:eth1", internet]\n',
      'network.yaml:4: links.w[0]: a has no interface eth1; it has eth0',
    ],
    [
      'host: {}\n',
      'network.yaml:1: host: unknown key; known are hosts, vms, links, internet, names, conversations, groups, prefix_lists',
    ],
    [
      'hosts:\n  a:\n    interfaces:\n      eth0: { mac: no }\n',
      'network.yaml:4: hosts.a.interfaces.eth0.mac: "no" is no station\'s MAC; write it as "02:00:00:00:00:01"',
    ],
    ['hosts:\n  a:\n    iptables: |\n      *filter\n      -A NOPE -j ACCEPT\n', 'hosts.a.iptables, line 2'],
    ['vms:\n  v: { on: a, bridge: br, addresses: [10.0.0.1/24] }\n', 'network.yaml:2: vms.v.on: no host a'],
    ['hosts:\n  a: {}\n  b: {}\n  a: {}\n', 'network.yaml:4: "a" is there already'],
    ['hosts:\n  a: { iptables: missing.v4 }\n', 'network.yaml:2: hosts.a.iptables: no such file: missing.v4'],
  ])('%j', (text, message) => {
    expect(() => start(text)).toThrow(message);
  });

  it('asks for what is there', () => {
    const network = start(OFFICE);
    expect(() => ask(network, 'pcc', 'web:80')).toThrow('no host pcc: did you mean pc?');
    expect(() => ask(network, 'pc', 'wbe:80')).toThrow('no host or name wbe: did you mean web?');
    expect(() => ask(network, 'pc', 'web', 'tcp')).toThrow('tcp needs a port: web:443');
    expect(() => ask(network, 'pc', 'web:80', 'icmp')).toThrow('icmp has no ports: web');
  });
});
