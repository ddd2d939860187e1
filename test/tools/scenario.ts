import type { Random } from '../kernel/random.ts';
import type { Generator, Specification } from './generate.ts';

/** One call of a tool: `iptables`, `save` or `restore`, its arguments, and what it reads. */
export interface Call {
  tool: '' | 'save' | 'restore';
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
      tables: [table],
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
      tables: [...new Set(all.map((each) => each.table))],
      specifications: [...all],
      make,
    };
  };
  return make(specifications);
}

const MAIN: Readonly<Record<string, readonly string[]>> = {
  '-A': ['--append', '--app', '--a'],
  '-D': ['--delete', '--dele'],
  '-I': ['--insert', '--ins'],
  '-R': ['--replace', '--rep'],
  '-L': ['--list', '--lis'],
  '-S': ['--list-rules', '--list-'],
  '-F': ['--flush', '--fl'],
  '-Z': ['--zero', '--ze'],
  '-N': ['--new-chain', '--new'],
  '-X': ['--delete-chain', '--delete-'],
  '-E': ['--rename-chain', '--ren'],
  '-P': ['--policy', '--pol'],
  '-C': ['--check', '--che'],
};

/** Commands of all kinds one after the other, right and wrong ones. */
export function sequenceScenario(random: Random, generator: Generator): Scenario {
  const family = random.pick([4, 6] as const);
  const table = random.pick(['filter', 'filter', 'nat', 'mangle', 'raw']);
  const chains = ['OUTPUT', 'OUTPUT', 'PREROUTING', 'INPUT', 'a', 'b', 'c', 'a', 'nosuch', 'LOG', 'x'.repeat(29)];
  const chain = (): string => random.pick(random.chance(0.8) ? chains.slice(0, 8) : chains);
  const rule = (): string[] =>
    random.chance(0.7)
      ? random.pick([
          ['-j', 'ACCEPT'],
          ['-p', 'tcp', '-j', 'a'],
          ['-j', chain()],
          ['-g', 'b'],
          ['-s', '10.0.0.1'],
          ['-j', 'b'],
        ])
      : wordsOf(generator.specification());
  const number = (): string => random.pick(['1', '1', '2', '3', '0', '9', '-1', 'x']);
  const maybe = (...words: string[]): string[] => (random.chance(0.5) ? words : []);
  const one = (): string[] => {
    const command = random.pick([
      '-N',
      '-N',
      '-A',
      '-A',
      '-A',
      '-I',
      '-R',
      '-D',
      '-D',
      '-L',
      '-S',
      '-F',
      '-Z',
      '-X',
      '-E',
      '-P',
      '-C',
      '-L',
      '-S',
    ]);
    const flag = random.chance(0.1) ? random.pick(MAIN[command]!) : command;
    switch (command) {
      case '-A':
      case '-C':
        return [flag, chain(), ...rule()];
      case '-D':
        return [flag, chain(), ...(random.chance(0.5) ? [number()] : rule())];
      case '-I':
        return [flag, chain(), ...maybe(number()), ...rule()];
      case '-R':
        return [flag, chain(), number(), ...rule()];
      case '-E':
        return [flag, chain(), ...(random.chance(0.95) ? [random.pick(['a', 'b', 'c', 'd', 'OUTPUT'])] : [])];
      case '-P':
        return [
          flag,
          random.pick(['OUTPUT', 'PREROUTING', 'a', 'nosuch']),
          ...(random.chance(0.95) ? [random.pick(['ACCEPT', 'DROP', 'REJECT', 'accept'])] : []),
        ];
      case '-L':
      case '-S':
        return [
          flag,
          ...maybe(chain(), ...maybe(number())),
          ...maybe('-n'),
          ...maybe('-v'),
          ...(random.chance(0.2) ? ['-x'] : []),
          ...(random.chance(0.2) ? ['--line-numbers'] : []),
          ...(random.chance(0.1) ? ['-Z'] : []),
        ];
      default:
        return [
          flag,
          ...maybe(chain()),
          ...(command === '-Z' ? maybe(number()) : []),
          ...(random.chance(0.1) ? ['-v'] : []),
        ];
    }
  };
  const commands = Array.from({ length: random.int(4, 12) }, () => {
    const words = [
      ...one(),
      ...(random.chance(0.03) ? random.pick([['-w'], ['-4'], ['-6'], ['!'], ['-x'], ['-n'], ['extra'], one()]) : []),
    ];
    return random.chance(0.5) ? ['-t', table, ...words] : [...words, '-t', table];
  });
  // One group of words for each command, so that shortening can leave commands out.
  const make = ([specification]: readonly Specification[]): Scenario => {
    const calls = specification!.groups.map((args): Call => ({ tool: '', family, args }));
    calls.push({ tool: '', family, args: ['-t', table, '-S'] }, { tool: '', family, args: ['-t', table, '-nvL'] });
    return {
      before: [],
      first: calls[0]!,
      rest: calls.slice(1),
      regardless: true,
      tables: [table],
      specifications: [specification!],
      make,
    };
  };
  return make([{ family, table, chain: 'OUTPUT', groups: commands }]);
}
