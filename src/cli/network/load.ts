import { readFileSync } from 'node:fs';
import path from 'node:path';
import { planKubernetes } from '../../kubernetes/plan.ts';
import { NetworkError } from '../../network/description.ts';
import { Network } from '../../network/network.ts';
import type { NetworkPlan } from '../../network/plan.ts';
import { type NetworkFile, NetworkFileError, readNetworkYaml } from '../../network/yaml.ts';
import { wellKnownNames } from '../../simulation/names.ts';
import type { Io } from '../io.ts';

/** Reads a network.yaml. Throws NetworkFileError. */
export function readNetworkFile(file: string): NetworkFile {
  const text = readText(file);
  if (text === null) throw new NetworkFileError(`${file}: no such file`);
  return readNetworkYaml(text, file);
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
