import { type NetworkDescription, NetworkError, type VirtualMachine } from '../network/description.ts';
import { type HostPlan, type NetworkPlan, tapOf, VM_INTERFACE } from '../network/plan.ts';
import { inPrefix, parseAddress, parseMac, prefixMask } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import type { AddressPair, Cloud, Direction, Group, GroupRule, Prefix, Remote, VmPort } from './model.ts';
import { OTHER_PROTOCOLS, PROTOCOL_NUMBERS, prefixText, readIcmp, readPorts, takesPorts } from './service-text.ts';

type Path = readonly (string | number)[];

/** The group of machines that name none, where the file does not declare it: all out, its own members in. */
export const DEFAULT_GROUP = 'default';

/** Longest name of a set is 31 characters; `NIPv4` and `PIPv4` stand before the name. */
const NAME = /^[A-Za-z0-9_.-]{1,26}$/;

/** Whether a network filters its machines by security groups at all. */
export function hasGroups(network: NetworkDescription): boolean {
  return network.groups !== undefined;
}

/** Reads the groups of a network and which machine is in which. Throws NetworkError. */
export function readCloud(network: NetworkDescription, plan: NetworkPlan): Cloud {
  const prefixLists = new Map<string, readonly Prefix[]>();
  for (const [name, entries] of Object.entries(mappingOf(network.prefix_lists ?? {}, ['prefix_lists']))) {
    const path = ['prefix_lists', name];
    checkName(name, path);
    if (!Array.isArray(entries)) throw new NetworkError(path, 'a list of prefixes is needed, such as [10.0.0.0/8]');
    prefixLists.set(
      name,
      entries.map((entry: unknown, index) => readPrefix(entry, [...path, index])),
    );
  }
  const groups = new Map<string, Group>();
  const declared = mappingOf(network.groups ?? {}, ['groups']);
  for (const [name, value] of Object.entries(declared)) {
    checkName(name, ['groups', name]);
    groups.set(name, readGroup(name, mappingOf(value ?? {}, ['groups', name])));
  }
  if (!groups.has(DEFAULT_GROUP)) groups.set(DEFAULT_GROUP, defaultGroup());
  for (const { name, rules } of groups.values()) {
    for (const { remote, index } of rules) {
      const path = ['groups', name, 'rules', index - 1];
      if (remote.kind === 'group' && !groups.has(remote.group))
        throw new NetworkError(path, `no group ${remote.group}`);
      if (remote.kind === 'list' && !prefixLists.has(remote.list)) {
        throw new NetworkError(path, `no prefix list ${remote.list}`);
      }
    }
  }
  const ports: VmPort[] = [];
  const hosts = new Map(plan.hosts.map((host) => [host.name, host]));
  for (const [name, vm] of Object.entries(network.vms ?? {})) {
    if (vm.port_security === false) continue;
    ports.push(readPort(name, vm, hosts.get(name)!, groups));
  }
  return { groups, prefixLists, ports };
}

function checkName(name: string, path: Path): void {
  if (!NAME.test(name)) throw new NetworkError(path, 'a name has up to 26 letters, digits, "_", "." and "-"');
}

function mappingOf(value: unknown, path: Path): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new NetworkError(path, 'a mapping is needed');
  }
  return value as Record<string, unknown>;
}

const GROUP_KEYS = ['description', 'rules', 'egress', 'stateful'];

function readGroup(name: string, value: Record<string, unknown>): Group {
  const path = ['groups', name];
  for (const key of Object.keys(value)) {
    if (!GROUP_KEYS.includes(key)) throw unknownKey([...path, key], GROUP_KEYS);
  }
  const entries = value.rules ?? [];
  if (!Array.isArray(entries)) throw new NetworkError([...path, 'rules'], 'a list of rules is needed');
  const rules = entries.flatMap((entry: unknown, index) => {
    const at = [...path, 'rules', index];
    return readRule(name, index + 1, mappingOf(entry, at), at);
  });
  const { egress, stateful } = value;
  if (stateful != null && typeof stateful !== 'boolean') {
    throw new NetworkError([...path, 'stateful'], 'true or false is needed');
  }
  if (egress !== undefined && egress !== 'all' && egress !== 'none') {
    throw new NetworkError([...path, 'egress'], 'all or none is needed');
  }
  const declares = rules.some(({ direction }) => direction === 'egress');
  if (declares && egress !== undefined)
    throw new NetworkError([...path, 'egress'], 'the group has egress rules already');
  return {
    name,
    stateful: stateful !== false,
    rules: declares || egress === 'none' ? rules : [...rules, ...allOut(name)],
  };
}

