import type { HostPlan, NetworkPlan } from '../../network/plan.ts';
import { parseMac } from '../../packet/address-text.ts';
import type { Family } from '../../packet/family.ts';
import { portChain } from '../compile.ts';
import type { Cloud, VmPort } from '../model.ts';
import { membersOf } from '../reach.ts';
import { prefixText } from '../service-text.ts';
import type { HostPlan as AgentPlan } from './plan.ts';
import { type ProbeEnd, type ProbeFlow, sameEnd } from './probe.ts';
import { STAGES } from './stages.ts';
import type { Passage, WatchedFlow } from './watch.ts';

/** Where machines are, and were when a change began. */
export interface Places {
  plan: NetworkPlan;
  /** The ports of the cloud by machine. */
  now: ReadonlyMap<string, VmPort>;
  /** Those that other hosts still have chains for (leaving.ts). */
  before: ReadonlyMap<string, VmPort>;
}

/** MAC of the router through which those outside come. */
const OUTSIDE_MAC = new Uint8Array([2, 0, 0, 0, 255, 1]);

/** The hosts on the way of each flow; flows that cannot get from the one end to the other are left out. */
export function watchedFlows(
  flows: readonly ProbeFlow[],
  places: Places,
  plans: ReadonlyMap<string, HostPlan>,
): WatchedFlow[] {
  const taps = tapsOf(places);
  return flows.flatMap((flow): WatchedFlow[] => {
    const portOf = ({ vm }: ProbeEnd, at: 'before' | 'now'): VmPort | null =>
      vm === null ? null : ((at === 'before' ? places.before.get(vm) : undefined) ?? places.now.get(vm) ?? null);
    const way = (at: 'before' | 'now'): Passage[] | null =>
      wayOf(portOf(flow.from, at), portOf(flow.to, at), plans, taps);
    const moved = [flow.from, flow.to].some(({ vm }) => vm !== null && places.before.has(vm));
    const after = way('now');
    const before = moved ? way('before') : after;
    return before === null && after === null ? [] : [{ flow, before, after }];
  });
}

/** Taps of machines, as `HOST/INTERFACE`: what other ports a bridge has lead to the network. */
function tapsOf({ plan, before }: Places): ReadonlySet<string> {
  const machines = new Set(plan.hosts.filter(({ path }) => path[0] === 'vms').map(({ name }) => name));
  const links = plan.links.filter(({ ends }) => ends.some(({ host }) => machines.has(host)));
  const left = [...before.values()].map(({ host, tap }) => `${host}/${tap}`);
  return new Set([...left, ...links.flatMap(({ ends }) => ends.map(({ host, device }) => `${host}/${device}`))]);
}

function wayOf(
  from: VmPort | null,
  to: VmPort | null,
  plans: ReadonlyMap<string, HostPlan>,
  taps: ReadonlySet<string>,
): Passage[] | null {
  const [sourceMac, destinationMac] = [from, to].map((port) => (port === null ? OUTSIDE_MAC : parseMac(port.mac)!)) as [
    Uint8Array,
    Uint8Array,
  ];
  const macs = { sourceMac, destinationMac };
  if (from !== null && to !== null && from.host === to.host) {
    const bridges = [from, to].map((port) => bridgeOf(plans.get(port.host)!, port.tap, taps)?.name);
    if (bridges[0] !== bridges[1]) return null;
    return [{ host: from.host, in: from.tap, out: to.tap, ...macs, taps: [from.tap, to.tap] }];
  }
  const ways: Passage[] = [];
  for (const port of [from, to]) {
    if (port === null) continue;
    const uplink = bridgeOf(plans.get(port.host)!, port.tap, taps)?.uplink ?? null;
    if (uplink === null) return null;
    const [entry, exit] = port === from ? [port.tap, uplink] : [uplink, port.tap];
    ways.push({ host: port.host, in: entry, out: exit, ...macs, taps: [port.tap] });
  }
  return ways;
}

/** The bridge of a tap, and the port by which it is joined with the network; null where nothing is. */
function bridgeOf(
  plan: HostPlan,
  tap: string,
  taps: ReadonlySet<string>,
): { name: string; uplink: string | null } | null {
  for (const [name, described] of Object.entries(plan.description.interfaces ?? {})) {
    const ports = described?.bridge;
    if (ports?.includes(tap)) return { name, uplink: ports.find((port) => !taps.has(`${plan.name}/${port}`)) ?? null };
  }
  return null;
}

/** Hosts as they are while a change is under way: with the taps of machines that have just left. */
export function plansWithTaps(plan: NetworkPlan, leaving: readonly VmPort[]): Map<string, HostPlan> {
  const plans = new Map(plan.hosts.map((host) => [host.name, host]));
  for (const { host, tap } of leaving) {
    const old = plans.get(host)!;
    const interfaces = { ...old.description.interfaces };
    const bridge = Object.entries(interfaces).find(([, described]) => described?.bridge != null);
    if (bridge === undefined || bridge[1]!.bridge!.includes(tap)) continue;
    interfaces[tap] = {};
    interfaces[bridge[0]] = { ...bridge[1], bridge: [...bridge[1]!.bridge!, tap] };
    plans.set(host, { ...old, description: { ...old.description, interfaces } });
  }
  return plans;
}

/** At most so many machines that a change concerns, and so many others, are looked at; and so many flows in all. */
const FOCUS = 10;
const OTHERS = 10;
const MOST_FLOWS = 4000;

