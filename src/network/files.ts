import { CollectedError, noteText } from '../collected/collection.ts';
import { COLLECTED_FILE, type CollectedMachine, connectionsNote, readMachine } from '../collected/machine.ts';
import type { HostDescription } from '../host/description.ts';
import { HostFileError, parseHostYaml } from '../host/yaml.ts';
import { NetworkError, type NetworkHost } from './description.ts';

/** Reads a file that a network names, by its path as written there; null if there is none. */
export type ReadFile = (path: string) => string | null;

/** Rules and sets of a host as text, and where each comes from (for messages). */
export interface HostTexts {
  rules4: { text: string; from: string };
  rules6: { text: string; from: string };
  sets: { text: string; from: string };
}

/**
 * Puts a host together from its files and from what the network says of it; the latter goes before. A directory without host.yaml may be
 * one that was collected on a live machine. Throws NetworkError.
 *
 * @returns also notes of what is not as on the live machine
 */
export function readHostFiles(
  host: NetworkHost,
  path: readonly (string | number)[],
  readFile: ReadFile,
): { description: HostDescription; texts: HostTexts; notes: string[] } {
  const { dir, file, iptables, ip6tables, ipset, router: _router, kubernetes: _kubernetes, ...own } = host;
  const needed = (key: string, name: string): string => {
    const text = readFile(name);
    if (text === null) throw new NetworkError([...path, key], `no such file: ${name}`);
    return text;
  };
  let description: HostDescription = own;
  const collected = dir == null || file != null ? null : readCollected(dir, [...path, 'dir'], readFile);
  if (collected !== null) description = { ...collected.description, ...own };
  const hostFile = file ?? (dir == null || collected !== null ? null : `${dir}/host.yaml`);
  if (hostFile !== null) {
    const key = file == null ? 'dir' : 'file';
    try {
      description = { ...parseHostYaml(needed(key, hostFile), hostFile), ...own };
    } catch (error) {
      if (error instanceof HostFileError) throw new NetworkError([...path, key], error.message);
      throw error;
    }
  }
  const textOf = (
    key: 'iptables' | 'ip6tables' | 'ipset',
    value: string | null | undefined,
    inDir: keyof typeof COLLECTED_TEXTS,
  ) => {
    if (value?.includes('\n')) return { text: value, from: [...path, key].join('.') };
    if (value != null) return { text: needed(key, value), from: value };
    if (collected !== null) return { text: collected[COLLECTED_TEXTS[inDir]], from: `${dir} (${inDir})` };
    const name = dir == null ? null : `${dir}/${inDir}`;
    return { text: name === null ? '' : (readFile(name) ?? ''), from: name ?? [...path, key].join('.') };
  };
  return {
    description,
    texts: {
      rules4: textOf('iptables', iptables, 'rules.v4'),
      rules6: textOf('ip6tables', ip6tables, 'rules.v6'),
      sets: textOf('ipset', ipset, 'ipsets'),
    },
    notes:
      collected === null
        ? []
        : [...collected.notes.map(noteText), ...withoutConnections(collected)].map((note) => `${dir}/${note}`),
  };
}

/** Every conversation meets the network as it is switched on. */
function withoutConnections({ connections }: CollectedMachine): string[] {
  return connections.length === 0 ? [] : [`conntrack-save: ${connectionsNote(connections.length)}`];
}

const COLLECTED_TEXTS = { 'rules.v4': 'rules4', 'rules.v6': 'rules6', ipsets: 'sets' } as const;

/** A directory that iptsim-collect.sh made; null if it is none, or has a host.yaml. */
function readCollected(dir: string, path: readonly (string | number)[], readFile: ReadFile): CollectedMachine | null {
  if (readFile(`${dir}/host.yaml`) !== null || readFile(`${dir}/${COLLECTED_FILE}`) === null) return null;
  try {
    return readMachine((name) => readFile(`${dir}/${name}`));
  } catch (error) {
    if (error instanceof CollectedError) throw new NetworkError(path, `${dir}/${error.message}`);
    throw error;
  }
}
