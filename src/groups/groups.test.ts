import { describe, expect, it } from 'vitest';
import { NetworkError } from '../network/description.ts';
import { planNetwork } from '../network/plan.ts';
import { readNetworkYaml } from '../network/yaml.ts';
import { simulate } from '../simulation/simulate.ts';
import { decisionText } from './answers.ts';
import { groupMatrix, matrixText } from './matrix.ts';
import type { Cloud } from './model.ts';
import { compileCloud, compileHosts } from './plan.ts';
import { decide, type End } from './reach.ts';
import { readCloud } from './read.ts';
import { readService } from './service-text.ts';

function cloudOf(
  groups: string,
  vms = 'v: { on: h, bridge: br, mac: "FA:16:3E:00:00:01", addresses: [10.0.0.1/24], groups: [A] }',
): Cloud {
  const text = `hosts: { h: {} }\ngroups:\n${groups}\nvms:\n  ${vms}\nprefix_lists: { office: [203.0.113.0/24, "2001:db8::/32", 0.0.0.0/0] }\n`;
  const { description, located } = readNetworkYaml(text, 'network.yaml');
  try {
    return readCloud(
      description,
      planNetwork(description, () => null),
    );
  } catch (error) {
    throw error instanceof NetworkError ? located(error) : error;
  }
}

const rulesOf = (text: string, chain: string): string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith(`-A ${chain} `) && !line.includes('--comment'))
    .map((line) => line.slice(`-A ${chain} `.length));

describe('compiled rules', () => {
  const cloud = cloudOf(`
  A:
    rules:
      - { protocol: tcp, ports: 22, remote: 203.0.113.0/24 }
      - { protocol: udp, ports: 5000-5010, remote_group: A }
      - { protocol: icmp, icmp: 8 }
      - { protocol: icmp, icmp: 3/4, ethertype: ipv4 }
      - { protocol: 47, prefix_list: office }
      - { protocol: tcp, ports: 0-65535, remote: "2001:db8::/32" }
      - { direction: egress, remote: 0.0.0.0/0 }`);
  const [host] = compileCloud(cloud);

  it('one rule for each of the groups, as Neutron writes them', () => {
    expect(rulesOf(host!.rules4, 'neutron-openvswi-i-v')).toEqual([
      '-s 203.0.113.0/24 -p tcp -m tcp --dport 22 -j RETURN',
      '-p udp -m udp -m multiport --dports 5000:5010 -m set --match-set NIPv4A src -j RETURN',
      '-p icmp -m icmp --icmp-type 8 -j RETURN',
      '-p icmp -m icmp --icmp-type 3/4 -j RETURN',
      '-p gre -m set --match-set PIPv4office src -j RETURN',
    ]);
    expect(rulesOf(host!.rules6, 'neutron-openvswi-i-v')).toEqual([
      '-p udp -m udp -m multiport --dports 5000:5010 -m set --match-set NIPv6A src -j RETURN',
      '-p ipv6-icmp -m icmp6 --icmpv6-type 8 -j RETURN',
      '-p gre -m set --match-set PIPv6office src -j RETURN',
      '-s 2001:db8::/32 -p tcp -j RETURN',
    ]);
    expect(rulesOf(host!.rules4, 'neutron-openvswi-o-v')).toContain('-j RETURN');
    // Egress is declared for IPv4 alone.
    expect(rulesOf(host!.rules6, 'neutron-openvswi-o-v')).toEqual(['-j neutron-openvswi-s-v']);
  });

  it('sets of the groups and lists that rules name; a set of networks takes no /0', () => {
    expect(host!.sets).toBe(
      `create NIPv4A hash:net family inet hashsize 1024 maxelem 65536
add NIPv4A 10.0.0.1
create NIPv6A hash:net family inet6 hashsize 1024 maxelem 65536
create PIPv4office hash:net family inet hashsize 1024 maxelem 65536
add PIPv4office 203.0.113.0/24
add PIPv4office 0.0.0.0/1
add PIPv4office 128.0.0.0/1
create PIPv6office hash:net family inet6 hashsize 1024 maxelem 65536
add PIPv6office 2001:db8::/32
`,
    );
  });

  it('come back from the kernel as they are', () => {
    const simulation = simulate({ rules: host!.rules4, rules6: host!.rules6, sets: host!.sets });
    for (const family of [4, 6] as const) {
      const saved = simulation.rules(family).replaceAll(/^\[\d+:\d+\] /gm, '');
      const lines = (text: string): string[] =>
        text
          .split('\n')
          .filter((line) => line.startsWith('-A'))
          .sort();
      expect(lines(saved)).toEqual(lines(family === 4 ? host!.rules4 : host!.rules6));
    }
  });

  it('one host alone', () => {
    expect([...compileHosts(cloud, new Set(['h']))]).toEqual([{ ...host, done: 1, of: 1 }]);
    expect([...compileHosts(cloud, new Set(['other']))]).toEqual([]);
  });
});

