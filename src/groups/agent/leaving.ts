import { portChain } from '../compile.ts';
import type { Cloud, VmPort } from '../model.ts';
import type { HostState } from './plan.ts';

/**
 * Machines whose chains a host still has, though they run on another host now: as if they were here, so that until their chains go these
 * follow what their groups take away. Only those whose tap's name says which machine it is.
 */
export function leavingPorts(
  host: string,
  { tables4, tables6 }: HostState,
  ports: readonly VmPort[],
  cloud: Cloud,
): VmPort[] {
  const here = new Set(ports.map(({ tap }) => portChain('i', tap)));
  const left = new Set<string>();
  for (const tables of [tables4, tables6]) {
    for (const chain of tables.get('filter')?.keys() ?? [])
      if (chain.startsWith(portChain('i', '')) && !here.has(chain)) left.add(chain);
  }
  if (left.size === 0) return [];
  const owners = new Map<string, VmPort[]>();
  for (const port of cloud.ports) {
    const chain = portChain('i', port.tap);
    if (port.host === host || !left.has(chain)) continue;
    owners.set(chain, [...(owners.get(chain) ?? []), port]);
  }
  return [...owners.values()].flatMap((found) => (found.length === 1 ? { ...found[0]!, host } : []));
}
