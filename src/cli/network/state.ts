import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Network } from '../../network/network.ts';
import type { NetworkPlan } from '../../network/plan.ts';
import type { Family } from '../../packet/family.ts';
import { readStateFile, writeStateFile } from '../../state/files.ts';
import { lockDirectory } from '../../state/lock.ts';
import { readMachineMemory, writeMachineMemory } from '../../state/machine-memory.ts';
import { rulesFileName, saveRules } from '../../state/rules-file.ts';
import { SETS_FILE, writeSetPlaces } from '../commands/ipset.ts';

/** The hosts of a plan as their state directories `STATE/HOST` have them; those without one stay as they are. Throws StateError. */
export function withState(plan: NetworkPlan, state: string): NetworkPlan {
  const hosts = plan.hosts.map((host) => {
    const directory = path.join(state, host.name);
    if (!existsSync(directory)) return host;
    const textOf = (name: string): { text: string; from: string } => ({
      text: readStateFile(directory, name) ?? '',
      from: path.join(directory, name),
    });
    const memory = readMachineMemory(directory);
    const { added: _added, ...own } = host;
    return {
      ...own,
      texts: { rules4: textOf(rulesFileName(4)), rules6: textOf(rulesFileName(6)), sets: textOf(SETS_FILE) },
      // The conversation begins now: what remained then still remains.
      memory: memory === null ? null : { ...memory, clock: 0, uptime: memory.uptime ?? 0 },
    };
  });
  return { ...plan, hosts };
}

/** Writes counters, sets and connections back to the state directories that are there. Throws StateError. */
export function commitState(network: Network, state: string): void {
  for (const [name, node] of network.nodes) {
    const directory = path.join(state, name);
    if (!existsSync(directory)) continue;
    const release = lockDirectory(directory);
    try {
      const { sets, places, memory } = node.keep();
      for (const family of [4, 6] as Family[]) {
        const [ruleset, settings] = family === 4 ? [node.ruleset4, node.settings4] : [node.ruleset6, node.settings6];
        if (ruleset.tables.size > 0) saveRules(directory, ruleset, settings);
      }
      if (sets !== '') {
        writeStateFile(directory, SETS_FILE, sets);
        writeSetPlaces(directory, places);
      }
      writeMachineMemory(directory, memory);
    } finally {
      release?.();
    }
  }
}