/** What both OpenStack and AWS give to a new group. */
function allOut(group: string): GroupRule[] {
  return ([4, 6] as const).map((family) => ({
    ...anything(group, family),
    direction: 'egress',
    remote: { kind: 'any' },
  }));
}

function defaultGroup(): Group {
  const own: GroupRule[] = ([4, 6] as const).map((family) => ({
    ...anything(DEFAULT_GROUP, family),
    direction: 'ingress',
    remote: { kind: 'group', group: DEFAULT_GROUP },
  }));
  return { name: DEFAULT_GROUP, stateful: true, rules: [...own, ...allOut(DEFAULT_GROUP)] };
}

function anything(group: string, family: Family): Omit<GroupRule, 'direction' | 'remote'> {
  return { group, index: 0, family, protocol: null, ports: null, icmp: null };
}

const RULE_KEYS = [
  'direction',
  'ethertype',
  'protocol',
  'ports',
  'icmp',
  'remote',
  'except',
  'remote_group',
  'prefix_list',
  'description',
];

function unknownKey(path: Path, known: readonly string[]): NetworkError {
  return new NetworkError(path, `unknown key; known are ${known.join(', ')}`);
}

function readRule(group: string, index: number, value: Record<string, unknown>, path: Path): GroupRule[] {
  for (const key of Object.keys(value)) if (!RULE_KEYS.includes(key)) throw unknownKey([...path, key], RULE_KEYS);
  const direction = (value.direction ?? 'ingress') as Direction;
  if (direction !== 'ingress' && direction !== 'egress') {
    throw new NetworkError([...path, 'direction'], 'ingress or egress is needed');
  }
  const remote = readRemote(value, path);
  const families = readFamilies(value, remote, path);
  const rules: GroupRule[] = [];
  for (const family of families) {
    const protocol = readProtocol(value.protocol, family, path);
    const ports = value.ports == null ? null : readPorts(value.ports);
    if (ports === undefined)
      throw new NetworkError([...path, 'ports'], 'a port or a range such as 8000-8010 is needed');
    if (ports !== null && !takesPorts(protocol))
      throw new NetworkError([...path, 'ports'], 'only tcp, udp, sctp, dccp and udplite have ports');
    const icmp = value.icmp == null ? null : readIcmp(value.icmp);
    if (icmp === undefined)
      throw new NetworkError([...path, 'icmp'], 'a type such as 8, or type/code such as 3/4, is needed');
    if (icmp !== null && protocol !== PROTOCOL_NUMBERS.icmp && protocol !== PROTOCOL_NUMBERS['ipv6-icmp']) {
      throw new NetworkError([...path, 'icmp'], 'only with protocol icmp');
    }
    rules.push({ group, index, direction, family, protocol, ports, icmp, remote });
  }
  return rules;
}

function readRemote(value: Record<string, unknown>, path: Path): Remote {
  const given = ['remote', 'remote_group', 'prefix_list'].filter((key) => value[key] != null);
  if (given.length > 1) throw new NetworkError([...path, given[1]!], `there is ${given[0]} already`);
  const [key] = given;
  const { except } = value;
  if (except != null && key !== 'remote') {
    throw new NetworkError([...path, 'except'], 'exceptions are of a "remote" prefix');
  }
  if (key === undefined) return { kind: 'any' };
  const text = value[key];
  if (typeof text !== 'string') throw new NetworkError([...path, key], 'a text is needed');
  if (key === 'remote_group') return { kind: 'group', group: text };
  if (key === 'prefix_list') return { kind: 'list', list: text };
  const prefix = readPrefix(text, [...path, key]);
  return { kind: 'prefix', prefix, except: readExceptions(except ?? [], prefix, [...path, 'except']) };
}

function readExceptions(value: unknown, prefix: Prefix, path: Path): Prefix[] {
  if (!Array.isArray(value)) throw new NetworkError(path, 'a list of prefixes is needed, such as [10.1.0.0/16]');
  return value.map((entry: unknown, index) => {
    const except = readPrefix(entry, [...path, index]);
    const within =
      except.family === prefix.family &&
      except.length > prefix.length &&
      inPrefix(prefix.family, except.address, prefix.address, prefix.length);
    if (!within) throw new NetworkError([...path, index], `"${String(entry)}" is no part of ${prefixText(prefix)}`);
    return except;
  });
}

