import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml';
import { NotationError } from '../packet/notation/error.ts';
import { readEntry } from '../trace/packet-list.ts';
import type { WrittenItem } from '../trace/written.ts';
import { type Expectation, ExpectationError, readExpectation } from './expectation.ts';

/** One case: packets that set the scene, packets in question, and what is to become of them. */
export interface Case {
  name: string;
  line: number;
  before: WrittenItem[];
  /** The expectation holds for each of them; of a flow see `judge`. */
  items: WrittenItem[];
  expectation: Expectation;
  /** Goes on with the machine of the case before instead of a fresh one. */
  continued: boolean;
}

/** A file of cases. Paths are as written, relative to the file. */
export interface CaseFile {
  /** State directory; null if the file names none. */
  dir: string | null;
  rules: string | null;
  rules6: string | null;
  sets: string | null;
  host: string | null;
  variant: 'legacy' | 'nft' | null;
  cases: Case[];
}

/** A file of cases that cannot be read: `FILE:LINE: what is wrong and what would be right`. */
export class CaseFileError extends Error {}

const FILE_KEYS = ['dir', 'rules', 'rules6', 'sets', 'host', 'variant', 'cases'];
const CASE_KEYS = ['name', 'before', 'packet', 'packets', 'flow', 'expect', 'continue'];

const EXAMPLE = '{ name: ssh, packet: "in=eth0 tcp 192.0.2.7:40000 > 192.0.2.1:22", expect: delivered }';

/** Reads a file of cases (YAML or JSON). Throws CaseFileError. */
export function parseCaseFile(text: string, name: string): CaseFile {
  return new CaseFileReader(text, name).read();
}

class CaseFileReader {
  private readonly name: string;
  private readonly lines = new LineCounter();
  private readonly document: ReturnType<typeof parseDocument>;

  constructor(text: string, name: string) {
    this.name = name;
    this.document = parseDocument(text, { lineCounter: this.lines, prettyErrors: false });
  }

  read(): CaseFile {
    const [error] = this.document.errors;
    if (error !== undefined) this.fail(error.pos[0], error.message);
    const root = this.document.contents as Node | null;
    if (root === null) return this.fail(0, `the file is empty; expected a list "cases:" of entries like ${EXAMPLE}`);
    if (!isMap(root)) return this.fail(this.at(root), 'expected a mapping with the key "cases"');
    this.checkKeys(root, FILE_KEYS, 'at the top');
    const cases = root.get('cases', true) as Node | undefined;
    if (!isSeq(cases)) return this.fail(this.at(cases ?? root), `expected a list "cases:" of entries like ${EXAMPLE}`);
    const variant = this.textOf(root, 'variant');
    if (variant !== null && variant !== 'legacy' && variant !== 'nft') {
      return this.fail(this.at(root.get('variant', true) as Node), `variant "${variant}": expected legacy or nft`);
    }
    return {
      dir: this.textOf(root, 'dir'),
      rules: this.textOf(root, 'rules'),
      rules6: this.textOf(root, 'rules6'),
      sets: this.textOf(root, 'sets'),
      host: this.textOf(root, 'host'),
      variant,
      cases: cases.items.map((item, index) => this.readCase(item as Node, index)),
    };
  }

  private readCase(node: Node, index: number): Case {
    if (!isMap(node)) return this.fail(this.at(node), `a case is a mapping like ${EXAMPLE}`);
    this.checkKeys(node, CASE_KEYS, 'in a case');
    const items: WrittenItem[] = [];
    for (const key of ['packet', 'packets', 'flow'] as const) {
      const value = node.get(key, true) as Node | undefined;
      if (value === undefined) continue;
      if (items.length > 0) return this.fail(this.at(value), 'a case has one of packet, packets and flow');
      items.push(...(key === 'flow' ? [this.readFlow(value)] : this.readItems(value, key === 'packets')));
    }
    if (items.length === 0)
      return this.fail(this.at(node), `the case has no packet, packets or flow, as in ${EXAMPLE}`);
    const before = node.get('before', true) as Node | undefined;
    return {
      name: this.textOf(node, 'name') ?? `case ${index + 1}`,
      line: this.lineOf(this.at(node)),
      before: before === undefined ? [] : this.readItems(before, true),
      items,
      expectation: this.readExpect(node),
      continued: this.flag(node, 'continue'),
    };
  }

  private readExpect(node: YAMLMap): Expectation {
    const value = node.get('expect', true) as Node | undefined;
    if (value === undefined) return this.fail(this.at(node), 'the case has no "expect", e.g. expect: dropped');
    try {
      return readExpectation(value.toJSON());
    } catch (error) {
      if (!(error instanceof ExpectationError)) throw error;
      const key = isMap(value) && error.key !== null ? this.keyNode(value, error.key) : null;
      return this.fail(this.at(key ?? value), error.message);
    }
  }

  private readItems(node: Node, isList: boolean): WrittenItem[] {
    if (!isList) return [this.readItem(node)];
    if (!isSeq(node)) return this.fail(this.at(node), 'expected a list of packets');
    return node.items.map((item) => this.readItem(item as Node));
  }

  private readItem(node: Node): WrittenItem {
    try {
      return readEntry(node, `${this.name}:${this.lineOf(this.at(node))}`);
    } catch (error) {
      if (error instanceof NotationError) throw new CaseFileError(error.message);
      throw error;
    }
  }

  /** A flow's line needs no word `flow` here. */
  private readFlow(node: Node): WrittenItem {
    if (isScalar(node) && typeof node.value === 'string' && !/^\s*flow\s/.test(node.value)) {
      const line = this.document.createNode(`flow ${node.value}`) as Node;
      if (node.range) line.range = node.range;
      return this.readItem(line);
    }
    return this.readItem(node);
  }

  private textOf(map: YAMLMap, key: string): string | null {
    const node = map.get(key, true) as Node | undefined;
    if (node === undefined || (isScalar(node) && node.value === null)) return null;
    if (isScalar(node) && (typeof node.value === 'string' || typeof node.value === 'number')) return String(node.value);
    return this.fail(this.at(node), `${key}: expected a text`);
  }

  private flag(map: YAMLMap, key: string): boolean {
    const node = map.get(key, true) as Node | undefined;
    if (node === undefined) return false;
    if (isScalar(node) && typeof node.value === 'boolean') return node.value;
    return this.fail(this.at(node), `${key}: expected true or false`);
  }

  private checkKeys(map: YAMLMap, known: readonly string[], where: string): void {
    for (const pair of map.items as Pair[]) {
      const key = isScalar(pair.key) ? String(pair.key.value) : '';
      if (!known.includes(key)) {
        this.fail(this.at(pair.key as Node), `unknown key "${key}" ${where}; known are ${known.join(', ')}`);
      }
    }
  }

  private keyNode(map: YAMLMap, key: string): Node | null {
    const pair = (map.items as Pair[]).find((item) => isScalar(item.key) && item.key.value === key);
    return (pair?.key as Node | undefined) ?? null;
  }

  private at(node: Node | null | undefined): number {
    return node?.range?.[0] ?? 0;
  }

  private lineOf(offset: number): number {
    return this.lines.linePos(offset).line || 1;
  }

  private fail(offset: number, message: string): never {
    throw new CaseFileError(`${this.name}:${this.lineOf(offset)}: ${message}`);
  }
}
