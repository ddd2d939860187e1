import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { partsOf, withoutStale } from '../../src/cli/agents/verify.ts';
import { plansWithTaps, watchedFlows } from '../../src/groups/agent/flows.ts';
import { leavingPorts } from '../../src/groups/agent/leaving.ts';
import { type AgentCommand, emptyRules, type HostPlan, planHost } from '../../src/groups/agent/plan.ts';
import type { ProbeFlow } from '../../src/groups/agent/probe.ts';
import { STAGES } from '../../src/groups/agent/stages.ts';
import { connectionJudge } from '../../src/groups/agent/stale.ts';
import { Watch } from '../../src/groups/agent/watch.ts';
import { compileHost, portsByHost } from '../../src/groups/compile.ts';
import type { Cloud, VmPort } from '../../src/groups/model.ts';
import { readCloud } from '../../src/groups/read.ts';
import { type NetworkPlan, planNetwork } from '../../src/network/plan.ts';
import { parseAddress } from '../../src/packet/address-text.ts';
import { wellKnownNames } from '../../src/simulation/names.ts';
import { address, cloudArbitrary, type DeclaredCloud, describeCloud, PROBES } from './clouds.ts';
import { MemoryHost } from './memory-host.ts';

// Agents bring hosts from the rules of one random cloud to those of another: after every single command nothing forbidden passes and nothing
// established breaks, and from wherever they were stopped they reach what the compiler makes. The hosts are changed by the emulated tools.

const HOSTS = ['one', 'two'];
/** Of each property; `npm run test:cloud -- --only-agents` has more, with the real tools. */
const RUNS = Number(process.env.AGENT_RUNS ?? 3);
type Hosts = ReadonlyMap<string, MemoryHost>;

interface Declared {
  plan: NetworkPlan;
  cloud: Cloud;
}

function declare(cloud: DeclaredCloud): Declared {
  const description = describeCloud(cloud);
  const plan = planNetwork(description, () => null);
  return { plan, cloud: readCloud(description, plan) };
}

interface Planned {
  plan: HostPlan;
  leaving: VmPort[];
  all: VmPort[];
}

function plan(name: string, host: MemoryHost, { cloud }: Declared): Planned {
  const ports = portsByHost(cloud).get(name) ?? [];
  const state = host.state();
  const leaving = leavingPorts(name, state, ports, cloud);
  const all = [...ports, ...leaving];
  const goal = ports.length === 0 ? emptyRules(name) : compileHost(name, ports, cloud);
  return { plan: planHost(state, goal, all.length === 0 ? goal : compileHost(name, all, cloud)), leaving, all };
}

function apply(
  hosts: Hosts,
  declared: Declared,
  after: (host: string, command: AgentCommand, judge: ReturnType<typeof connectionJudge>) => void = () => {},
): number {
  const planned = new Map([...hosts].map(([name, host]) => [name, plan(name, host, declared)]));
  let count = 0;
  for (const stage of STAGES) {
    for (const [name, host] of hosts) {
      const judge = connectionJudge(declared.cloud, planned.get(name)!.all, new Set());
      for (const command of planned.get(name)!.plan.stages[stage].flatMap(partsOf)) {
        host.run(command, judge);
        if (command.tool !== 'conntrack') count++;
        after(name, command, judge);
      }
    }
  }
  return count;
}

const newHosts = (): Hosts => new Map(HOSTS.map((name) => [name, new MemoryHost()]));
const copied = (hosts: Hosts): Hosts => new Map([...hosts].map(([name, host]) => [name, new MemoryHost(host)]));
const comparable = (hosts: Hosts): object =>
  Object.fromEntries([...hosts].map(([name, host]) => [name, host.comparable()]));

/** What the compiler's texts are, loaded whole. */
function loaded({ cloud }: Declared): object {
  const hosts = newHosts();
  for (const [name, ports] of portsByHost(cloud)) {
    const rules = compileHost(name, ports, cloud);
    const host = hosts.get(name)!;
    host.ipset(rules.sets.split('\n'));
    host.restore(4, rules.rules4, false);
    host.restore(6, rules.rules6, false);
  }
  return comparable(hosts);
}