/** A rule that says nothing of the family holds for both, unless its protocol or its remote prefix is of one. */
function readFamilies(value: Record<string, unknown>, remote: Remote, path: Path): Family[] {
  const { ethertype, protocol } = value;
  const fixed = remote.kind === 'prefix' ? remote.prefix.family : null;
  if (ethertype == null) {
    if (fixed !== null) return [fixed];
    return protocol === 'ipv6-icmp' || protocol === 'icmpv6' ? [6] : [4, 6];
  }
  const family = { ipv4: 4, ipv6: 6 }[String(ethertype).toLowerCase()] as Family | undefined;
  if (family === undefined) throw new NetworkError([...path, 'ethertype'], 'IPv4 or IPv6 is needed');
  if (fixed !== null && fixed !== family) {
    throw new NetworkError([...path, 'ethertype'], `the remote prefix is IPv${fixed}`);
  }
  return [family];
}

/** `icmp` of an IPv6 rule is ICMPv6, as both OpenStack and users take it. */
function readProtocol(value: unknown, family: Family, path: Path): number | null {
  if (value == null || value === 'any' || value === -1 || value === '-1') return null;
  const text = String(value).toLowerCase();
  const icmp = text === 'icmp' || text === 'icmpv6' || text === 'ipv6-icmp';
  if (icmp) {
    if (family === 4 && text !== 'icmp') throw new NetworkError([...path, 'protocol'], `${text} is a protocol of IPv6`);
    return family === 4 ? PROTOCOL_NUMBERS.icmp! : PROTOCOL_NUMBERS['ipv6-icmp']!;
  }
  const number = PROTOCOL_NUMBERS[text] ?? OTHER_PROTOCOLS[text] ?? (/^\d+$/.test(text) ? Number(text) : Number.NaN);
  if (!(number >= 1 && number <= 255)) {
    throw new NetworkError([...path, 'protocol'], `"${text}" is no protocol: a name such as tcp, or a number to 255`);
  }
  return number;
}

/** `10.0.0.0/8`, or one address. */
export function readPrefix(value: unknown, path: Path): Prefix {
  const [text, bits, ...rest] = String(value).split('/');
  const found = parseAddress(text!);
  const most = found?.family === 6 ? 128 : 32;
  const length = bits === undefined ? most : /^\d+$/.test(bits) ? Number(bits) : Number.NaN;
  if (found === null || rest.length > 0 || !(length <= most)) {
    throw new NetworkError(path, `"${String(value)}" is no prefix such as 10.0.0.0/8 or 2001:db8::/32`);
  }
  return { family: found.family, address: masked(found.family, found.words, length), length };
}

function masked(family: Family, words: AddressWords, length: number): AddressWords {
  const mask = prefixMask(family, length);
  return words.map((word, i) => (word & mask[i]!) >>> 0) as unknown as AddressWords;
}

function readPort(name: string, vm: VirtualMachine, plan: HostPlan, groups: ReadonlyMap<string, Group>): VmPort {
  const path = ['vms', name];
  const interfaces = plan.description.interfaces!;
  const mac = interfaces[VM_INTERFACE]!.mac!.toLowerCase();
  const addresses = vm.addresses.map((text, index) => readPrefix(text.split('/')[0], [...path, 'addresses', index]));
  const pairs: AddressPair[] = addresses.map((prefix) => ({ prefix, mac }));
  (vm.allowed_address_pairs ?? []).forEach((pair, index) => {
    const at = [...path, 'allowed_address_pairs', index];
    const own = pair?.mac == null ? mac : pair.mac.toLowerCase();
    if (parseMac(own) === null) throw new NetworkError([...at, 'mac'], `"${own}" is no MAC`);
    pairs.push({ prefix: readPrefix(pair?.address, [...at, 'address']), mac: own });
  });
  const member = vm.groups ?? [DEFAULT_GROUP];
  member.forEach((group, index) => {
    if (!groups.has(group)) throw new NetworkError([...path, 'groups', index], `no group ${group}`);
  });
  const kinds = new Set(member.map((group) => groups.get(group)!.stateful));
  if (kinds.size > 1) {
    const index = member.findIndex((group) => groups.get(group)!.stateful !== groups.get(member[0]!)!.stateful);
    throw new NetworkError(
      [...path, 'groups', index],
      `a machine cannot be in stateful and stateless groups at once: ${member[0]} is ${kinds.values().next().value ? 'stateful' : 'stateless'}`,
    );
  }
  return {
    vm: name,
    host: vm.on,
    tap: tapOf(name, vm.tap),
    mac,
    addresses,
    pairs,
    groups: [...new Set(member)],
    stateful: !kinds.has(false),
  };
}
