import { UsageError } from '../extensions/contract.ts';
import type { Counters } from '../ruleset/rule.ts';
import { lineFields, scanCounters, splitCounters } from './restore-line.ts';
import { forEachLine } from './restore-options.ts';
import { type QuotedWord, quotedWords } from './words.ts';

/** Options of iptables-xml. */
export interface XmlOptions {
  /** Rules with the same conditions in a row become one with several actions. */
  combine: boolean;
  /** Each line as a comment before what is made of it. */
  verbose: boolean;
}

/** The input cannot be turned into XML: a text for stderr, or what was wrong with a line. */
export class XmlFailure extends Error {
  readonly usage: { error: UsageError; line: number } | null;
  constructor(message: string, usage: { error: UsageError; line: number } | null = null) {
    super(message);
    this.usage = usage;
  }
}

const PROGRAM = 'iptables-xml';
const MAX_NAME = 32;
const TERMINATING: ReadonlySet<string> = new Set(['ACCEPT', 'DROP', 'QUEUE', 'RETURN']);
const TARGET_OPTIONS: ReadonlySet<string> = new Set(['-j', '--jump', '-g', '--goto']);
const MATCH_OPTIONS: ReadonlySet<string> = new Set(['-m', '--module']);

const isTarget = (word: string | undefined): boolean => word !== undefined && TARGET_OPTIONS.has(word);

function encode(text: string): string {
  return text.replace(/[&<>"\x7f-\xff]/g, (character) => {
    const names: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
    return names[character] ?? `&#${character.charCodeAt(0)};`;
  });
}

function attribute(name: string, value: string): string {
  return `${name}="${encode(value)}" `;
}

/** Text for a comment: no two hyphens in a row, no newline at the end. */
function escapeComment(text: string): string {
  let result = '';
  let hyphens = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i);
    if (character === '-') {
      if (++hyphens >= 2) {
        hyphens = 0;
        result += ' ';
      }
      result += '*';
    }
    if (character !== '\n' || i + 1 < text.length) result += character;
  }
  return result;
}

interface SavedChain {
  name: string;
  policy: string;
  counters: Counters;
  opened: boolean;
}

/** What `iptables-xml` makes of iptables-save text; `out` gets it piece by piece. Throws XmlFailure. */
export function rulesToXml(input: string, options: XmlOptions, out: (text: string) => void): void {
  const writer = new XmlWriter(options, out);
  out('<iptables-rules version="1.0">\n');
  const lines = forEachLine(input, (line, number) => {
    try {
      writer.take(line, number);
    } catch (error) {
      if (error instanceof UsageError) throw new XmlFailure('', { error, line: number });
      throw error;
    }
  });
  writer.end(lines);
  out('</iptables-rules>\n');
}

class XmlWriter {
  private readonly options: XmlOptions;
  private readonly out: (text: string) => void;
  private table = '';
  private chain = '';
  private closeAction = '';
  private closeRule = '';
  private chains: SavedChain[] = [];
  private lastRule: QuotedWord[] = [];
  /** Of the last chain line: the real tool leaves them in place for one that has none. */
  private counters: Counters = { packets: 0n, bytes: 0n };

  constructor(options: XmlOptions, out: (text: string) => void) {
    this.options = options;
    this.out = out;
  }

  end(lines: number): void {
    if (this.table !== '') throw new XmlFailure(`${PROGRAM}: COMMIT expected at line ${lines + 1}\n`);
  }

  take(line: string, number: number): void {
    if (line === '\n') return;
    if (line.startsWith('#')) {
      this.out(`<!-- ${escapeComment(line)} -->\n`);
      return;
    }
    if (this.options.verbose) this.out(`<!-- line ${number} ${escapeComment(line)} -->\n`);
    if (line === 'COMMIT\n' && this.table !== '') {
      this.endTable();
    } else if (line.startsWith('*')) {
      const [name] = lineFields(line);
      if (name === undefined) throw new UsageError(`${PROGRAM}: line ${number} table name invalid`);
      this.endTable();
      this.table = name.slice(0, MAX_NAME);
      this.out(`  <table ${attribute('name', this.table)}>\n`);
    } else if (line.startsWith(':') && this.table !== '') {
      const [name, policy, counters] = lineFields(line);
      if (name === undefined) throw new UsageError(`${PROGRAM}: line ${number} chain name invalid`);
      if (policy === undefined) throw new UsageError(`${PROGRAM}: line ${number} policy invalid`);
      const [packets = this.counters.packets, bytes = this.counters.bytes] = scanCounters(counters ?? '');
      this.counters = { packets, bytes };
      this.chains.push({ name, policy, counters: this.counters, opened: false });
    } else if (this.table !== '') {
      this.rule(line, number);
    } else {
      throw new XmlFailure(`${PROGRAM}: line ${number} failed\n`);
    }
  }

  private endChain(): void {
    if (this.chain === '') return;
    if (this.closeAction !== '') this.out(`${this.closeAction}\n`);
    if (this.closeRule !== '') this.out(`${this.closeRule}\n`);
    this.closeAction = '';
    this.closeRule = '';
    this.out('    </chain>\n');
    this.chain = '';
  }

  private openChain(chain: SavedChain, empty: boolean): void {
    this.endChain();
    const name = chain.name.slice(0, MAX_NAME);
    let text = `    <chain ${attribute('name', name)}`;
    if (chain.policy !== '-') text += attribute('policy', chain.policy);
    text += `packet-count="${BigInt.asIntN(64, chain.counters.packets)}" `;
    text += `byte-count="${BigInt.asIntN(64, chain.counters.bytes)}" `;
    this.out(`${text}${empty ? '/' : ''}>\n`);
    if (!empty) this.chain = name;
  }