const FLOWS: ProbeFlow[] = [0, 1, 2, 3].flatMap((from) =>
  [0, 1, 2, 3].flatMap((to) =>
    from === to
      ? []
      : ([4, 6] as const).flatMap((family) => {
          const end = (vm: number) => ({ vm: `vm${vm}`, family, address: parseAddress(address(vm, family))!.words });
          return PROBES.map(
            ([protocol, port]): ProbeFlow => ({
              from: end(from),
              to: end(to),
              protocol,
              port: protocol === 'icmp' ? null : port,
            }),
          );
        }),
  ),
);

function watchOf(hosts: Hosts, to: Declared): Watch {
  const leaving = [...hosts].flatMap(([name, host]) => plan(name, host, to).leaving);
  const places = {
    plan: to.plan,
    now: new Map(to.cloud.ports.map((port) => [port.vm, port])),
    before: new Map(leaving.map((port) => [port.vm, port])),
  };
  const plans = plansWithTaps(to.plan, leaving);
  const standing = new Map([...hosts].map(([name, host]) => [name, host.standing()]));
  const settings = { names: wellKnownNames(), variant: 'nft', seed: 1 } as const;
  return new Watch(watchedFlows(FLOWS, places, plans), plans, standing, settings);
}

/** Watches the change of hosts that are at one cloud to another. */
function watchChange(hosts: Hosts, to: Declared): { watch: Watch; states: Hosts[] } {
  const watch = watchOf(hosts, to);
  const states = [copied(hosts)];
  apply(hosts, to, (name, command, judge) => {
    const label = command.tool === 'conntrack' ? 'conntrack' : command.lines.join('; ');
    watch.step(
      `${name}: ${label}`,
      name,
      hosts.get(name)!.standing(),
      command.tool === 'conntrack' ? withoutStale(judge) : null,
    );
    states.push(copied(hosts));
  });
  return { watch, states };
}

describe('changes between random clouds', () => {
  it('are safe after every command, and end with what the compiler makes, from wherever they were stopped', () => {
    let allowed = 0;
    fc.assert(
      fc.property(cloudArbitrary, cloudArbitrary, (from, to) => {
        const hosts = newHosts();
        apply(hosts, declare(from));
        expect(comparable(hosts)).toEqual(loaded(declare(from)));
        const { watch, states } = watchChange(hosts, declare(to));
        expect(watch.violations()).toEqual([]);
        allowed += watch.counts().before;
        const goal = loaded(declare(to));
        expect(comparable(hosts)).toEqual(goal);
        expect(apply(hosts, declare(to))).toBe(0);
        for (const stopped of states) {
          apply(stopped, declare(to));
          expect(comparable(stopped)).toEqual(goal);
        }
      }),
      { numRuns: RUNS, seed: 11, endOnFailure: true },
    );
    expect(allowed).toBeGreaterThan(20 * RUNS);
  });

  it('are safe where a host has missed one, or an agent died on the way', () => {
    fc.assert(
      fc.property(cloudArbitrary, cloudArbitrary, cloudArbitrary, fc.nat(), (first, missed, last, at) => {
        const hosts = newHosts();
        apply(hosts, declare(first));
        const half = new Map([['one', hosts.get('one')!]]);
        const states = [copied(half)];
        apply(half, declare(missed), () => states.push(copied(half)));
        const stopped = new Map([...hosts, ...states[at % states.length]!]);
        const { watch } = watchChange(stopped, declare(last));
        expect(watch.violations()).toEqual([]);
        expect(comparable(stopped)).toEqual(loaded(declare(last)));
      }),
      { numRuns: RUNS, seed: 12, endOnFailure: true },
    );
  });
});

describe('what careless agents do', () => {
  const declaredWith = (port: string, group: 'A' | 'C'): Declared =>
    declare({
      groups: {
        A: { rules: [] },
        B: {
          rules: [
            { direction: 'ingress', protocol: 'tcp', ports: port, remote_group: 'A' },
            { direction: 'ingress', protocol: 'udp' },
          ],
        },
        C: { rules: [] },
      },
      vms: [
        { on: 'one', groups: ['B'] },
        { on: 'one', groups: [group] },
        { on: 'one', groups: ['A'] },
        { on: 'two', groups: ['A'] },
      ],
    });
  const [from, to] = [declaredWith('22', 'C'), declaredWith('81', 'A')];

  it('is seen: a member comes before the rule goes, connections are forgotten that may go on', () => {
    const hosts = newHosts();
    apply(hosts, from);
    const watch = watchOf(hosts, to);
    const host = hosts.get('one')!;
    host.ipset(['add NIPv4A 10.0.0.2']);
    watch.step('add', 'one', host.standing(), null);
    watch.step('conntrack -F', 'one', host.standing(), () => []);
    apply(hosts, to);
    for (const [name, each] of hosts) watch.step('the rest', name, each.standing(), null);
    const found = watch.violations().map(({ step, what, flow }) => `${step}: ${what}: ${flow}`);
    expect(found).toContain('add: a forbidden packet passes: tcp/22 from vm1 (10.0.0.2) to vm0 (10.0.0.1)');
    expect(found).toContain(
      'conntrack -F: an established connection breaks: udp/80 from vm2 (10.0.0.3) to vm0 (10.0.0.1)',
    );
  });
});

