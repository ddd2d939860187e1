import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Variant } from '../../src/extensions/contract.ts';
import { matches, targets } from '../../src/extensions/registry.ts';
import { Random } from '../kernel/random.ts';
import { Generator } from './generate.ts';
import { hasBackwardPorts } from './known.ts';
import type { Answer, RealTools } from './players.ts';
import type { Call, Scenario } from './scenario.ts';

/** What the real tool answered to one rule. */
interface Recorded {
  kind: 'match' | 'target';
  extension: string;
  family: 4 | 6;
  args: string[];
  /** The answers by name (`save`, `numeric`, `list`, or `error`), one line each. */
  answers: Record<string, string>;
}

/** Depends on the machine more than on the tool. */
const LOCAL = /localhost|name resolution|daemon|cosmos|default|--path|nosuch(user|group|\.)|not simulated/;
const CANDIDATES = 150;
const ACCEPTED = 8;
const REFUSED = 5;

/** One rule appended, and listed in the ways that vectors hold. */
function scenarioOf(family: 4 | 6, table: string, chain: string, words: string[]): Scenario {
  const call = (...args: string[]): Call => ({
    tool: '',
    family,
    args: table === 'filter' ? args : ['-t', table, ...args],
  });
  return {
    before: [],
    first: call('-A', chain, ...words),
    rest: [call('-S', chain, '1'), call('-nL', chain, '1'), call('-L', chain, '1')],
    tables: [table],
    specifications: [],
    make: () => scenarioOf(family, table, chain, words),
  };
}

/** The message without the program's name and version, the `Try` line and the empty line before it. */
export function messageOf({ status, err }: Answer): string {
  const text = err
    .replace(/^Try `.*\n/m, '')
    .replace(/^(ip6?tables)(?: v\S+ \(\w+\))?: /m, '')
    .trimEnd();
  return `${status} ${text}`;
}

export function answersOf(answers: readonly (Answer | null)[]): Record<string, string> | null {
  const [first, save, numeric, list] = answers;
  if (first == null) return null;
  if (first.status !== 0) return { error: messageOf(first) };
  if (save == null || numeric == null || list == null) return null;
  const texts: Record<string, string> = { save: save.out.trimEnd(), numeric: numeric.out.replace(/\n$/, '') };
  if (list.out !== numeric.out) texts.list = list.out.replace(/\n$/, '');
  return texts;
}

/** Asks the real tool of this namespace about rules of every extension and writes the answers as JSON. */
export function recordVectors(real: RealTools, file: string): void {
  const recorded: Recorded[] = [];
  for (const extension of [...matches, ...targets]) {
    const random = new Random(1989);
    const generator = new Generator(random, extension.name, null);
    const scenarios = Array.from({ length: CANDIDATES }, () => generator.specification())
      .filter(
        ({ chain, groups }) =>
          chain !== 'user' && !groups.flat().some((word) => /^-[vnh]$|^foo$|[^\x20-\x7e]/.test(word)),
      )
      .map(({ family, table, chain, groups }) => scenarioOf(family, table, chain, groups.flat()));
    real.play(scenarios).forEach((played, i) => {
      const { family, args } = scenarios[i]!.first;
      const answers = answersOf(played);
      if (answers === null || args.some((word) => word.length > 60)) return;
      recorded.push({ kind: extension.kind, extension: extension.name, family, args, answers });
    });
  }
  writeFileSync(file, JSON.stringify(recorded));
}

const plain = /^[\w.:,/!+=@%-]+$/;
const written = (word: string): string => (plain.test(word) ? word : JSON.stringify(word));

/** Chooses among what both variants answered and writes a file for each extension below `directory`. */
export function writeVectors(files: Readonly<Record<Variant, string>>, directory: string): number {
  const read = (file: string): Recorded[] => JSON.parse(readFileSync(file, 'utf8')) as Recorded[];
  const keyOf = ({ family, args, extension }: Recorded): string => JSON.stringify([extension, family, args]);
  const nft = new Map(read(files.nft).map((each) => [keyOf(each), each]));
  const texts = new Map<string, { lines: string[]; seen: Set<string>; accepted: number; refused: number }>();
  let count = 0;
  for (const each of read(files.legacy)) {
    const other = nft.get(keyOf(each));
    if (other === undefined || LOCAL.test(JSON.stringify([each, other]))) continue;
    const file = path.join(`${each.kind === 'match' ? 'matches' : 'targets'}`, 'vectors', `${each.extension}.txt`);
    const text = texts.get(file) ?? { lines: [], seen: new Set<string>(), accepted: 0, refused: 0 };
    texts.set(file, text);
    if (hasBackwardPorts(other.answers.save ?? '')) continue;
    const { save, error } = each.answers;
    // What is new about it: the options that are saved, or the message.
    const novelty =
      save === undefined
        ? error!.replace(/"[^"]*"|`[^']*'|\d+/g, '')
        : [...save.matchAll(/(?:! )?--?[\w-]+/g)].join(' ');
    if (text.seen.has(novelty) || (save === undefined ? text.refused >= REFUSED : text.accepted >= ACCEPTED)) continue;
    text.seen.add(novelty);
    if (save === undefined) text.refused++;
    else text.accepted++;
    count++;
    text.lines.push('', `ip${each.family === 4 ? '' : '6'}tables ${each.args.map(written).join(' ')}`);
    const names = new Set([...Object.keys(each.answers), ...Object.keys(other.answers)]);
    for (const name of names) {
      const [a, b] = [each.answers[name], other.answers[name]];
      if (a !== undefined) text.lines.push(`\t${a === b ? '' : 'legacy '}${name}: ${JSON.stringify(a).slice(1, -1)}`);
      if (b !== undefined && a !== b) text.lines.push(`\tnft ${name}: ${JSON.stringify(b).slice(1, -1)}`);
    }
  }
  for (const [file, { lines }] of texts) {
    const target = path.join(directory, file);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(
      target,
      ['# Answers of iptables 1.8.9, written by `npm run test:tools -- --vectors`.', ...lines, ''].join('\n'),
    );
  }
  return count;
}

/** A rule of a vectors file, and what the two variants answer to it. */
export interface Vector {
  family: 4 | 6;
  args: string[];
  answers: Record<Variant, Record<string, string>>;
}

/** Reads a file that writeVectors wrote. */
export function parseVectors(text: string): Vector[] {
  const vectors: Vector[] = [];
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    if (!line.startsWith('\t')) {
      const [name, ...words] = line.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
      const args = words.map((word) => (word.startsWith('"') ? (JSON.parse(word) as string) : word));
      vectors.push({ family: name === 'iptables' ? 4 : 6, args, answers: { legacy: {}, nft: {} } });
      continue;
    }
    const [, variant, name, value] = /^\t(?:(legacy|nft) )?(\w+): (.*)$/.exec(line) ?? [];
    const vector = vectors.at(-1);
    if (vector === undefined || name === undefined) throw new Error(`no vector: ${line}`);
    for (const each of ['legacy', 'nft'] as const) {
      if (variant === undefined || variant === each) vector.answers[each][name] = JSON.parse(`"${value}"`) as string;
    }
  }
  return vectors;
}

/** The scenario that asks for a vector's answers. */
export function scenarioOfVector({ family, args }: Vector): Scenario {
  const named = args[0] === '-t';
  const [, chain, ...words] = named ? args.slice(2) : args;
  return scenarioOf(family, named ? args[1]! : 'filter', chain!, words);
}
