import type { Family } from '../packet/family.ts';
import { arpRules } from './arp.ts';
import { linkLocal } from './link-local.ts';
import type { AddressPair, Cloud, Direction, GroupRule, Prefix, VmPort } from './model.ts';
import { PROTOCOL_NUMBERS, prefixText, protocolText, takesPorts } from './service-text.ts';
import { compileSets, compileStatefulSets, inSet, remoteSets, setName } from './sets.ts';
import { statelessRules } from './stateless.ts';

/**
 * What the agent of one host loads: texts for `ipset restore` first, then for `iptables-restore` and `ip6tables-restore`. The layout is
 * that of OpenStack Neutron's hybrid iptables driver (neutron/agent/linux/iptables_firewall.py).
 */
export interface HostRules {
  host: string;
  sets: string;
  rules4: string;
  rules6: string;
  /** For `ebtables-restore`: what iptables cannot see, frames of ARP and of other MACs. */
  frames: string;
}

const BINARY = 'neutron-openvswi';
const SG_CHAIN = `${BINARY}-sg-chain`;
const FALLBACK = `${BINARY}-sg-fallback`;

/** Chains of one port: `i` what comes to the machine, `o` what it sends, `s` the addresses it may send from. */
export function portChain(kind: 'i' | 'o' | 's', tap: string): string {
  // As in Neutron: without "tap", ten characters.
  const name = tap.startsWith('tap') && tap.length > 3 ? tap.slice(3) : tap;
  return `${BINARY}-${kind}${name.slice(0, 10)}`;
}

/** Taps of a host whose chains would have the same name; null if there are none. */
export function clashingTaps(ports: readonly VmPort[]): [string, string] | null {
  const seen = new Map<string, string>();
  for (const { host, tap } of ports) {
    const key = `${host} ${portChain('i', tap)}`;
    const other = seen.get(key);
    if (other !== undefined) return [other, tap];
    seen.set(key, tap);
  }
  return null;
}

/** The ports of each host, in the order of their taps, as Neutron has them. */
export function portsByHost(cloud: Cloud): Map<string, VmPort[]> {
  const hosts = new Map<string, VmPort[]>();
  for (const port of cloud.ports) {
    const ports = hosts.get(port.host);
    if (ports === undefined) hosts.set(port.host, [port]);
    else ports.push(port);
  }
  for (const ports of hosts.values()) ports.sort((a, b) => (a.tap < b.tap ? -1 : 1));
  return hosts;
}

/** What one host loads for its ports. */
export function compileHost(host: string, ports: readonly VmPort[], cloud: Cloud): HostRules {
  return {
    host,
    sets: compileSets(remoteSets(ports, cloud), cloud) + (hasBothKinds(ports) ? compileStatefulSets(ports) : ''),
    rules4: compileFamily(4, ports, cloud),
    rules6: compileFamily(6, ports, cloud),
    frames: arpRules(ports),
  };
}

/** Whether a host has machines in stateful and in stateless groups. */
function hasBothKinds(ports: readonly VmPort[]): boolean {
  return ports.some(({ stateful }) => stateful) && ports.some(({ stateful }) => !stateful);
}

/** Comments as Neutron writes them (iptables_comments.py): people know them from its hosts. */
const COMMENTS = {
  toSgChain: 'Direct traffic from the VM interface to the security group chain.',
  toVmChain: 'Jump to the VM specific chain.',
  input: 'Direct incoming traffic from VM to the security group chain.',
  pair: 'Allow traffic from defined IP/MAC pairs.',
  noPair: 'Drop traffic without an IP/MAC allow rule.',
  dhcp: 'Allow DHCP client traffic.',
  dhcpSpoof: 'Prevent DHCP Spoofing by VM.',
  icmp6: 'Allow IPv6 ICMP traffic.',
  routerSpoof: 'Drop IPv6 Router Advts from VM.',
  known: 'Direct packets associated with a known session to the RETURN chain.',
  invalid:
    'Drop packets that appear related to an existing connection (e.g. TCP ACK/FIN) but do not have an entry in conntrack.',
  unmatched: 'Send unmatched traffic to the fallback chain.',
  drop: 'Default drop rule for unmatched traffic.',
} as const;

function comment(text: string): string {
  return `-m comment --comment "${text}"`;
}