describe("what is not the agent's", () => {
  const open = {
    A: { rules: [{ direction: 'ingress' as const, protocol: 'tcp' as const, ports: '22' }] },
    B: { rules: [] },
    C: { rules: [] },
  };
  const one = declare({
    groups: open,
    vms: [
      { on: 'one', groups: ['A'] },
      { on: 'one', groups: ['B'] },
      { on: 'one', groups: ['B'] },
    ],
  });
  const two = declare({
    groups: open,
    vms: [
      { on: 'one', groups: ['A'] },
      { on: 'one', groups: ['A'] },
    ],
  });
  const none = declare({ groups: open, vms: [] });
  const foreign = `*nat
-A POSTROUTING -j MASQUERADE
COMMIT
*filter
:FORWARD DROP [0:0]
:docker - [0:0]
-A FORWARD -i docker0 -j docker
-A FORWARD -p gre -j ACCEPT
-A docker -s 10.9.0.0/16 -j ACCEPT
COMMIT
`;

  it('stays: chains, rules, policies, sets', () => {
    const host = new MemoryHost();
    host.ipset(['create blocked hash:ip', 'add blocked 192.0.2.1']);
    host.restore(4, foreign, false);
    const before = host.comparable();
    const hosts = new Map([['one', host]]);
    apply(hosts, one);
    expect(host.state().tables4.get('filter')!.get('FORWARD')).toEqual([
      '-j neutron-filter-top',
      '-j neutron-openvswi-FORWARD',
      '-i docker0 -j docker',
      '-p gre -j ACCEPT',
    ]);
    apply(hosts, two);
    apply(hosts, none);
    expect(host.comparable().rules4).toBe(before.rules4);
    expect(host.comparable().sets).toBe(before.sets);
  });

  it('stays where it uses what the agent made, and that with it', () => {
    const host = new MemoryHost();
    const hosts = new Map([['one', host]]);
    const named = declare({
      groups: { ...open, C: { rules: [{ direction: 'ingress', remote_group: 'A' }] } },
      vms: [
        { on: 'one', groups: ['C'] },
        { on: 'one', groups: ['A'] },
      ],
    });
    apply(hosts, named);
    host.restore(
      4,
      '*filter\n-A INPUT -m set --match-set NIPv4A src -j DROP\n-A INPUT -s 10.0.0.9/32 -j neutron-openvswi-i-vm1\nCOMMIT\n',
      true,
    );
    apply(hosts, none);
    expect(host.state().tables4.get('filter')!.get('INPUT')).toEqual([
      '-m set --match-set NIPv4A src -j DROP',
      '-s 10.0.0.9/32 -j neutron-openvswi-i-vm1',
    ]);
    expect(plan('one', host, none).plan.kept).toEqual([
      'neutron-openvswi-i-vm1',
      'neutron-openvswi-sg-fallback',
      'NIPv4A',
    ]);
    expect(apply(hosts, none)).toBe(0);
  });

  it('counts on: rules that do not change keep their counters', () => {
    const host = new MemoryHost();
    const hosts = new Map([['one', host]]);
    apply(hosts, one);
    const counted = host.standing().rules4.replaceAll('[0:0] -A', '[7:700] -A');
    host.restore(4, counted, false, true);
    apply(hosts, two);
    const rules = host.standing().rules4.split('\n');
    const fresh = rules.filter((line) => line.startsWith('[0:0] -A'));
    expect(fresh).toEqual(['[0:0] -A neutron-openvswi-i-vm1 -p tcp -m tcp --dport 22 -j RETURN']);
    expect(rules.filter((line) => line.startsWith('[7:700] -A')).length).toBeGreaterThan(20);
  });
});
