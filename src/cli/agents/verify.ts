import { plansWithTaps, representativeFlows, watchedFlows } from '../../groups/agent/flows.ts';
import type { AgentCommand } from '../../groups/agent/plan.ts';
import type { ConnectionJudge } from '../../groups/agent/stale.ts';
import { Watch } from '../../groups/agent/watch.ts';
import { wellKnownNames } from '../../simulation/names.ts';
import type { Io } from '../io.ts';
import type { LoadedCloud } from '../network/groups.ts';
import type { Survey } from './run.ts';

/** Watches a change from its beginning on: packets go through the hosts as they stand. Throws NetworkError. */
export function watchChange({ plan, cloud }: LoadedCloud, { busy, hosts }: Survey, io: Io): Watch {
  const leaving = busy.flatMap((each) => [...each.leaving]);
  const plans = plansWithTaps(plan, leaving);
  const places = {
    plan,
    now: new Map(cloud.ports.map((port) => [port.vm, port])),
    before: new Map(leaving.map((port) => [port.vm, port])),
  };
  const watched = new Set(hosts.map(({ name }) => name));
  const flows = watchedFlows(
    representativeFlows(
      cloud,
      busy.map((each) => each.plan),
    ),
    places,
    plans,
  ).filter(({ before, after }) => [...(before ?? []), ...(after ?? [])].every(({ host }) => watched.has(host)));
  const standing = new Map(hosts.map((host) => [host.name, host.standing()]));
  return new Watch(flows, plans, standing, { names: wellKnownNames(), variant: io.variant, seed: 1 });
}

/** The parts of a command after each of which a host may be seen: lines of `ipset restore` hold one by one. */
export function partsOf(command: AgentCommand): AgentCommand[] {
  if (command.tool !== 'ipset') return [command];
  const parts: string[][] = [];
  const made = new Set<string>();
  let quiet = false;
  for (const line of command.lines) {
    const [verb, name = ''] = line.split(' ');
    if (verb === 'create') made.add(name);
    // Nobody sees the elements of a set that no rule can name yet.
    const isQuiet = verb !== 'swap' && made.has(name);
    if (isQuiet && quiet) parts.at(-1)!.push(line);
    else parts.push([line]);
    quiet = isQuiet;
  }
  return parts.map((lines) => ({ tool: 'ipset', lines }));
}

/** What a table's lines become when connections go that are no longer allowed. */
export function withoutStale(judge: ConnectionJudge): (lines: readonly string[]) => readonly string[] {
  return (lines) => {
    const ids = new Set(judge.stale(lines).map(({ id }) => id));
    return lines.filter((line) => !line.startsWith('{"id":') || !ids.has((JSON.parse(line) as { id: number }).id));
  };
}
