import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { Host } from '../datapath/environment.ts';
import { type HostDescription, HostError, pathText } from './description.ts';
import { createHost } from './host.ts';

/** A host.yaml that cannot be read; the message is one line: file, line, key, what is wrong and what would be right. */
export class HostFileError extends Error {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  constructor(file: string, line: number, message: string) {
    super(`${file}:${line}: ${message}`);
    this.name = 'HostFileError';
    this.file = file;
    this.line = line;
  }
}

type Shape = 'mapping' | 'list';
const SHAPES: Readonly<Record<string, Shape>> = {
  interfaces: 'mapping',
  routes: 'list',
  rules: 'list',
  neighbours: 'mapping',
  sysctl: 'mapping',
  listen: 'list',
};

const EXAMPLES: Readonly<Record<string, string>> = {
  interfaces: 'eth0: { addresses: [192.0.2.1/24] }',
  routes: '- default via 192.0.2.254 dev eth0',
  rules: '- from all fwmark 0x1 lookup 100',
  neighbours: '192.0.2.254: "02:00:00:00:01:fe"',
  sysctl: 'net.ipv4.ip_forward: 1',
  listen: '- tcp/22',
};

/**
 * Reads host.yaml. The description is complete and right: `createHost` takes it. Throws a HostFileError.
 * `filename` is only for messages.
 */
export function parseHostYaml(text: string, filename: string): HostDescription {
  return readHostYaml(text, filename).description;
}

/** The same, with the machine that it describes. */
export function readHostYaml(text: string, filename: string): { description: HostDescription; host: Host } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const lineAt = (offset: number | undefined): number => (offset === undefined ? 1 : lines.linePos(offset).line || 1);
  const fail = (line: number, message: string): never => {
    throw new HostFileError(filename, line, message);
  };
  const [error] = document.errors;
  if (error !== undefined) fail(lineAt(error.pos[0]), error.message);

  const root = document.contents;
  if (root !== null && !(isScalar(root) && root.value === null) && !isMap(root)) {
    fail(lineAt(root.range?.[0]), 'a mapping is needed: interfaces, routes, rules, neighbours, sysctl, listen');
  }
  const lineOf = (path: readonly (string | number)[]): number => lineAt(offsetOf(root, path));
  const description = (document.toJS({ maxAliasCount: 100 }) ?? {}) as HostDescription;
  for (const [key, value] of Object.entries(description) as [string, unknown][]) {
    const shape = SHAPES[key];
    if (shape === undefined || value === null) continue;
    const right = shape === 'list' ? Array.isArray(value) : typeof value === 'object' && !Array.isArray(value);
    if (!right) fail(lineOf([key]), `${key}: a ${shape} is needed, with entries such as "${EXAMPLES[key]}"`);
    if (!Array.isArray(value)) continue;
    value.forEach((entry: unknown, i) => {
      const text = typeof entry === 'string' || (key === 'listen' && typeof entry === 'object' && entry !== null);
      if (!text) fail(lineOf([key, i]), `${pathText([key, i])}: a text is needed, such as "${EXAMPLES[key]}"`);
    });
  }
  for (const [name, value] of Object.entries(description.sysctl ?? {})) {
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      fail(lineOf(['sysctl', name]), `sysctl.${name}: a number or a text is needed`);
    }
    // `true` and `false` are a slip of the pen for 1 and 0.
    if (typeof value === 'boolean')
      fail(lineOf(['sysctl', name]), `sysctl.${name}: ${value ? 1 : 0} is needed, not ${value}`);
  }
  try {
    return { description, host: createHost(description) };
  } catch (problem) {
    if (!(problem instanceof HostError)) throw problem;
    return fail(lineOf(problem.path), `${pathText(problem.path)}: ${problem.message}`);
  }
}

/** Where the entry that a path leads to begins: its key, for an entry of a mapping. The deepest that exists. */
function offsetOf(root: Node | null, path: readonly (string | number)[]): number | undefined {
  let node: unknown = root;
  let offset = root?.range?.[0];
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (pair === undefined) return offset;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof part === 'number') {
      node = node.items[part];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}
