import type { HostRules } from '../../groups/compile.ts';
import type { Cloud } from '../../groups/model.ts';
import { compileCloud, withGroupRules } from '../../groups/plan.ts';
import { hasGroups, readCloud } from '../../groups/read.ts';
import type { NetworkPlan } from '../../network/plan.ts';
import { type NetworkFile, NetworkFileError } from '../../network/yaml.ts';
import { located, planOf, readNetworkFile } from './load.ts';

/** Words on the command line that name nothing in the cloud. */
export class GroupUsageError extends Error {}

/** A network with security groups. */
export interface LoadedCloud {
  file: NetworkFile;
  plan: NetworkPlan;
  cloud: Cloud;
}

/** Reads the groups of a network.yaml. Throws NetworkFileError. */
export function loadCloud(name: string): LoadedCloud {
  const file = readNetworkFile(name);
  if (!hasGroups(file.description)) throw new NetworkFileError(`${name}: no groups`);
  const plan = planOf(file, name);
  return { file, plan, cloud: located(file, () => readCloud(file.description, plan)) };
}

export function compileLoaded({ file, cloud }: LoadedCloud): HostRules[] {
  return located(file, () => compileCloud(cloud));
}

/** The plan of a network; where it has groups, its hosts have their rules. */
export function planWithGroups(file: NetworkFile, name: string): NetworkPlan {
  const plan = planOf(file, name);
  if (!hasGroups(file.description)) return plan;
  return located(file, () => withGroupRules(plan, compileCloud(readCloud(file.description, plan))));
}
