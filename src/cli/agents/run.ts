import type { EntryLine } from '../../conntrack/store.ts';
import { leavingPorts } from '../../groups/agent/leaving.ts';
import { type AgentCommand, emptyRules, type HostPlan, planHost } from '../../groups/agent/plan.ts';
import { ForeignSetError } from '../../groups/agent/set-stages.ts';
import { STAGES, type Stage } from '../../groups/agent/stages.ts';
import { type ConnectionJudge, connectionJudge } from '../../groups/agent/stale.ts';
import { compileHost, type HostRules, portsByHost } from '../../groups/compile.ts';
import { hostKeys } from '../../groups/keys.ts';
import type { VmPort } from '../../groups/model.ts';
import { checkTaps } from '../../groups/plan.ts';
import type { NetworkPlan } from '../../network/plan.ts';
import type { Io } from '../io.ts';
import type { LoadedCloud } from '../network/groups.ts';
import { AgentError, AgentHost, hostDirectory } from './host.ts';

/** A host that has something to do. */
export interface BusyHost {
  host: AgentHost;
  plan: HostPlan;
  judge: ConnectionJudge;
  /** What its agent remembers when it is done. */
  goal: string;
  /** What the host loads in the end. */
  rules: HostRules;
  /** Its machines, and those that left for other hosts. */
  ports: readonly VmPort[];
  leaving: readonly VmPort[];
  /** Its own addresses. */
  own: ReadonlySet<string>;
}

/** One command of the change, in the order in which all are sent. */
export interface AgentStep {
  host: BusyHost;
  stage: Stage;
  command: AgentCommand;
  /** Connections that `conntrack -D` takes away. */
  stale: readonly EntryLine[];
}

/** What the agents of all hosts found. */
export interface Survey {
  busy: BusyHost[];
  /** All hosts looked at, and how many of them are as their agents left them: they were not compiled. */
  hosts: readonly AgentHost[];
  untouched: number;
}

/** The hosts that an agent of this cloud runs on: those with machines, and those whose state directories are there. */
function agentHosts(plan: NetworkPlan, ports: ReadonlyMap<string, unknown>, state: string, io: Io): AgentHost[] {
  return plan.hosts
    .filter(({ path }) => path[0] === 'hosts')
    .map(({ name }) => new AgentHost(name, hostDirectory(state, name), io))
    .filter((host) => ports.has(host.name) || host.exists);
}

/**
 * Finds out what each host has to do. Throws StateError, AgentError, NetworkError.
 *
 * @param only of this host alone
 */
export function survey(
  { plan, cloud }: LoadedCloud,
  state: string,
  only: string | null,
  io: Io,
  progress: ((done: number, all: number) => void) | null,
): Survey {
  checkTaps(cloud);
  const ports = portsByHost(cloud);
  const keys = hostKeys(cloud);
  const hosts = agentHosts(plan, ports, state, io).filter(({ name }) => only === null || name === only);
  const result: Survey = { busy: [], hosts, untouched: 0 };
  for (const [index, host] of hosts.entries()) {
    const goal = keys.get(host.name) ?? 'no machines';
    if (host.isAt(goal)) result.untouched++;
    else result.busy.push(prepare(host, goal, ports.get(host.name) ?? [], { plan, cloud }));
    progress?.(index + 1, hosts.length);
  }
  return result;
}

function prepare(
  host: AgentHost,
  goal: string,
  ports: readonly VmPort[],
  { plan, cloud }: Pick<LoadedCloud, 'plan' | 'cloud'>,
): BusyHost {
  const present = host.state();
  const rules = ports.length === 0 ? emptyRules(host.name) : compileHost(host.name, ports, cloud);
  const leaving = leavingPorts(host.name, present, ports, cloud);
  const all = [...ports, ...leaving];
  const own = new Set(
    Object.values(plan.hosts.find(({ name }) => name === host.name)!.description.interfaces ?? {}).flatMap(
      (described) => described?.addresses?.map((address) => address.split('/')[0]!) ?? [],
    ),
  );
  try {
    return {
      host,
      plan: planHost(present, rules, leaving.length === 0 ? rules : compileHost(host.name, all, cloud)),
      judge: connectionJudge(cloud, all, own),
      goal,
      rules,
      ports: all,
      leaving,
      own,
    };
  } catch (error) {
    if (error instanceof ForeignSetError) throw new AgentError(`${host.name}: ${error.message}`);
    throw error;
  }
}

/**
 * The commands of all hosts in the order in which they are sent, each made when those before it have been carried out by whoever takes them:
 * what connections there are shows only then.
 */
export function* agentSteps(busy: readonly BusyHost[]): Generator<AgentStep> {
  for (const stage of STAGES) {
    for (const host of busy) {
      for (const command of host.plan.stages[stage]) {
        const stale = command.tool === 'conntrack' ? host.host.stale(host.judge) : [];
        if (command.tool === 'conntrack' && stale.length === 0) continue;
        yield { host, stage, command, stale };
      }
    }
  }
}
