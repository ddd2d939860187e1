import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml';
import { NotationError } from '../packet/notation/error.ts';
import { readEntry } from '../trace/packet-list.ts';
import { type Repeat, RepeatError, readRepeat } from '../trace/repeat.ts';
import type { WrittenItem } from '../trace/written.ts';
import { type Expectation, ExpectationError, readExpectation } from './expectation.ts';
import { readSplits, type Split, SplitError } from './split.ts';

/** One case: packets that set the scene, packets in question, and what is to become of them. */
export interface Case {
  name: string;
  line: number;
  before: WrittenItem[];
  /** The expectation holds for each of them; of a flow see `judge`. */
  items: WrittenItem[];
  /** What holds for each; null where only the spread is asked for. */
  expectation: Expectation | null;
  /** The packet or flow is made many times, as different connections; null: once. */
  repeat: Repeat | null;
  /** How those connections are to be spread. */
  splits: Split[];
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
  /** Of the random generator; null: the one of every fresh machine. */
  seed: number | null;
  /** Who listens on NFQUEUE, as `A[-B]=HANDLER`. */
  queues: string[];
  cases: Case[];
}

/** A file of cases that cannot be read: `FILE:LINE: what is wrong and what would be right`. */
export class CaseFileError extends Error {}

const FILE_KEYS = ['dir', 'rules', 'rules6', 'sets', 'host', 'variant', 'seed', 'queues', 'cases'];
const CASE_KEYS = ['name', 'before', 'packet', 'packets', 'flow', 'repeat', 'split', 'expect', 'continue'];

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
      seed: this.seedOf(root),
      queues: this.readQueues(root),
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
    const repeat = this.readRepeatOf(node, items);
    const splits = this.readSplit(node, repeat);
    return {
      name: this.textOf(node, 'name') ?? `case ${index + 1}`,
      line: this.lineOf(this.at(node)),
      before: before === undefined ? [] : this.readItems(before, true),
      items,
      expectation: this.readExpect(node, splits.length > 0),
      repeat,
      splits,
      continued: this.flag(node, 'continue'),
    };
  }

  private readRepeatOf(node: YAMLMap, items: readonly WrittenItem[]): Repeat | null {
    const value = node.get('repeat', true) as Node | undefined;
    if (value === undefined) return null;
    if (items.length !== 1 || node.has('packets')) {
      return this.fail(this.at(value), 'repeat: goes with "packet" or "flow", not with a list of packets');
    }
    try {
      return readRepeat(value.toJSON());
    } catch (error) {
      if (!(error instanceof RepeatError)) throw error;
      const key = isMap(value) && error.key !== null ? this.keyNode(value, error.key) : null;
      return this.fail(this.at(key ?? value), error.message);
    }
  }

  private readSplit(node: YAMLMap, repeat: Repeat | null): Split[] {
    const value = node.get('split', true) as Node | undefined;
    if (value === undefined) return [];
    if (repeat === null) return this.fail(this.at(value), 'split: of one packet nothing is split; add "repeat"');
    try {
      return readSplits(value.toJSON(), repeat.times);
    } catch (error) {
      if (!(error instanceof SplitError)) throw error;
      return this.fail(this.at(value), error.message);
    }
  }

  private seedOf(root: YAMLMap): number | null {
    const text = this.textOf(root, 'seed');
    if (text === null) return null;
    const seed = /^\d{1,10}$/.test(text) ? Number(text) : -1;
    if (seed >= 0 && seed <= 0xffffffff) return seed;
    return this.fail(
      this.at(root.get('seed', true) as Node),
      `seed: expected a number from 0 to 4294967295, not ${text}`,
    );
  }

  private readQueues(root: YAMLMap): string[] {
    const value = root.get('queues', true) as Node | undefined;
    if (value === undefined) return [];
    if (!isMap(value)) return this.fail(this.at(value), 'queues: a mapping like { 50-58: accept }');
    return value.items.map((pair) => {
      if (!isScalar(pair.key) || !isScalar(pair.value) || pair.value.value === null) {
        return this.fail(
          this.at(pair.key as Node),
          'queues: queue numbers and their handler, like 50-58: ./policy.mjs',
        );
      }
      return `${String(pair.key.value)}=${String(pair.value.value)}`;
    });
  }

  private readExpect(node: YAMLMap, optional: boolean): Expectation | null {
    const value = node.get('expect', true) as Node | undefined;
    if (value === undefined && optional) return null;
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
