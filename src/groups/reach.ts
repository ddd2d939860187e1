import { inPrefix } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import type { Cloud, Direction, GroupRule, Prefix, Service, VmPort } from './model.ts';

/** One end of a conversation: a machine with the address it uses, or an address outside of the cloud (`port` null). */
export interface End {
  port: VmPort | null;
  family: Family;
  address: AddressWords;
}

/** Why a rule does not let a conversation through. */
export type Miss = 'protocol' | 'port' | 'type' | 'remote';

/** What one side's groups say to a conversation. */
export interface SideDecision {
  direction: Direction;
  vm: string;
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
}

/** What the groups declare about the first packet of a conversation: everything that belongs to an allowed one is allowed. */
export function decide(cloud: Cloud, from: End, to: End, service: Service): Decision {
  const egress = from.port === null ? null : sideOf('egress', cloud, from.port, to, service);
  const ingress = to.port === null ? null : sideOf('ingress', cloud, to.port, from, service);
  return { allowed: isOpen(egress) && isOpen(ingress), egress, ingress };
}

function isOpen(side: SideDecision | null): boolean {
  return side === null || side.basic || side.allowedBy !== null;
}

const ICMPV6 = 58;
const ROUTER_ADVERTISEMENT = 134;

function sideOf(direction: Direction, cloud: Cloud, port: VmPort, other: End, service: Service): SideDecision {
  const side: SideDecision = { direction, vm: port.vm, allowedBy: null, basic: false, misses: [] };
  // Machines may send any ICMPv6 but router advertisements.
  if (direction === 'egress' && service.protocol === ICMPV6) side.basic = service.icmp?.type !== ROUTER_ADVERTISEMENT;
  for (const group of port.groups) {
    for (const rule of cloud.groups.get(group)!.rules) {
      if (rule.direction !== direction || rule.family !== other.family) continue;
      const miss = missOf(rule, cloud, other, service);
      if (miss === null) side.allowedBy ??= rule;
      else side.misses.push({ rule, miss });
    }
  }
  return side;
}

function missOf(rule: GroupRule, cloud: Cloud, other: End, service: Service): Miss | null {
  const { protocol, ports, icmp } = rule;
  if (protocol !== null && protocol !== service.protocol) return 'protocol';
  if (ports !== null && (service.port === null || service.port < ports[0] || service.port > ports[1])) return 'port';
  if (icmp !== null) {
    if (icmp.type !== service.icmp?.type || (icmp.code !== null && icmp.code !== service.icmp.code)) return 'type';
  }
  return matchesRemote(rule, cloud, other) ? null : 'remote';
}

/** Whether an end is whom a rule names. */
export function matchesRemote({ remote, family }: GroupRule, cloud: Cloud, { address }: End): boolean {
  const covers = (prefix: Prefix): boolean =>
    prefix.family === family && inPrefix(family, address, prefix.address, prefix.length);
  switch (remote.kind) {
    case 'any':
      return true;
    case 'prefix':
      return covers(remote.prefix);
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
