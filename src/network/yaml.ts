import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Scalar } from 'yaml';
import { pathText } from '../host/description.ts';
import { type NetworkDescription, NetworkError } from './description.ts';

/** A network.yaml that cannot be read; the message is one line: file, line, key, what is wrong. */
export class NetworkFileError extends Error {}

/** A read file, and where its entries stand. */
export interface NetworkFile {
  description: NetworkDescription;
  /** The error of an entry as one about the file. */
  located(error: NetworkError): NetworkFileError;
}

type Shape = 'mapping' | 'mapping or file name' | 'list' | 'text' | 'text or list' | 'yes or no' | 'number';

const TOP: Readonly<Record<string, Shape>> = {
  hosts: 'mapping',
  vms: 'mapping',
  links: 'mapping',
  internet: 'mapping',
  names: 'mapping',
  conversations: 'list',
  groups: 'mapping or file name',
  prefix_lists: 'mapping',
};
const HOST: Readonly<Record<string, Shape>> = {
  interfaces: 'mapping',
  routes: 'list',
  rules: 'list',
  neighbours: 'mapping',
  sysctl: 'mapping',
  listen: 'list',
  dir: 'text',
  file: 'text',
  iptables: 'text',
  ip6tables: 'text',
  ipset: 'text',
  router: 'yes or no',
  kubernetes: 'mapping',
};
const VM: Readonly<Record<string, Shape>> = {
  on: 'text',
  bridge: 'text',
  tap: 'text',
  hairpin: 'yes or no',
  mac: 'text',
  addresses: 'list',
  gateways: 'list',
  listen: 'list',
  iptables: 'text',
  ip6tables: 'text',
  ipset: 'text',
  groups: 'list',
  allowed_address_pairs: 'list',
  port_security: 'yes or no',
};
const KUBERNETES: Readonly<Record<string, Shape>> = { files: 'list', node: 'text', pods: 'text' };
const INTERNET: Readonly<Record<string, Shape>> = { servers: 'mapping', routes: 'list' };
const SERVER: Readonly<Record<string, Shape>> = { addresses: 'list', listen: 'list' };
const CONVERSATION: Readonly<Record<string, Shape>> = {
  from: 'text',
  to: 'text',
  protocol: 'text',
  expect: 'text',
  at: 'text',
  seen_as: 'text',
  by: 'text or list',
  times: 'number',
  spread: 'text',
};

/** Reads a network.yaml; keys and their kinds are checked here, what they mean where the network is built. Throws NetworkFileError. */
export function readNetworkYaml(text: string, filename: string): NetworkFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const fail = (offset: number, message: string): NetworkFileError =>
    new NetworkFileError(`${filename}:${lines.linePos(offset).line || 1}: ${message}`);
  const [error] = document.errors;
  if (error !== undefined) throw fail(error.pos[0], error.message);
  const twice = repeatedKey(document.contents);
  if (twice !== null) throw fail(twice.range?.[0] ?? 0, `"${String(twice.value)}" is there already`);
  const located = (problem: NetworkError): NetworkFileError => {
    const where = problem.path.length === 0 ? '' : `${pathText(problem.path)}: `;
    return fail(offsetOf(document.contents, problem.path), `${where}${problem.message}`);
  };
  const description = (document.toJS({ maxAliasCount: 100 }) ?? {}) as NetworkDescription;
  try {
    checkShapes(description);
  } catch (problem) {
    if (problem instanceof NetworkError) throw located(problem);
    throw problem;
  }
  return { description, located };
}

function checkShapes(description: NetworkDescription): void {
  checkKeys(description, TOP, []);
  checkEntries(description.hosts, HOST, ['hosts'], []);
  for (const [name, host] of Object.entries(description.hosts ?? {})) {
    if (host?.kubernetes != null) checkKeys(host.kubernetes, KUBERNETES, ['hosts', name, 'kubernetes'], ['files']);
  }
  checkEntries(description.vms, VM, ['vms'], ['on', 'bridge', 'addresses']);
  if (description.internet != null) {
    checkKeys(description.internet, INTERNET, ['internet']);
    checkEntries(description.internet.servers, SERVER, ['internet', 'servers'], ['addresses']);
  }
  description.conversations?.forEach((entry, index) => {
    checkKeys(entry, CONVERSATION, ['conversations', index], ['from', 'to', 'expect']);
  });
  for (const [name, ends] of Object.entries(description.links ?? {})) {
    if (!Array.isArray(ends) || ends.length < 2 || ends.some((end) => typeof end !== 'string')) {
      throw new NetworkError(['links', name], 'a link is a list of its ends, such as [laptop:wlan0, home:lan]');
    }
  }
  for (const [name, address] of Object.entries(description.names ?? {})) {
    if (typeof address !== 'string') throw new NetworkError(['names', name], 'an address is needed');
  }
}

function checkEntries(
  entries: object | null | undefined,
  keys: Readonly<Record<string, Shape>>,
  path: readonly string[],
  needed: readonly string[],
): void {
  for (const [name, entry] of Object.entries(entries ?? {})) checkKeys(entry ?? {}, keys, [...path, name], needed);
}

/** Every key is known and has its kind of value. */
function checkKeys(
  value: unknown,
  keys: Readonly<Record<string, Shape>>,
  path: readonly (string | number)[],
  needed: readonly string[] = [],
): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new NetworkError(path, `a mapping is needed, with ${Object.keys(keys).join(', ')}`);
  }
  for (const [key, entry] of Object.entries(value)) {
    const shape = keys[key];
    if (shape === undefined) {
      throw new NetworkError([...path, key], `unknown key; known are ${Object.keys(keys).join(', ')}`);
    }
    if (entry !== null && !hasShape(entry, shape)) throw new NetworkError([...path, key], `a ${shape} is needed`);
  }
  for (const key of needed) {
    if ((value as Record<string, unknown>)[key] == null) throw new NetworkError(path, `${key} is missing`);
  }
}

function hasShape(value: unknown, shape: Shape): boolean {
  switch (shape) {
    case 'mapping':
      return typeof value === 'object' && !Array.isArray(value);
    case 'mapping or file name':
      return typeof value === 'string' || hasShape(value, 'mapping');
    case 'list':
      return Array.isArray(value);
    case 'text':
      return typeof value === 'string';
    case 'text or list':
      return typeof value === 'string' || Array.isArray(value);
    case 'number':
      return typeof value === 'number';
    case 'yes or no':
      return typeof value === 'boolean';
  }
}

/** A key that its mapping has twice; null if there is none. (The parser's own check compares every key with every other.) */
function repeatedKey(node: unknown): Scalar | null {
  if (isMap(node)) {
    const seen = new Set<string>();
    for (const { key, value } of node.items) {
      if (isScalar(key)) {
        const name = String(key.value);
        if (seen.has(name)) return key;
        seen.add(name);
      }
      const below = repeatedKey(value);
      if (below !== null) return below;
    }
  } else if (isSeq(node)) {
    for (const item of node.items) {
      const below = repeatedKey(item);
      if (below !== null) return below;
    }
  }
  return null;
}

/** Where the deepest existing entry of a path begins: its key, for an entry of a mapping. */
export function offsetOf(root: unknown, path: readonly (string | number)[]): number {
  let node = root;
  let offset = isNode(root) ? (root.range?.[0] ?? 0) : 0;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
      if (pair === undefined) return offset;
      offset = (isNode(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
      node = pair.value;
    } else if (isNode(node) && 'items' in node && typeof part === 'number') {
      node = (node.items as unknown[])[part];
      if (!isNode(node)) return offset;
      offset = node.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}
