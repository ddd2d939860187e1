import { type LongOption, longOptions, shortOptions } from '../../syntax/getopt.ts';
import { ConntrackProblem } from './problem.ts';

/** Commands in the order of the tool's table. */
export const COMMANDS = [
  'list',
  'create',
  'update',
  'delete',
  'get',
  'flush',
  'event',
  'version',
  'help',
  'expect-list',
  'expect-create',
  'expect-delete',
  'expect-get',
  'expect-flush',
  'expect-event',
  'count',
  'expect-count',
  'stats',
  'expect-stats',
  'add',
] as const;
export type CommandName = (typeof COMMANDS)[number];

/** Options in the order of the tool's table, by the names that its messages use, and the letters of getopt. */
const OPTIONS: readonly (readonly [letter: string, name: string])[] = [
  ['s', 'src'],
  ['d', 'dst'],
  ['r', 'reply-src'],
  ['q', 'reply-dst'],
  ['p', 'protonum'],
  ['t', 'timeout'],
  ['u', 'status'],
  ['z', 'zero'],
  ['e', 'event-mask'],
  ['[', 'tuple-src'],
  [']', 'tuple-dst'],
  ['{', 'mask-src'],
  ['}', 'mask-dst'],
  ['a', 'nat-range'],
  ['m', 'mark'],
  ['i', 'id'],
  ['f', 'family'],
  ['n', 'src-nat'],
  ['g', 'dst-nat'],
  ['o', 'output'],
  ['c', 'secmark'],
  ['b', 'buffer-size'],
  ['j', 'any-nat'],
  ['w', 'zone'],
  ['l', 'label'],
  ['<', 'label-add'],
  ['>', 'label-del'],
  ['(', 'orig-zone'],
  [')', 'reply-zone'],
];

/** What each command takes: 0 illegal, 1 needed, 2 may be, 3 one of the pairs is needed. Read off the real tool. */
const LEGAL: readonly string[] = [
  '22222022000220202222202220022',
  '33331120000002200220000202022',
  '22222220000220222222000022200',
  '22222220000220222222000220022',
  '33331000000000020002000020000',
  '00000000000000002000000000000',
  '22222000200220202222222220022',
  '00000000000000000000000000000',
  '00002000000000000000000000000',
  '00000000000000002002000000000',
  '11221120011110000000000000000',
  '11221000000000000000000000000',
  '11221000000000000000000000000',
  '00000000000000000000000000000',
  '00000000000000000002000000000',
  '00000000000000000000000000000',
  '00000000000000000000000000000',
  '00000000000000000000000000000',
  '00000000000000000000000000000',
  '33331120000002200220000202022',
];

const LONG: readonly (readonly [name: string, need: LongOption<string>['need'], letter: string])[] = [
  ['dump', 'optional', 'L'],
  ['create', 'optional', 'I'],
  ['add', 'optional', 'A'],
  ['delete', 'optional', 'D'],
  ['update', 'optional', 'U'],
  ['get', 'optional', 'G'],
  ['flush', 'optional', 'F'],
  ['event', 'optional', 'E'],
  ['counter', 'optional', 'C'],
  ['stats', 'none', 'S'],
  ['version', 'none', 'V'],
  ['help', 'none', 'h'],
  ['orig-src', 'required', 's'],
  ['src', 'required', 's'],
  ['orig-dst', 'required', 'd'],
  ['dst', 'required', 'd'],
  ['reply-src', 'required', 'r'],
  ['reply-dst', 'required', 'q'],
  ['protonum', 'required', 'p'],
  ['timeout', 'required', 't'],
  ['status', 'required', 'u'],
  ['zero', 'none', 'z'],
  ['event-mask', 'required', 'e'],
  ['tuple-src', 'required', '['],
  ['tuple-dst', 'required', ']'],
  ['mask-src', 'required', '{'],
  ['mask-dst', 'required', '}'],
  ['nat-range', 'required', 'a'],
  ['mark', 'required', 'm'],
  ['secmark', 'required', 'c'],
  ['id', 'optional', 'i'],
  ['family', 'required', 'f'],
  ['src-nat', 'optional', 'n'],
  ['dst-nat', 'optional', 'g'],
  ['output', 'required', 'o'],
  ['buffer-size', 'required', 'b'],
  ['any-nat', 'optional', 'j'],
  ['zone', 'required', 'w'],
  ['label', 'required', 'l'],
  ['label-add', 'required', '<'],
  ['label-del', 'optional', '>'],
  ['orig-zone', 'required', '('],
  ['reply-zone', 'required', ')'],
];

/** The long name that messages use for a letter: the tool's first. */
export function optionName(letter: string): string {
  return LONG.find(([, , id]) => id === letter)![0];
}

export const SHORT_OPTIONS = shortOptions(
  'L::I::U::D::G::E::F::A::hVs:d:r:q:p:t:u:e:a:z[:]:{:}:m:i:f:o:n::g::c:b:C::Sj::w:l:<:>::(:):',
);

/** The general long options and those of a protocol (whose ids are its own names, behind a `.`). */
export function allLongOptions(extra: readonly LongOption<string>[]) {
  return longOptions([...LONG.map(([name, need, id]) => ({ name, need, id })), ...extra]);
}

/** Whether the options seen suit the command; throws as the tool's generic_opt_check does. `pairs`: of names that go together. */
export function checkOptions(
  seen: ReadonlySet<string>,
  names: readonly string[],
  legal: string,
  pairs: readonly (readonly [string, string])[],
  incomplete: readonly [string, string],
): void {
  let special = false;
  names.forEach((name, i) => {
    const rule = legal[i] ?? '0';
    if (!seen.has(name) && rule === '1') {
      throw new ConntrackProblem(`You need to supply the \`--${name}' option for this command`);
    }
    if (seen.has(name) && rule === '0') throw new ConntrackProblem(`Illegal option \`--${name}' with this command`);
    if (rule === '3') special = true;
  });
  if (!special || pairs.some((pair) => pair.every((name) => seen.has(name)))) return;
  const begun = pairs.findIndex((pair) => pair.some((name) => seen.has(name)));
  throw new ConntrackProblem(incomplete[begun === 1 ? 1 : 0]);
}

/** The general options of a command, by letters of getopt. */
export function checkGeneralOptions(command: CommandName, letters: ReadonlySet<string>): void {
  const seen = new Set(OPTIONS.filter(([letter]) => letters.has(letter)).map(([, name]) => name));
  checkOptions(
    seen,
    OPTIONS.map(([, name]) => name),
    LEGAL[COMMANDS.indexOf(command)]!,
    [
      ['src', 'dst'],
      ['reply-src', 'reply-dst'],
    ],
    ["you have to specify `--src' and `--dst'", "you have to specify `--reply-src' and `--reply-dst'"],
  );
}
