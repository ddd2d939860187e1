import type { Random } from '../kernel/random.ts';
import { COUNTERS, type Generator, type Specification } from './generate.ts';
import { type Call, type Scenario, wordsOf } from './scenario.ts';

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

/** What may stand beside a command, rightly or not. */
const EXTRA = [
  ['-w'],
  ['-w', '5'],
  ['--wait=2'],
  ['-W', '100'],
  ['-4'],
  ['-6'],
  ['--ipv4'],
  ['!'],
  ['-x'],
  ['-n'],
  ['-v'],
  ['-vv'],
  ['--line-numbers'],
  ['extra'],
  ['-h'],
  ['-V'],
  ['--version'],
  ['-M', '/bin/true'],
  ['-c', '1', '2'],
  ['-t', 'nosuch'],
  ['--table=nat'],
  ['--nosuch'],
  ['-?'],
  ['--'],
];

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
  const counter = (): string => String(random.pick(COUNTERS));
  const counters = (): string[] =>
    random.chance(0.2)
      ? random.pick([
          ['-c', counter(), counter()],
          ['--set-counters', counter(), counter()],
        ])
      : [];
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
        return [flag, chain(), ...rule(), ...counters()];
      case '-D':
        return [flag, chain(), ...(random.chance(0.5) ? [number()] : rule())];
      case '-I':
        return [flag, chain(), ...maybe(number()), ...rule(), ...counters()];
      case '-R':
        return [flag, chain(), number(), ...rule(), ...counters()];
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
          ...(random.chance(0.3) ? ['-x'] : []),
          ...(random.chance(0.3) ? ['--line-numbers'] : []),
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
    const words = [...one(), ...(random.chance(0.03) ? random.pick([...EXTRA, one()]) : [])];
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
