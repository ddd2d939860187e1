import { NetworkError } from '../network/description.ts';
import type { NetworkPlan } from '../network/plan.ts';
import { clashingTaps, compileHost, type HostRules, portsByHost } from './compile.ts';
import type { Cloud } from './model.ts';

/** The rules of all hosts that have machines. Throws NetworkError where taps have too similar names. */
export function compileCloud(cloud: Cloud, progress: (done: number, all: number) => void = () => {}): HostRules[] {
  const clash = clashingTaps(cloud.ports);
  if (clash !== null) {
    throw new NetworkError(
      ['vms'],
      `taps ${clash.join(' and ')} would share a chain: ten characters after "tap" must differ`,
    );
  }
  const hosts = portsByHost(cloud);
  const compiled: HostRules[] = [];
  for (const [host, ports] of hosts) {
    compiled.push(compileHost(host, ports, cloud));
    progress(compiled.length, hosts.size);
  }
  return compiled;
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