  private endTable(): void {
    this.endChain();
    for (const chain of this.chains) if (!chain.opened) this.openChain(chain, true);
    this.chains = [];
    if (this.table !== '') this.out('  </table>\n');
    this.table = '';
  }

  private rule(line: string, number: number): void {
    const { counters, rest } = splitCounters(line, number);
    const words = quotedWords(rest);
    const append = words.findIndex(({ word }, i) => word === '-A' && i + 1 < words.length);
    const chainName = words[append + 1]?.word;
    if (append < 0 || chainName === undefined) {
      throw new XmlFailure(`${PROGRAM}: line ${number} failed - no chain found\n`);
    }
    if (this.chain !== chainName) {
      for (const chain of this.chains) {
        if (chain.name !== chainName) continue;
        this.openChain(chain, false);
        chain.opened = true;
      }
    }
    if (this.options.combine && words.length > 2 && !isTarget(words[2]?.word) && this.sameConditions(words)) {
      this.out(`<!-- ${escapeComment('Combine action from next rule')} -->\n`);
    } else {
      this.openRule(words, counters);
    }
    if (this.closeAction === '') {
      this.out('       <actions>\n');
      this.closeAction = '       </actions>\n';
    }
    this.part(words, 'actions');
    this.lastRule = words;
  }

  private openRule(words: readonly QuotedWord[], counters: readonly [string, string] | null): void {
    if (this.closeAction !== '') this.out(`${this.closeAction}\n`);
    if (this.closeRule !== '') this.out(`${this.closeRule}\n`);
    this.closeAction = '';
    let text = '      <rule ';
    if (counters !== null) text += attribute('packet-count', counters[0]) + attribute('byte-count', counters[1]);
    this.out(`${text}>\n`);
    this.closeRule = '      </rule>\n';
    if (words.length < 3 || isTarget(words[2]?.word)) return;
    this.out('       <conditions>\n');
    this.part(words, 'conditions');
    this.out('       </conditions>\n');
  }

  /** Whether the rule has the conditions of the one before, which did not end in a verdict. */
  private sameConditions(words: readonly QuotedWord[]): boolean {
    const old = this.lastRule;
    for (let i = 0; i < words.length && i < old.length; i++) {
      const word = words[i]?.word as string;
      const before = old[i]?.word as string;
      if (isTarget(word) && isTarget(before)) {
        const goal = old[i + 1]?.word;
        return !(
          before === '-g' ||
          before === '--goto' ||
          ((before === '-j' || before === '--jump') && goal !== undefined && TERMINATING.has(goal))
        );
      }
      if (word !== before) return false;
    }
    return false;
  }

  private isChain(name: string): boolean {
    return this.chain === name || this.chains.some((chain) => chain.name === name);
  }

  /** The conditions of a rule (all before its target) or its actions (target and options). */
  private part(words: readonly QuotedWord[], part: 'conditions' | 'actions'): void {
    let i = 2;
    const plain = (index: number): string | undefined =>
      words[index]?.quoted === false ? (words[index] as QuotedWord).word : undefined;
    const text = (index: number): string | undefined => words[index]?.word;
    if (part === 'actions') while (i < words.length && !isTarget(plain(i))) i++;
    let outer = '';
    let inner = '';
    const closeInner = (): void => {
      if (inner !== '') this.out(`</${inner}>\n`);
      inner = '';
    };
    const closeOuter = (): void => {
      if (outer !== '') this.out(`        </${outer}>\n`);
      outer = '';
    };
    const first = text(i) === '!' ? i + 1 : i;
    const start = text(first);
    if (start?.startsWith('-') === true && !isTarget(start) && start !== '-m') {
      this.out('        <match >\n');
      outer = 'match';
    }
    let spacer = '';
    let inverted = false;
    for (; i < words.length; i++) {
      const word = plain(i);
      if (part === 'conditions' && isTarget(word)) break;
      if (word === '!') {
        if (text(i + 1)?.startsWith('-') === true) inverted = true;
        else this.out(`${spacer}!`);
        spacer = ' ';
      } else if (isTarget(word) && i + 1 < words.length && this.isChain(text(i + 1) as string)) {
        closeInner();
        closeOuter();
        spacer = '';
        inverted = false;
        const tag = word === '-g' || word === '--goto' ? 'goto' : 'call';
        i++;
        this.out(`        <${tag} >\n          <${text(i)} />\n`);
        outer = tag;
      } else if (word !== undefined && (isTarget(word) || MATCH_OPTIONS.has(word))) {
        if (i + 1 >= words.length) break;
        closeInner();
        closeOuter();
        spacer = '';
        inverted = false;
        i++;
        this.out(`        <${text(i)} `);
        const next = plain(i + 1);
        if (i + 1 >= words.length || isTarget(next) || (next !== undefined && MATCH_OPTIONS.has(next))) {
          this.out(' />\n');
        } else {
          this.out('>\n');
          outer = text(i) as string;
        }
      } else if (word?.startsWith('-') === true) {
        closeInner();
        spacer = '';
        const tag = word.replace(/^-+/, '');
        this.out(`          <${tag} ${inverted ? ' invert="1"' : ''}`);
        inverted = false;
        if (i + 1 >= words.length || text(i + 1)?.startsWith('-') === true) {
          this.out(' />\n');
        } else {
          this.out('>');
          inner = tag;
        }
      } else {
        const { word: data, quoted } = words[i] as QuotedWord;
        const mark = quoted || data.includes(' ') ? '&quot;' : '';
        this.out(`${spacer}${mark}${encode(data)}${mark}`);
        spacer = ' ';
      }
    }
    closeInner();
    closeOuter();
  }
}
