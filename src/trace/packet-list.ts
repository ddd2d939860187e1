import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { NotationError } from '../packet/notation/error.ts';
import { parseLine } from '../packet/notation/flow.ts';
import { quoteBytes } from '../packet/notation/words.ts';
import type { WrittenItem } from './written.ts';

/**
 * Reads a list of packets and flows: lines of the notation (`#` begins a comment), or a YAML or JSON list
 * (perhaps under the key `packets`) of such lines or of mappings like `{ in: eth0, proto: tcp, src: ..., dst: ..., ttl: 3 }`.
 *
 * @param name of the file, for messages
 * @throws NotationError with file and line
 */
export function parsePacketList(text: string, name: string): WrittenItem[] {
  return looksLikeYaml(text, name) ? parseYamlList(text, name) : parseLines(text, name);
}

function looksLikeYaml(text: string, name: string): boolean {
  if (/\.(ya?ml|json)$/i.test(name)) return true;
  const first = text.split('\n').find((line) => line.trim() !== '' && !line.trim().startsWith('#'));
  return first !== undefined && /^\s*([[{]|- |packets:|---)/.test(first);
}

function parseLines(text: string, name: string): WrittenItem[] {
  const items: WrittenItem[] = [];
  text.split(/\r?\n/).forEach((line, index) => {
    const label = line.trim();
    if (label === '' || label.startsWith('#')) return;
    items.push(item(label, `${name}:${index + 1}`));
  });
  return items;
}

function item(label: string, where: string): WrittenItem {
  try {
    return { line: parseLine(label), label };
  } catch (error) {
    if (error instanceof NotationError) throw new NotationError(`${where}: ${error.message}`, error.column);
    throw error;
  }
}

function parseYamlList(text: string, name: string): WrittenItem[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const lineOf = (offset: number | undefined): string => `${name}:${lines.linePos(offset ?? 0).line || 1}`;
  const [error] = document.errors;
  if (error !== undefined) throw new NotationError(`${lineOf(error.pos[0])}: ${error.message}`);
  const root = document.contents;
  const list = isMap(root) ? (root.get('packets', true) as unknown) : root;
  if (root === null || (isScalar(root) && root.value === null)) return [];
  if (!isSeq(list)) {
    throw new NotationError(
      `${lineOf(root.range?.[0])}: expected a list of packets, or a mapping with the key packets`,
    );
  }
  return list.items.map((entry) => readEntry(entry as Node, lineOf((entry as Node).range?.[0])));
}

/** One packet of a YAML list: a line, or a mapping of the notation's words. Shared with the cases of `check`. */
export function readEntry(entry: Node, where: string): WrittenItem {
  if (isScalar(entry) && typeof entry.value === 'string') return item(entry.value.trim(), where);
  if (!isMap(entry)) {
    throw new NotationError(
      `${where}: expected a packet like "in=eth0 tcp 192.0.2.1:40000 > 192.0.2.2:80", or a mapping`,
    );
  }
  return item(lineOfMapping(entry.toJSON() as Record<string, unknown>, where), where);
}

function lineOfMapping(mapping: Record<string, unknown>, where: string): string {
  const { proto, src, dst, kind, ...rest } = mapping;
  for (const [key, value] of Object.entries({ proto, src, dst })) {
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw new NotationError(
        `${where}: a packet needs "${key}", as in { proto: tcp, src: "192.0.2.1:40000", dst: "192.0.2.2:80" }`,
      );
    }
  }
  if (kind !== undefined && kind !== 'flow' && kind !== 'packet') {
    throw new NotationError(`${where}: kind "${String(kind)}": expected packet or flow`);
  }
  const words = [kind === 'flow' ? 'flow' : '', String(proto), String(src), '>', String(dst)];
  for (const [key, value] of Object.entries(rest)) {
    if (value === null || typeof value === 'object') {
      throw new NotationError(`${where}: ${key} must be a word or a number`);
    }
    const text = value === true ? '1' : value === false ? '0' : String(value);
    words.push(`${key}=${/^[\w.:/,+-]+$/.test(text) ? text : quoteBytes(new TextEncoder().encode(text))}`);
  }
  return words.filter((word) => word !== '').join(' ');
}
