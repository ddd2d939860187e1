import type { Random } from '../kernel/random.ts';
import type { Generator, Specification } from './generate.ts';

/** One call of a tool: `iptables`, `save` or `restore`, its arguments, and what it reads. */
export interface Call {
  tool: '' | 'save' | 'restore';
  family: 4 | 6;
  args: string[];
  stdin?: string;
}

/** Calls that are played one after the other on an empty ruleset; the rest only if the first one succeeds. */
export interface Scenario {
  before: Call[];
  first: Call;
  rest: Call[];
  /** The rule or rules in it, for shortening; and how the calls are made of them. */
  specifications: Specification[];
  make(specifications: readonly Specification[]): Scenario;
}

const wordsOf = (specification: Specification): string[] => specification.groups.flat();

/** A rule put in, listed in all ways, found again, changed and deleted. */
export function commandScenario(random: Random, generator: Generator): Scenario {
  const listing = random.pick([
    ['-L', '-n'],
    ['-nL', '-v', '--line-numbers'],
    ['-L', '-v'],
    ['-L', '-x', '-v'],
    ['-S', '-v'],
    ['-L', '1'],
    ['-S', '1'],
  ]);
  const second = random.pick([['-I'], ['-R', '1'], ['-I', '2'], ['-v', '-A'], ['-c', '5', '10', '-A']]);
  const make = ([specification]: readonly Specification[]): Scenario => {
    const { family, table, chain } = specification!;
    const call = (...args: string[]): Call => ({
      tool: '',
      family,
      args: table === 'filter' ? args : ['-t', table, ...args],
    });
    const words = wordsOf(specification!);
    const [flag, ...options] = listing as [string, ...string[]];
    const numbered = options.length > 0 && /^\d/.test(options[0]!);
    const list = numbered ? call(flag, chain, ...options) : call(...options, flag, chain);
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
      specifications: [specification!],
      make,
    };
  };
  return make([generator.specification()]);
}

/** A word of a restore file. */
function quoted(word: string): string {
  return /^[^\s"\\']+$/.test(word) ? word : `"${word.replace(/["\\]/g, '\\$&')}"`;
}

/** A whole file of rules, loaded and saved. */
export function restoreScenario(random: Random, generator: Generator): Scenario {
  const first = generator.specification();
  const specifications = [first];
  for (let i = random.int(0, 5); i > 0; i--) specifications.push(generator.specification());
  for (const each of specifications) each.family = first.family;
  const options = random.pick([[], [], ['-c'], ['-n'], ['-t'], ['-c', '-n'], ['-v'], ['-T', 'filter']]);
  const counters = random.chance(0.3);
  const policy = random.pick(['ACCEPT', 'DROP', 'ACCEPT', '-', 'FOO']);
  const make = (all: readonly Specification[]): Scenario => {
    const { family } = first;
    const lines = ['# made up'];
    for (const table of new Set(all.map((each) => each.table))) {
      lines.push(`*${table}`, `:OUTPUT ${policy} [3:400]`, ':foo - [0:0]', ':user - [0:0]');
      for (const each of all) {
        if (each.table !== table) continue;
        lines.push([...(counters ? ['[5:600]'] : []), '-A', each.chain, ...wordsOf(each).map(quoted)].join(' '));
      }
      lines.push('COMMIT');
    }
    return {
      before: [],
      first: { tool: 'restore', family, args: options, stdin: `${lines.join('\n')}\n` },
      rest: [
        { tool: 'save', family, args: [] },
        { tool: 'save', family, args: ['-c'] },
        { tool: '', family, args: ['-L', '-n', '-v'] },
      ],
      specifications: [...all],
      make,
    };
  };
  return make(specifications);
}
