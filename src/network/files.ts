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

/** Puts a host together from its files and from what the network says of it; the latter goes before. Throws NetworkError. */
export function readHostFiles(
  host: NetworkHost,
  path: readonly (string | number)[],
  readFile: ReadFile,
): { description: HostDescription; texts: HostTexts } {
  const { dir, file, iptables, ip6tables, ipset, router: _router, kubernetes: _kubernetes, ...own } = host;
  const needed = (key: string, name: string): string => {
    const text = readFile(name);
    if (text === null) throw new NetworkError([...path, key], `no such file: ${name}`);
    return text;
  };
  let description: HostDescription = own;
  const hostFile = file ?? (dir == null ? null : `${dir}/host.yaml`);
  if (hostFile !== null) {
    const key = file == null ? 'dir' : 'file';
    try {
      description = { ...parseHostYaml(needed(key, hostFile), hostFile), ...own };
    } catch (error) {
      if (error instanceof HostFileError) throw new NetworkError([...path, key], error.message);
      throw error;
    }
  }
  const textOf = (key: 'iptables' | 'ip6tables' | 'ipset', value: string | null | undefined, inDir: string) => {
    if (value?.includes('\n')) return { text: value, from: [...path, key].join('.') };
    if (value != null) return { text: needed(key, value), from: value };
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
  };
}
