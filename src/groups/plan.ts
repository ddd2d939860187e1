import { NetworkError } from '../network/description.ts';
import type { NetworkPlan } from '../network/plan.ts';
import { clashingTaps, compileHost, type HostRules, portsByHost } from './compile.ts';
import type { Cloud } from './model.ts';

/** Rules of one host of several. */
export type CompiledHost = HostRules & { done: number; of: number };

/**
 * The rules of the hosts that have machines, one host after the other; with `only` of these alone. Throws NetworkError where taps have
 * too similar names.
 */
export function compileHosts(cloud: Cloud, only: ReadonlySet<string> | null = null): Generator<CompiledHost> {
  checkTaps(cloud);
  return compileEach(cloud, only);
}

/** Throws NetworkError where two taps of a host have too similar names. */
export function checkTaps({ ports }: Cloud): void {
  const clash = clashingTaps(ports);
  if (clash === null) return;
  throw new NetworkError(
    ['vms'],
    `taps ${clash.join(' and ')} would share a chain: ten characters after "tap" must differ`,
  );
}

function* compileEach(cloud: Cloud, only: ReadonlySet<string> | null): Generator<CompiledHost> {
  const hosts = [...portsByHost(cloud)].filter(([host]) => only === null || only.has(host));
  let done = 0;
  for (const [host, ports] of hosts) yield { ...compileHost(host, ports, cloud), done: ++done, of: hosts.length };
}

/** The rules of all hosts that have machines. */
export function compileCloud(cloud: Cloud): HostRules[] {
  return [...compileHosts(cloud)];
}

/** A plan whose hosts have the compiled rules. A host with rules of its own keeps them: so a live machine's can be tried. */
export function withGroupRules(plan: NetworkPlan, compiled: readonly HostRules[]): NetworkPlan {
  const byHost = new Map(compiled.map((rules) => [rules.host, rules]));
  const hosts = plan.hosts.map((host) => {
    const rules = byHost.get(host.name);
    const own = Object.values(host.texts).some(({ text }) => text !== '');
    if (rules === undefined || own) return host;
    const from = `compiled rules of ${host.name}`;
    const texts = {
      rules4: { text: rules.rules4, from },
      rules6: { text: rules.rules6, from },
      sets: { text: rules.sets, from },
    };
    return { ...host, texts };
  });
  return { ...plan, hosts };
}
