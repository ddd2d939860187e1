import type { Random } from '../kernel/random.ts';
import { COUNTERS, type Generator, type Specification } from './generate.ts';

/** One call of a tool: `iptables`, `save`, `restore` or `xml`, its arguments, and what it reads. */
export interface Call {
  tool: '' | 'save' | 'restore' | 'xml';
  family: 4 | 6;
  args: string[];
  stdin?: string;
}

/** Calls that are played one after the other on an empty ruleset. */
export interface Scenario {
  before: Call[];
  first: Call;
  rest: Call[];
  /** Whether the rest is played even if the first call fails. */
  regardless?: boolean;
  /** Tables that are not empty afterwards. */
  tables: readonly string[];
  /** The rule or rules in it, for shortening; and how the calls are made of them. */
  specifications: Specification[];
  make(specifications: readonly Specification[]): Scenario;
}

/** The words of a rule specification. */
export const wordsOf = (specification: Specification): string[] => specification.groups.flat();

/** `-L` or `-S` in every form, with any combination of what shapes a listing; the chain's name is still to come. */
export function listingWords(random: Random): string[] {
  const flag = random.pick(['-L', '-L', '-L', '--list', '-S', '--list-rules']);
  const shapes = [
    ['-v', '--verbose'],
    ['-n', '--numeric'],
    ['-x', '--exact'],
    ['--line-numbers', '--line-n'],
  ].filter(() => random.chance(0.5));
  const words = shapes.map((names) => random.pick([names[0]!, names[0]!, names[1]!]));
  if (random.chance(0.08)) words.push('-vv');
  if (random.chance(0.2)) return [flag, random.pick(['1', '2', '1']), ...words];
  if (flag === '-L' && random.chance(0.3)) {
    const letters = shapes.map(([name]) => name!).filter((name) => name.length === 2);
    return [`-${letters.map((name) => name[1]).join('')}L`, ...words.filter((word) => word.startsWith('--li'))];
  }
  return random.chance(0.5) ? [flag, ...words] : [...words, flag];
}

/** A rule put in, listed in all ways, found again, changed and deleted. */
export function commandScenario(random: Random, generator: Generator): Scenario {
  const listing = listingWords(random);
  const second = random.pick([
    ['-I'],
    ['-R', '1'],
    ['-I', '2'],
    ['-v', '-A'],
    ['-c', '5', '10', '-A'],
    ['-c', String(random.pick(COUNTERS)), String(random.pick(COUNTERS)), '-A'],
  ]);
  const make = ([specification]: readonly Specification[]): Scenario => {
    const { family, table, chain } = specification!;
    const call = (...args: string[]): Call => ({
      tool: '',
      family,
      args: table === 'filter' ? args : ['-t', table, ...args],
    });
    const words = wordsOf(specification!);
    const list = call(...listing.flatMap((word) => (/^-(-list|.*[LS]$)/.test(word) ? [word, chain] : [word])));
    const change =
      second[0] === '-v' || second[0] === '-c'
        ? call(...second, chain, ...words)
        : call(second[0]!, chain, ...second.slice(1), ...words);
    const before = words.includes('foo') || chain === 'user' ? [call('-N', 'foo'), call('-N', 'user')] : [];
    return {
      before,
      first: call('-A', chain, ...words),
      rest: [
        call('-S', chain),
        call('-nvL', chain),
        call('-L', chain),
        list,
        call('-C', chain, ...words),
        change,
        call('-S', chain),
        call('-D', chain, ...words),
        call('-S', chain),
      ],
      tables: [table],
      specifications: [specification!],
      make,
    };
  };
  return make([generator.specification()]);
}