describe('stateless groups', () => {
  const groups = `
  A: { stateful: false, rules: [{ protocol: tcp, ports: 80 }], egress: none }
  B: { rules: [{ protocol: tcp, ports: 22, remote: 10.0.0.0/8, except: [10.0.0.64/26] }] }`;
  const stateless = 'v: { on: h, bridge: br, mac: "fa:16:3e:00:00:01", addresses: [10.0.0.1/24], groups: [A] }';
  const stateful = 'w: { on: h, bridge: br, mac: "fa:16:3e:00:00:02", addresses: [10.0.0.2/24], groups: [B] }';

  it('are not tracked, and their rules ask for no state', () => {
    const [host] = compileCloud(cloudOf(groups, stateless));
    expect(host!.rules4.slice(0, host!.rules4.indexOf('*filter'))).toBe(`*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:neutron-openvswi-PREROUTING - [0:0]
-A PREROUTING -j neutron-openvswi-PREROUTING
-A neutron-openvswi-PREROUTING -m physdev --physdev-in tap-v -m comment --comment "Make tap-v stateless" -j CT --notrack
-A neutron-openvswi-PREROUTING -d 10.0.0.1/32 -m comment --comment "Make tap-v stateless" -j CT --notrack
COMMIT
`);
    expect(host!.rules4).not.toContain('-m state');
  });

  it('beside stateful ones: what goes between both stays tracked', () => {
    const [host] = compileCloud(cloudOf(groups, `${stateless}\n  ${stateful}`));
    expect(host!.sets).toContain(
      'create SIPv4stateful hash:net family inet hashsize 1024 maxelem 65536\nadd SIPv4stateful 10.0.0.2\n',
    );
    expect(
      rulesOf(
        host!.rules4.replaceAll('-m comment --comment "Make tap-v stateless" ', ''),
        'neutron-openvswi-PREROUTING',
      ),
    ).toEqual([
      '-m physdev --physdev-in tap-v -m set ! --match-set SIPv4stateful dst -j CT --notrack',
      '-d 10.0.0.1/32 -m set ! --match-set SIPv4stateful src -m set ! --match-set SIPv4stateful dst -j CT --notrack',
    ]);
    expect(host!.rules4.match(/-m state/g)).toHaveLength(4);
  });

  it('a machine is not in both kinds', () => {
    const both = 'v: { on: h, bridge: br, addresses: [10.0.0.1/24], groups: [A, B] }';
    expect(() => cloudOf(groups, both)).toThrow(
      'vms.v.groups[1]: a machine cannot be in stateful and stateless groups at once: A is stateless',
    );
  });

  it('explain and the matrix ask for the answers', () => {
    const cloud = cloudOf(groups, `${stateless}\n  ${stateful}`);
    const [v, w] = cloud.ports;
    const end = (port: typeof v): End => ({ port: port!, family: 4, address: port!.addresses[0]!.address });
    const service = readService('tcp/80', 4)!;
    expect(decisionText(end(w), end(v), service, decide(cloud, end(w), end(v), service))).toBe(
      `tcp/80 from w (10.0.0.2, B) to v (10.0.0.1, A): refused
  out of w: allowed by group B, what it has without rules of its own: egress anything to any IPv4 address
  into v: allowed by group A, rule 1: ingress tcp/80 from any IPv4 address
  answers (tcp/32768-60999) out of v: no rule allows it
`,
    );
    expect(matrixText(groupMatrix(cloud))).toBe(`to A
  from A  -
  from B  tcp/80!
  outside  tcp/80 from 0.0.0.0/0
  outside  tcp/80 from ::/0
to B
  from A  -
  from B  tcp/22
  outside  tcp/22 from 10.0.0.0/8 but not 10.0.0.64/26

! without its answers: a stateless group lets none through
`);
  });
});

describe('prefixes with exceptions', () => {
  it('are sets', () => {
    const [host] = compileCloud(
      cloudOf(`
  A:
    rules:
      - { remote: 0.0.0.0/0, except: [0.0.0.0/1, 192.0.2.0/24] }`),
    );
    const name = /EIPv4[0-9a-f]{16}/.exec(host!.sets)![0];
    expect(host!.sets).toBe(
      `create ${name} hash:net family inet hashsize 1024 maxelem 65536\nadd ${name} 128.0.0.0/1\nadd ${name} 192.0.2.0/24 nomatch\n`,
    );
    expect(rulesOf(host!.rules4, 'neutron-openvswi-i-v')).toEqual([`-m set --match-set ${name} src -j RETURN`]);
  });
});

describe('ARP and MACs', () => {
  it('as the Linux bridge agent of Neutron has it', () => {
    const [host] = compileCloud(
      cloudOf(
        '  A: {}',
        'v: { on: h, bridge: br, mac: "fa:16:3e:00:00:01", addresses: [10.0.0.1/24], groups: [A], allowed_address_pairs: [{ address: 10.0.0.64/28, mac: "fa:16:3e:00:00:99" }] }',
      ),
    );
    expect(host!.frames).toBe(`*nat
:PREROUTING ACCEPT
:OUTPUT ACCEPT
:POSTROUTING ACCEPT
:neutronMAC-tap-v DROP
:neutronARP-tap-v DROP
-A PREROUTING -i tap-v -j neutronMAC-tap-v
-A PREROUTING -p ARP -i tap-v -j neutronARP-tap-v
-A neutronMAC-tap-v -i tap-v --among-src fa:16:3e:00:00:01,fa:16:3e:00:00:99 -j RETURN
-A neutronMAC-tap-v -j DROP
-A neutronARP-tap-v -p ARP --arp-ip-src 10.0.0.1 -j ACCEPT
-A neutronARP-tap-v -p ARP --arp-ip-src 10.0.0.64/28 -j ACCEPT
-A neutronARP-tap-v -j DROP
`);
  });
});

