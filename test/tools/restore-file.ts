import type { Random } from '../kernel/random.ts';
import { COUNTERS, type Generator, type Specification } from './generate.ts';
import { CHAINS } from './places.ts';
import { type Call, type Scenario, wordsOf } from './scenario.ts';

/** A word of a restore file. */
function quoted(word: string): string {
  return /^[^\s"\\']+$/.test(word) ? word : `"${word.replace(/["\\]/g, '\\$&')}"`;
}

/** A word as people write it too: in quotes that it does not need, or without those that it does. */
function written(random: Random, word: string): string {
  if (random.chance(0.02)) return `"${word}"`;
  if (random.chance(0.01)) return word;
  if (random.chance(0.01)) return `'${word}'`;
  return quoted(word);
}

/** Lines that do not belong where they stand, or are hardly lines at all. */
const ODD_LINES = [
  '',
  '# a comment',
  ' # not quite one',
  '   ',
  'COMMIT',
  'COMMIT ',
  ' COMMIT',
  '*filter',
  '*nosuch',
  '*',
  '* filter',
  '*nat extra',
  ':',
  ':INPUT',
  ':INPUT ACCEPT',
  ':INPUT DROP [1:2] extra',
  ':INPUT ACCEPT [x:y]',
  ':INPUT ACCEPT [5]',
  ':foo ACCEPT [0:0]',
  ':foo -',
  ': foo - [0:0]',
  ':ACCEPT - [0:0]',
  ':LOG - [0:0]',
  ':averyveryverylongchainname0123 - [0:0]',
  ':a"b - [0:0]',
  '-N foo',
  '-N bar',
  '-F',
  '-F foo',
  '-X',
  '-X bar',
  '-P INPUT DROP',
  '-P FOO DROP',
  '-Z',
  '-E foo bar',
  '-D INPUT 1',
  '-I INPUT -j foo',
  '-I INPUT 2 -j ACCEPT',
  '-R INPUT 1 -j DROP',
  '-A INPUT -j NOSUCH',
  '-A NOSUCH -j ACCEPT',
  '-A INPUT -j "ACCEPT',
  '-A INPUT -m comment --comment "two words" -j ACCEPT',
  "-A INPUT -m comment --comment 'two words' -j ACCEPT",
  '-A INPUT -m comment --comment "a\\"b\\\\c" -j ACCEPT',
  '-A INPUT -m comment --comment a"b c"d -j ACCEPT',
  '-A INPUT -m comment --comment "" -j ACCEPT',
  '\t-A INPUT\t-j\tACCEPT\t',
  '-A INPUT -s 10.0.0.1,10.0.0.2 -j ACCEPT',
  '[5:600] -A INPUT -j ACCEPT',
  '[5:600]-A INPUT -j ACCEPT',
  '[5] -A INPUT -j ACCEPT',
  '[x:1] -A INPUT -j ACCEPT',
  '[1:x] -A INPUT -j ACCEPT',
  '[5:600 -A INPUT -j ACCEPT',
  '[] -A INPUT -j ACCEPT',
  '[1:2]',
  '-A INPUT -c 3 4 -j ACCEPT',
  '-t filter -A INPUT -j ACCEPT',
  '-A INPUT -t nat -j ACCEPT',
  '-A INPUT --table nat -j ACCEPT',
  '-A INPUT -j ACCEPT --tab x',
  '-A INPUT -w -j ACCEPT',
  '-A INPUT -4 -j ACCEPT',
  '-6 -A INPUT -j ACCEPT',
  '-L',
  '-S INPUT',
  '-C INPUT -j ACCEPT',
  '-h',
  '-V',
  '-A',
  'garbage',
  '-A INPUT -p tcp --dport 22 -j',
  '-A INPUT -j ACCEPT extra',
  `-A INPUT -m comment --comment ${'x'.repeat(257)} -j ACCEPT`,
  `# ${'x'.repeat(11000)}`,
  `-A INPUT ${Array.from({ length: 260 }, () => '-v').join(' ')}`,
];

const OPTIONS = [
  [],
  [],
  [],
  ['-c'],
  ['--counters'],
  ['-n'],
  ['--noflush'],
  ['-t'],
  ['--test'],
  ['-c', '-n'],
  ['-v'],
  ['-v', '-n'],
  ['-T', 'filter'],
  ['--table=nat'],
  ['-T', 'nosuch'],
  ['-w'],
  ['-w', '5'],
  ['--wait=5', '-W', '100'],
  ['-M', '/bin/true'],
  ['--modprobe=x'],
  ['-b'],
  ['-nt'],
  ['--nof', '--cou'],
  ['-4'],
  ['-x'],
  ['-'],
  ['--', '-'],
  ['a', 'b'],
  ['/nosuch/file'],
];

const SAVES = [
  [],
  ['-c'],
  ['--counters'],
  ['-t', 'filter'],
  ['--table=nat'],
  ['-t', 'nosuch'],
  ['-c', '-t', 'mangle'],
  ['-M', '/bin/true'],
  ['-d'],
  ['-b'],
  ['-x'],
  ['extra'],
  ['-f', '/nosuch/file'],
];

/** The lines of a file of rules, in the order of their tables. */
function fileLines(random: Random, all: readonly Specification[]): string[] {
  const counters = random.chance(0.3);
  const counter = (): string =>
    `[${random.chance(0.7) ? '5:600' : `${random.pick(COUNTERS)}:${random.pick(COUNTERS)}`}]`;
  const policy = random.pick(['ACCEPT', 'DROP', 'ACCEPT', '-', 'FOO']);
  const odd = random.chance(0.5);
  const lines = ['# made up'];
  for (const table of new Set(all.map((each) => each.table))) {
    lines.push(`*${table}`, `:${random.pick(CHAINS[table]!)} ${policy} [3:400]`, ':foo - [0:0]', ':user - [0:0]');
    for (const each of all) {
      if (each.table !== table) continue;
      const words = wordsOf(each).map((word) => written(random, word));
      lines.push([...(counters ? [counter()] : []), '-A', each.chain, ...words].join(' '));
    }
    lines.push('COMMIT');
  }
  if (odd) {
    for (let i = random.int(1, 3); i > 0; i--) lines.splice(random.int(0, lines.length), 0, random.pick(ODD_LINES));
    if (random.chance(0.15)) lines.splice(random.int(0, lines.length - 1), 1);
  }
  return lines;
}

/** A whole file of rules, loaded, saved and made XML of; sometimes a second one on top of it. */
export function restoreScenario(random: Random, generator: Generator): Scenario {
  const first = generator.specification();
  const specifications = [first];
  for (let i = random.int(0, 5); i > 0; i--) specifications.push(generator.specification());
  for (const each of specifications) each.family = first.family;
  const { family } = first;
  const options = random.pick(OPTIONS);
  const again = random.chance(0.3) ? random.pick(OPTIONS) : null;
  const saving = random.pick(SAVES);
  const combine = random.pick([[], [], ['-c'], ['--combine'], ['-v']]);
  const ending = random.chance(0.95) ? '\n' : '';
  const tables = Object.keys(CHAINS);
  // One group for each line, so that shortening can leave lines out.
  const make = ([file]: readonly Specification[]): Scenario => {
    const stdin = file!.groups.map(([line]) => line).join('\n') + ending;
    const call = (tool: Call['tool'], ...args: string[]): Call => ({ tool, family, args });
    const rest: Call[] = [call('save'), call('save', '-c'), call('', '-L', '-n', '-v')];
    if (again !== null) rest.push({ tool: 'restore', family, args: again, stdin }, call('save', '-c'));
    rest.push(call('save', ...saving), { tool: 'xml', family, args: combine, stdin });
    return {
      before: [],
      first: { tool: 'restore', family, args: options, stdin },
      rest,
      regardless: true,
      tables,
      specifications: [file!],
      make,
    };
  };
  const groups = fileLines(random, specifications).map((line) => [line]);
  return make([{ family, table: first.table, chain: first.chain, groups }]);
}