function compileFamily(family: Family, ports: readonly VmPort[], cloud: Cloud): string {
  const chains = [
    'neutron-filter-top',
    ...['FORWARD', 'INPUT', 'OUTPUT', 'local', 'sg-chain', 'sg-fallback'].map((name) => `${BINARY}-${name}`),
  ];
  const rules = [
    `-A INPUT -j ${BINARY}-INPUT`,
    '-A FORWARD -j neutron-filter-top',
    `-A FORWARD -j ${BINARY}-FORWARD`,
    '-A OUTPUT -j neutron-filter-top',
    `-A OUTPUT -j ${BINARY}-OUTPUT`,
    `-A neutron-filter-top -j ${BINARY}-local`,
  ];
  for (const port of ports) {
    const { tap } = port;
    const [i, o, s] = [portChain('i', tap), portChain('o', tap), portChain('s', tap)];
    chains.push(i, o, s);
    const to = `-m physdev --physdev-out ${tap} --physdev-is-bridged`;
    const from = `-m physdev --physdev-in ${tap} --physdev-is-bridged`;
    rules.push(
      `-A ${BINARY}-FORWARD ${to} ${comment(COMMENTS.toSgChain)} -j ${SG_CHAIN}`,
      `-A ${SG_CHAIN} ${to} ${comment(COMMENTS.toVmChain)} -j ${i}`,
      `-A ${BINARY}-FORWARD ${from} ${comment(COMMENTS.toSgChain)} -j ${SG_CHAIN}`,
      `-A ${SG_CHAIN} ${from} ${comment(COMMENTS.toVmChain)} -j ${o}`,
      // What the machine sends to its host itself does not go over the bridge: --physdev-is-bridged would not match.
      `-A ${BINARY}-INPUT -m physdev --physdev-in ${tap} ${comment(COMMENTS.input)} -j ${o}`,
      ...ingressBasics(family).map((rule) => `-A ${i} ${rule}`),
      ...groupRules('ingress', family, port, cloud).map((rule) => `-A ${i} ${rule}`),
      ...egressBasics(family, s).map((rule) => `-A ${o} ${rule}`),
      ...groupRules('egress', family, port, cloud).map((rule) => `-A ${o} ${rule}`),
      ...sourcePairs(family, port).map((pair) => `-A ${s} ${pair}`),
      `-A ${s} ${comment(COMMENTS.noPair)} -j DROP`,
    );
  }
  rules.push(`-A ${SG_CHAIN} -j ACCEPT`, `-A ${FALLBACK} ${comment(COMMENTS.drop)} -j DROP`);
  return [
    ...statelessRules(family, ports, BINARY, hasBothKinds(ports)),
    '*filter',
    ':INPUT ACCEPT [0:0]',
    ':FORWARD ACCEPT [0:0]',
    ':OUTPUT ACCEPT [0:0]',
    ...chains.sort().map((chain) => `:${chain} - [0:0]`),
    ...rules,
    'COMMIT',
    '',
  ].join('\n');
}

/** Types of ICMPv6 that reach every machine (RFC 4890 section 4.4). */
export const INGRESS_BASICS6: readonly number[] = [130, 131, 132, 134, 135, 136];

/** What reaches every machine: answers to DHCP, and of ICMPv6 what IPv6 cannot do without. */
function ingressBasics(family: Family): string[] {
  if (family === 4) return [`-p udp -m udp --sport 67 --dport 68 ${comment(COMMENTS.dhcp)} -j RETURN`];
  return [
    ...INGRESS_BASICS6.map(
      (type) => `-p ipv6-icmp -m icmp6 --icmpv6-type ${type} ${comment(COMMENTS.icmp6)} -j RETURN`,
    ),
    `-p udp -m udp --sport 547 --dport 546 ${comment(COMMENTS.dhcp)} -j RETURN`,
  ];
}