describe('machines without groups', () => {
  it('are in the default group, or in none', () => {
    const vms = (groups: string): string => `v: { on: h, bridge: br, addresses: [10.0.0.1/24]${groups} }`;
    expect(cloudOf('  A: {}', vms('')).ports[0]!.groups).toEqual(['default']);
    expect(cloudOf('  A: {}', vms(', groups: []')).ports[0]!.groups).toEqual([]);
    expect(cloudOf('  A: {}', vms(', port_security: false')).ports).toEqual([]);
  });
});

describe('the matrix', () => {
  it('takes both groups together, and marks what holds for some members only', () => {
    const cloud = cloudOf(
      `
  A: { rules: [{ direction: egress, protocol: tcp, ports: 80-90 }] }
  B: { rules: [{ protocol: tcp, ports: 85-95, remote: 10.0.0.1/32 }], egress: none }`,
      `v: { on: h, bridge: br, addresses: [10.0.0.1/24], groups: [A] }
  w: { on: h, bridge: br, addresses: [10.0.0.2/24], groups: [A] }
  x: { on: h, bridge: br, addresses: [10.0.0.3/24], groups: [B] }`,
    );
    expect(matrixText(groupMatrix(cloud))).toBe(`to A
  from A  -
  from B  -
to B
  from A  tcp/85-90*
  from B  -
  outside  tcp/85-95 from 10.0.0.1/32

* for some of the members only
`);
  });
});

describe('wrong groups', () => {
  it.each([
    ['  A: { stateful: perhaps }', 'network.yaml:3: groups.A.stateful: true or false is needed'],
    ['  A: { rules: [{ except: [10.0.0.0/8] }] }', 'exceptions are of a "remote" prefix'],
    ['  A: { rules: [{ remote: 10.0.0.0/8, except: [11.0.0.0/16] }] }', '"11.0.0.0/16" is no part of 10.0.0.0/8'],
    ['  A: { rules: [{ remote: 10.0.0.0/8, except: [10.0.0.0/8] }] }', '"10.0.0.0/8" is no part of 10.0.0.0/8'],
    [
      '  A: { rules: [{ protocol: tpc }] }',
      'network.yaml:3: groups.A.rules[0].protocol: "tpc" is no protocol: a name such as tcp, or a number to 255',
    ],
    ['  A: { rules: [{ ports: 80 }] }', 'only tcp, udp, sctp, dccp and udplite have ports'],
    ['  A: { rules: [{ protocol: tcp, ports: 90-80 }] }', 'a port or a range such as 8000-8010 is needed'],
    ['  A: { rules: [{ remote: 10.0.0.0/33 }] }', '"10.0.0.0/33" is no prefix'],
    ['  A: { rules: [{ remote: 10.0.0.0/8, remote_group: A }] }', 'there is remote already'],
    ['  A: { rules: [{ remote_group: B }] }', 'no group B'],
    ['  A: { rules: [{ prefix_list: B }] }', 'no prefix list B'],
    ['  A: { rules: [{ ethertype: IPv6, remote: 10.0.0.0/8 }] }', 'the remote prefix is IPv4'],
    ['  A: { rules: [{ port: 80 }] }', 'unknown key; known are direction'],
    ['  B: {}', 'network.yaml:5: vms.v.groups[0]: no group A'],
  ])('%s', (groups, message) => {
    expect(() => cloudOf(groups)).toThrow(message);
  });

  it('taps that would share their chains', () => {
    const cloud = cloudOf(
      '  A: {}',
      `v: { on: h, bridge: br, tap: tap0123456789a, addresses: [10.0.0.1/24], groups: [A] }
  w: { on: h, bridge: br, tap: tap0123456789b, addresses: [10.0.0.2/24], groups: [A] }`,
    );
    expect(() => compileCloud(cloud)).toThrow('taps tap0123456789a and tap0123456789b would share a chain');
  });
});

describe('services in words', () => {
  it.each([
    ['tcp/3306', { protocol: 6, port: 3306, icmp: null }],
    ['icmp', { protocol: 1, port: null, icmp: { type: 8, code: 0 } }],
    ['icmp/3/4', { protocol: 1, port: null, icmp: { type: 3, code: 4 } }],
    ['gre', { protocol: 47, port: null, icmp: null }],
    ['47', { protocol: 47, port: null, icmp: null }],
    ['tcp', null],
    ['tcp/1-2', null],
    ['nothing/1', null],
  ])('%s', (text, service) => {
    expect(readService(text, 4)).toEqual(service);
  });
});
