import { readFileSync } from 'node:fs';
import path from 'node:path';
import { planKubernetes } from '../../kubernetes/plan.ts';
import { NetworkError } from '../../network/description.ts';
import { Network } from '../../network/network.ts';
import type { NetworkPlan } from '../../network/plan.ts';
import { type NetworkFile, NetworkFileError, readNetworkYaml } from '../../network/yaml.ts';
import { wellKnownNames } from '../../simulation/names.ts';
import type { Io } from '../io.ts';

/** Reads a network.yaml, and the file of its groups if it names one. Throws NetworkFileError. */
export function readNetworkFile(file: string): NetworkFile {
  const text = readText(file);
  if (text === null) throw new NetworkFileError(`${file}: no such file`);
  const network = readNetworkYaml(text, file);
  const { groups, prefix_lists } = network.description;
  return typeof groups === 'string' ? withGroupsOf(network, groups, prefix_lists, file) : network;
}

/** The network with the groups and prefix lists of another file, as `group import` writes it. */
function withGroupsOf(network: NetworkFile, name: string, ownLists: unknown, file: string): NetworkFile {
  const text = readBeside(file)(name);
  if (text === null) throw network.located(new NetworkError(['groups'], `no such file: ${name}`));
  if (ownLists != null) {
    throw network.located(new NetworkError(['prefix_lists'], `prefix lists stand beside the groups, in ${name}`));
  }
  const other = readNetworkYaml(text, path.join(path.dirname(file), name));
  const { groups, prefix_lists } = other.description;
  if (groups == null || typeof groups === 'string') {
    throw network.located(new NetworkError(['groups'], `${name} has no groups`));
  }
  return {
    description: { ...network.description, groups, prefix_lists },
    located: (error) =>
      error.path[0] === 'groups' || error.path[0] === 'prefix_lists' ? other.located(error) : network.located(error),
  };
}

/** Reads files that a network names, beside it. */
export function readBeside(file: string): (name: string) => string | null {
  const directory = path.dirname(file);
  return (name) => readText(path.resolve(directory, name));
}

/** The text of a file; null if there is none. */
export function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new NetworkFileError(`${file}: ${code === 'EISDIR' ? 'is a directory' : code}`);
  }
}

/** Switches on the hosts of a read file. `plan` may change what is planned before. Throws NetworkFileError. */
export function startNetwork(file: NetworkFile, plan: NetworkPlan, io: Io, seed: number): Network {
  return located(file, () => new Network(plan, { names: wellKnownNames(), variant: io.variant, seed }));
}

export function planOf(file: NetworkFile, name: string): NetworkPlan {
  return located(file, () => planKubernetes(file.description, readBeside(name)));
}

/** Turns errors of entries into errors of the file. */
export function located<T>(file: NetworkFile, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof NetworkError) throw file.located(error);
    throw error;
  }
}
