import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
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

/** Each line of ipset is a command of its own: an agent may die between them. */
function single(command: AgentCommand): AgentCommand[] {
  return command.tool === 'ipset' ? command.lines.map((line) => ({ tool: 'ipset', lines: [line] })) : [command];
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
      for (const command of planned.get(name)!.plan.stages[stage].flatMap(single)) {
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

/** Watches the change of hosts that are at one cloud to another. */
function watchChange(hosts: Hosts, to: Declared): { watch: Watch; states: Hosts[] } {
  const leaving = [...hosts].flatMap(([name, host]) => plan(name, host, to).leaving);
  const places = {
    plan: to.plan,
    now: new Map(to.cloud.ports.map((port) => [port.vm, port])),
    before: new Map(leaving.map((port) => [port.vm, port])),
  };
  const plans = plansWithTaps(to.plan, leaving);
  const standing = new Map([...hosts].map(([name, host]) => [name, host.standing()]));
  const settings = { names: wellKnownNames(), variant: 'nft', seed: 1 } as const;
  const watch = new Watch(watchedFlows(FLOWS, places, plans), plans, standing, settings);
  const states = [copied(hosts)];
  apply(hosts, to, (name, command, judge) => {
    const known = (lines: readonly string[]): readonly string[] => {
      const ids = new Set(judge.stale(lines).map(({ id }) => id));
      return lines.filter((line) => !line.startsWith('{"id":') || !ids.has((JSON.parse(line) as { id: number }).id));
    };
    const label = command.tool === 'conntrack' ? 'conntrack' : command.lines.join('; ');
    watch.step(`${name}: ${label}`, name, hosts.get(name)!.standing(), command.tool === 'conntrack' ? known : null);
    states.push(copied(hosts));
  });
  return { watch, states };
}

describe('changes between random clouds', () => {
  it('are safe after every command, and end with what the compiler makes', () => {
    let established = 0;
    fc.assert(
      fc.property(cloudArbitrary, cloudArbitrary, (from, to) => {
        const hosts = newHosts();
        apply(hosts, declare(from));
        expect(comparable(hosts)).toEqual(loaded(declare(from)));
        const { watch } = watchChange(hosts, declare(to));
        expect(watch.violations()).toEqual([]);
        established += watch.counts().before;
        expect(comparable(hosts)).toEqual(loaded(declare(to)));
        expect(apply(hosts, declare(to))).toBe(0);
      }),
      { numRuns: Number(process.env.RUNS ?? 5), seed: Number(process.env.SEED ?? 11), endOnFailure: true },
    );
    expect(established).toBeGreaterThan(100);
  });
});