/**
 * Flows that show what a change does: between machines that it concerns and others of all groups, to the ports that its commands and the
 * groups' rules name and to those beside them, and with addresses outside.
 */
export function representativeFlows(cloud: Cloud, busy: readonly AgentPlan[]): ProbeFlow[] {
  const lines = busy.flatMap(({ stages }) =>
    STAGES.flatMap((stage) => stages[stage].flatMap((command) => (command.tool === 'conntrack' ? [] : command.lines))),
  );
  const words = new Set(lines.flatMap((line) => line.split(' ').map((word) => word.replace(/\/(32|128)$/, ''))));
  const concerned = cloud.ports.filter(
    ({ tap, pairs }) =>
      (['i', 'o', 's'] as const).some((kind) => words.has(portChain(kind, tap))) ||
      pairs.some(({ prefix }) => words.has(prefixText(prefix).replace(/\/(32|128)$/, ''))),
  );
  const focus = spread(concerned, FOCUS);
  const rest = [...cloud.groups.keys()].flatMap((group) => membersOf(cloud, group).slice(0, 2));
  const others = spread(
    [...new Set([...rest, ...cloud.ports.slice(0, OTHERS)])].filter((port) => !focus.includes(port)),
    OTHERS,
  );
  const flows: ProbeFlow[] = [];
  const ports = interestingPorts(cloud, [...focus, ...others], lines);
  for (const family of [4, 6] as const) {
    const [near, far] = [endsOf(focus, family), [...endsOf(others, family), ...outside(cloud, focus, family)]];
    const pairs = near.flatMap((a) => [
      ...near.map((b): [ProbeEnd, ProbeEnd] => [a, b]),
      ...far.flatMap((b): [ProbeEnd, ProbeEnd][] => [
        [a, b],
        [b, a],
      ]),
    ]);
    for (const [from, to] of pairs) {
      if (sameEnd(from, to)) continue;
      flows.push({ from, to, protocol: 'icmp', port: null });
      for (const [protocol, port] of ports) flows.push({ from, to, protocol, port });
    }
  }
  return spread(flows, MOST_FLOWS);
}

/** So many of a list, evenly spread over it. */
function spread<T>(list: readonly T[], most: number): T[] {
  if (list.length <= most) return [...list];
  return Array.from({ length: most }, (_, index) => list[Math.floor((index * list.length) / most)]!);
}

function endsOf(ports: readonly VmPort[], family: Family): ProbeEnd[] {
  return ports.flatMap(({ vm, addresses }) => {
    const own = addresses.find((prefix) => prefix.family === family);
    return own === undefined ? [] : [{ vm, family, address: own.address }];
  });
}

const FAR: Readonly<Record<Family, ProbeEnd>> = {
  4: { vm: null, family: 4, address: [0xc6336401, 0, 0, 0] },
  6: { vm: null, family: 6, address: [0x20010db8, 0xffff0000, 0, 1] },
};

/** Somebody outside, and one of each prefix that the machines' groups name. */
function outside(cloud: Cloud, focus: readonly VmPort[], family: Family): ProbeEnd[] {
  const found = [FAR[family]];
  for (const group of new Set(focus.flatMap(({ groups }) => groups))) {
    for (const { remote, family: own } of cloud.groups.get(group)!.rules) {
      if (own !== family || remote.kind !== 'prefix' || remote.prefix.length === 0) continue;
      const { address, length } = remote.prefix;
      const isWhole = length === (family === 4 ? 32 : 128);
      const word = family === 4 ? 0 : 3;
      const inside = address.map((part, i) => (i === word && !isWhole ? (part | 1) >>> 0 : part));
      const end: ProbeEnd = { vm: null, family, address: inside as unknown as ProbeEnd['address'] };
      const isMachine = cloud.ports.some(({ addresses }) =>
        addresses.some((prefix) => sameEnd({ vm: null, family: prefix.family, address: prefix.address }, end)),
      );
      if (!isMachine && !found.some((other) => sameEnd(other, end))) found.push(end);
    }
  }
  return spread(found, 5);
}

/** Ports that commands and rules name, and one beside each; at most eight of each protocol. */
function interestingPorts(
  cloud: Cloud,
  machines: readonly VmPort[],
  lines: readonly string[],
): ['tcp' | 'udp', number][] {
  const found: Record<'tcp' | 'udp', Set<number>> = { tcp: new Set([22]), udp: new Set([53]) };
  const take = (protocol: 'tcp' | 'udp', low: number, high: number): void => {
    for (const port of [low, high, high + 1]) if (port > 0 && port < 65536) found[protocol].add(port);
  };
  for (const line of lines) {
    const match = / -p (tcp|udp) .*--dports? (\d+)(?::(\d+))?/.exec(line);
    if (match !== null) take(match[1] as 'tcp' | 'udp', Number(match[2]), Number(match[3] ?? match[2]));
  }
  for (const group of new Set(machines.flatMap(({ groups }) => groups))) {
    for (const { protocol, ports } of cloud.groups.get(group)!.rules) {
      if (ports !== null && (protocol === 6 || protocol === 17))
        take(protocol === 6 ? 'tcp' : 'udp', ports[0], ports[1]);
    }
  }
  return (['tcp', 'udp'] as const).flatMap((protocol) =>
    spread([...found[protocol]], 8).map((port): ['tcp' | 'udp', number] => [protocol, port]),
  );
}