/** What every machine may send without any group, and what none may: other addresses, DHCP answers, router advertisements. */
function egressBasics(family: Family, spoof: string): string[] {
  if (family === 4) {
    return [
      `-s 0.0.0.0/32 -d 255.255.255.255/32 -p udp -m udp --sport 68 --dport 67 ${comment(COMMENTS.dhcp)} -j RETURN`,
      `-j ${spoof}`,
      `-p udp -m udp --sport 68 --dport 67 ${comment(COMMENTS.dhcp)} -j RETURN`,
      `-p udp -m udp --sport 67 --dport 68 ${comment(COMMENTS.dhcpSpoof)} -j DROP`,
    ];
  }
  return [
    ...[131, 135, 143].map(
      (type) =>
        `-s ::/128 -d ff02::/16 -p ipv6-icmp -m icmp6 --icmpv6-type ${type} ${comment(COMMENTS.icmp6)} -j RETURN`,
    ),
    `-j ${spoof}`,
    `-p ipv6-icmp -m icmp6 --icmpv6-type 134 ${comment(COMMENTS.routerSpoof)} -j DROP`,
    `-p ipv6-icmp ${comment(COMMENTS.icmp6)} -j RETURN`,
    `-p udp -m udp --sport 546 --dport 547 ${comment(COMMENTS.dhcp)} -j RETURN`,
    `-p udp -m udp --sport 547 --dport 546 ${comment(COMMENTS.dhcpSpoof)} -j DROP`,
  ];
}

function sourcePairs(family: Family, { pairs }: VmPort): string[] {
  const rules = new Set<string>();
  const add = (prefix: Prefix, mac: string): void => {
    const source = prefix.length === 0 ? '' : `-s ${prefixText(prefix)} `;
    rules.add(`${source}-m mac --mac-source ${mac} ${comment(COMMENTS.pair)} -j RETURN`);
  };
  for (const { prefix, mac } of pairs) if (prefix.family === family) add(prefix, mac);
  if (family === 6) for (const mac of new Set(pairs.map((pair: AddressPair) => pair.mac))) add(linkLocal(mac), mac);
  return [...rules];
}

/** Known connections, then the rules of the port's groups, then the end. Nothing is known of the connections of stateless groups. */
function groupRules(direction: Direction, family: Family, port: VmPort, cloud: Cloud): string[] {
  const lines = new Set<string>();
  for (const name of port.groups) {
    for (const rule of cloud.groups.get(name)!.rules) {
      if (rule.direction === direction && rule.family === family) lines.add(ruleLine(rule));
    }
  }
  const known = `-m state --state RELATED,ESTABLISHED ${comment(COMMENTS.known)} -j RETURN`;
  const invalid = `-m state --state INVALID ${comment(COMMENTS.invalid)} -j DROP`;
  const end = `${comment(COMMENTS.unmatched)} -j ${FALLBACK}`;
  return port.stateful ? [known, ...lines, invalid, end] : [...lines, end];
}

/** A group's rule as one of iptables, in the order in which iptables-save prints its parts. */
export function ruleLine(rule: GroupRule): string {
  const { protocol, ports, icmp, remote, family, direction } = rule;
  const words: string[] = [];
  const named = inSet(remote);
  if (named === null && remote.kind === 'prefix' && remote.prefix.length > 0) {
    words.push(direction === 'ingress' ? '-s' : '-d', prefixText(remote.prefix));
  }
  if (protocol !== null) {
    words.push('-p', protocolText(protocol));
    const whole = ports === null || (ports[0] === 0 && ports[1] === 65535);
    if (takesPorts(protocol) && !whole) {
      const single = ports[0] === ports[1];
      // iptables has no `-m udplite` of its own.
      if (protocol === PROTOCOL_NUMBERS.udplite) {
        words.push('-m', 'multiport', '--dports', single ? String(ports[0]) : `${ports[0]}:${ports[1]}`);
      } else if (single) words.push('-m', protocolText(protocol), '--dport', String(ports[0]));
      else words.push('-m', protocolText(protocol), '-m', 'multiport', '--dports', `${ports[0]}:${ports[1]}`);
    }
    if (icmp !== null) {
      const [match, option] = family === 4 ? ['icmp', '--icmp-type'] : ['icmp6', '--icmpv6-type'];
      words.push('-m', match!, option!, icmp.code === null ? String(icmp.type) : `${icmp.type}/${icmp.code}`);
    }
  }
  if (named !== null) {
    words.push('-m', 'set', '--match-set', setName(named, family), direction === 'ingress' ? 'src' : 'dst');
  }
  words.push('-j', 'RETURN');
  return words.join(' ');
}
