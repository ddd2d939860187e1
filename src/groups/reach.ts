import { inPrefix } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import { INGRESS_BASICS6 } from './compile.ts';
import type { Cloud, Direction, GroupRule, Prefix, Service, VmPort } from './model.ts';
import { takesPorts } from './service-text.ts';

/** One end of a conversation: a machine with the address it uses, or an address outside of the cloud (`port` null). */
export interface End {
  port: VmPort | null;
  family: Family;
  address: AddressWords;
}

/** Why a rule does not let a conversation through. */
export type Miss = 'protocol' | 'port' | 'some ports' | 'type' | 'remote';

/** What one side's groups say to a conversation. */
export interface SideDecision {
  direction: Direction;
  vm: string;
  packet: PacketKind;
  /** The first rule that lets it through; null if none does. */
  allowedBy: GroupRule | null;
  /** Lets it through without any group: what IPv6 cannot do without. */
  basic: boolean;
  /** Rules of this direction and family that do not, and what does not fit. */
  misses: { rule: GroupRule; miss: Miss }[];
}

export interface Decision {
  allowed: boolean;
  /** What the sender's groups say; null for a sender outside. */
  egress: SideDecision | null;
  ingress: SideDecision | null;
  /** What stateless groups say to the answers, the receiver's first. Stateful ones let them through. */
  answers: SideDecision[];
}

/** Ports from which clients ask (Linux's `net.ipv4.ip_local_port_range`). */
export const CLIENT_PORTS: PortRange = [32768, 60999];

/**
 * What the groups declare about a conversation: its first packet; and its answers, where they pass a stateless group.
 *
 * @param clientPorts from which the client may ask: answers must be let through to all of them
 */
export function decide(
  cloud: Cloud,
  from: End,
  to: End,
  service: Service,
  clientPorts: PortRange = CLIENT_PORTS,
): Decision {
  const first = packetOf(service);
  const egress = from.port === null ? null : sideOf('egress', cloud, from.port, to, first);
  const ingress = to.port === null ? null : sideOf('ingress', cloud, to.port, from, first);
  const answer = answerTo(service, clientPorts);
  const answers: SideDecision[] = [];
  if (answer !== null) {
    if (to.port?.stateful === false) answers.push(sideOf('egress', cloud, to.port, from, answer));
    if (from.port?.stateful === false) answers.push(sideOf('ingress', cloud, from.port, to, answer));
  }
  return { allowed: [egress, ingress, ...answers].every(isOpen), egress, ingress, answers };
}

export type PortRange = readonly [number, number];

/** What groups see of a packet. */
export interface PacketKind {
  protocol: number;
  /** Destination ports that it may have; null for protocols without ports. */
  ports: PortRange | null;
  icmp: { type: number; code: number } | null;
}

export function packetOf({ protocol, port, icmp }: Service): PacketKind {
  return { protocol, ports: port === null ? null : [port, port], icmp };
}

/** Types of ICMP that are answered, and with what. */
const ICMP_ANSWERS: Readonly<Record<number, ReadonlyMap<number, number>>> = {
  1: new Map([
    [8, 0],
    [13, 14],
    [17, 18],
  ]),
  58: new Map([[128, 129]]),
};

/** The answer to a packet that starts a conversation; null if it gets none (ICMP errors). */
export function answerTo({ protocol, icmp }: Service, clientPorts: PortRange): PacketKind | null {
  if (icmp === null) return { protocol, ports: takesPorts(protocol) ? clientPorts : null, icmp: null };
  const type = ICMP_ANSWERS[protocol]?.get(icmp.type);
  return type === undefined ? null : { protocol, ports: null, icmp: { type, code: 0 } };
}

function isOpen(side: SideDecision | null): boolean {
  return side === null || side.basic || side.allowedBy !== null;
}

const ICMPV6 = 58;
const ROUTER_ADVERTISEMENT = 134;

function sideOf(direction: Direction, cloud: Cloud, port: VmPort, other: End, packet: PacketKind): SideDecision {
  const side: SideDecision = { direction, vm: port.vm, packet, allowedBy: null, basic: false, misses: [] };
  // Machines may send any ICMPv6 but router advertisements, and get what IPv6 needs.
  if (packet.protocol === ICMPV6) {
    const type = packet.icmp?.type;
    side.basic =
      direction === 'egress' ? type !== ROUTER_ADVERTISEMENT : type !== undefined && INGRESS_BASICS6.includes(type);
  }
  const open: GroupRule[] = [];
  for (const group of port.groups) {
    for (const rule of cloud.groups.get(group)!.rules) {
      if (rule.direction !== direction || rule.family !== other.family) continue;
      const miss = missOf(rule, packet) ?? (matchesRemote(rule, cloud, other) ? null : 'remote');
      if (miss === null) open.push(rule);
      else side.misses.push({ rule, miss });
    }
  }
  if (packet.ports === null || coverPorts(open, packet.ports)) side.allowedBy = open[0] ?? null;
  else for (const rule of open) side.misses.push({ rule, miss: 'some ports' });
  return side;
}

/** Whether rules together let through all ports of a range. */
export function coverPorts(rules: readonly GroupRule[], [low, high]: PortRange): boolean {
  const ranges = rules.map(({ ports }) => ports ?? ([0, 65535] as const)).sort((a, b) => a[0] - b[0]);
  let next = low;
  for (const [from, to] of ranges) if (from <= next) next = Math.max(next, to + 1);
  return next > high;
}

/** What of a packet a rule does not let through, whoever is at the other end; null if nothing. Of several ports one is enough. */
export function missOf({ protocol, ports, icmp }: GroupRule, packet: PacketKind): Miss | null {
  if (protocol !== null && protocol !== packet.protocol) return 'protocol';
  if (ports !== null && (packet.ports === null || packet.ports[1] < ports[0] || packet.ports[0] > ports[1])) {
    return 'port';
  }
  if (icmp !== null) {
    if (icmp.type !== packet.icmp?.type || (icmp.code !== null && icmp.code !== packet.icmp.code)) return 'type';
  }
  return null;
}

/** Whether an end is whom a rule names. */
export function matchesRemote({ remote, family }: GroupRule, cloud: Cloud, { address }: End): boolean {
  const covers = (prefix: Prefix): boolean =>
    prefix.family === family && inPrefix(family, address, prefix.address, prefix.length);
  switch (remote.kind) {
    case 'any':
      return true;
    case 'prefix':
      return covers(remote.prefix) && !remote.except.some(covers);
    case 'list':
      return cloud.prefixLists.get(remote.list)!.some(covers);
    case 'group':
      return membersOf(cloud, remote.group).some((member) => member.pairs.some(({ prefix }) => covers(prefix)));
  }
}

const byGroup = new WeakMap<Cloud, Map<string, VmPort[]>>();

/** The machines in a group. */
export function membersOf(cloud: Cloud, group: string): readonly VmPort[] {
  let index = byGroup.get(cloud);
  if (index === undefined) {
    index = new Map();
    for (const port of cloud.ports) {
      for (const name of port.groups) {
        const list = index.get(name);
        if (list === undefined) index.set(name, [port]);
        else list.push(port);
      }
    }
    byGroup.set(cloud, index);
  }
  return index.get(group) ?? [];
}
