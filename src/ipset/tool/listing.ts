import type { SetKernel } from '../kernel.ts';
import type { IpSet } from '../set.ts';
import type { PrintOptions } from '../syntax/print.ts';
import { elementText, optionsText, optionsXml } from '../syntax/print.ts';
import type { SetNames, Values } from '../syntax/session.ts';
import { setTypeByName } from '../syntax/set-types.ts';
import type { SetTypeSyntax } from '../syntax/type-syntax.ts';
import { compareElements } from './sort.ts';

export type OutputMode = 'plain' | 'save' | 'xml';

export interface ListingOptions {
  mode: OutputMode;
  names: SetNames;
  resolve: boolean;
  sorted: boolean;
  /** Headers as with `-terse`. */
  terse: boolean;
  /** Whether elements follow. */
  members: boolean;
}

/** The header of a set as values for printing. */
function headerValues(set: IpSet): Values & { elements: number; memory: number } {
  const { comment, ...rest } = set.header();
  return comment ? { ...rest, createComment: true } : rest;
}

/** A word of a line for restore. */
function quoted(word: string): string {
  return word === '' || /\s/.test(word) ? `"${word}"` : word;
}

function headerText(
  kernel: SetKernel,
  set: IpSet,
  type: SetTypeSyntax,
  options: ListingOptions,
  quote: boolean,
): string {
  const print: PrintOptions = { family: set.family, names: options.names, resolve: options.resolve };
  const values = headerValues(set);
  if (options.mode === 'save') {
    const name = quote ? quoted(set.name) : set.name;
    return `create ${name} ${type.name}${optionsText(type.create.options, values, print)}\n`;
  }
  const revision = type.revisions[0]![0];
  const references = kernel.references(set);
  if (options.mode === 'xml') {
    return (
      `<ipset name="${set.name}">\n<type>${type.name}</type>\n<revision>${revision}</revision>\n` +
      `<header>${optionsXml(type.create.options, values, print)}\n<memsize>${values.memory}</memsize>\n` +
      `<references>${references}</references>\n<numentries>${values.elements}</numentries>\n` +
      `</header>\n${options.terse ? '' : '<members>\n'}`
    );
  }
  return (
    `Name: ${set.name}\nType: ${type.name}\nRevision: ${revision}\n` +
    `Header:${optionsText(type.create.options, values, print)}\nSize in memory: ${values.memory}\n` +
    `References: ${references}\nNumber of entries: ${values.elements}\n${options.terse ? '' : 'Members:\n'}`
  );
}

/** Lines collected before they are handed on together. */
const CHUNK = 20000;

/** Prints one set. `quote`: words with blanks in them are put in quotes, which the real tool does not do. */
export function listSet(
  kernel: SetKernel,
  set: IpSet,
  options: ListingOptions,
  out: (text: string) => void,
  quote = false,
): void {
  const type = setTypeByName(set.typeName)!;
  const print: PrintOptions = { family: set.family, names: options.names, resolve: options.resolve };
  const lines: string[] = [headerText(kernel, set, type, options, quote)];
  const sorted: { key: string; line: string }[] = [];
  const sort = options.sorted && type.name.startsWith('hash:');
  const prefix = `add ${quote ? quoted(set.name) : set.name} `;
  if (options.members) {
    set.forEach((entry) => {
      const plain = elementText(type, entry, print);
      const element = quote ? quoted(plain) : plain;
      if (options.mode === 'xml') {
        const line = `<member><elem>${element}</elem>${optionsXml(type.add.options, entry, print)}</member>\n`;
        if (sort) sorted.push({ key: line.slice('<member><elem>'.length), line });
        else lines.push(line);
      } else {
        const text = `${element}${optionsText(type.add.options, entry, print)}\n`;
        const line = options.mode === 'save' ? prefix + text : text;
        if (sort) sorted.push({ key: text, line });
        else lines.push(line);
      }
      if (lines.length >= CHUNK) {
        out(lines.join(''));
        lines.length = 0;
      }
    });
  }
  if (sort) {
    const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
    sorted.sort((a, b) => (options.resolve ? byText(a.line, b.line) : compareElements(a.key, b.key)));
    for (const { line } of sorted) lines.push(line);
  }
  if (options.mode === 'xml') lines.push(options.terse ? '</ipset>\n' : '</members>\n</ipset>\n');
  out(lines.join(''));
}

/** Prints sets one after the other, or only their names (which `save` does not do). */
export function listSets(
  kernel: SetKernel,
  sets: readonly IpSet[],
  options: ListingOptions,
  namesOnly: boolean,
  out: (text: string) => void,
): void {
  const { mode } = options;
  if (mode === 'xml') out('<ipsets>\n');
  sets.forEach((set, i) => {
    if (namesOnly && mode !== 'save') {
      out(mode === 'xml' ? `<ipset name="${set.name}"/>\n` : `${set.name}\n`);
      return;
    }
    if (mode === 'plain' && i > 0) out('\n');
    listSet(kernel, set, options, out);
  });
  if (mode === 'xml') out('</ipsets>\n');
}
