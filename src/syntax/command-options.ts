import { type ArgumentNeed, type LongOption, shortOptions } from './getopt.ts';

/** Commands as bits, in the order of the real `CMD_*` values: error texts and legality checks depend on it. */
export const Cmd = {
  insert: 1 << 0,
  delete: 1 << 1,
  deleteNumber: 1 << 2,
  replace: 1 << 3,
  append: 1 << 4,
  list: 1 << 5,
  flush: 1 << 6,
  zero: 1 << 7,
  newChain: 1 << 8,
  deleteChain: 1 << 9,
  setPolicy: 1 << 10,
  renameChain: 1 << 11,
  listRules: 1 << 12,
  zeroNumber: 1 << 13,
  check: 1 << 14,
} as const;

const COMMAND_LETTERS = 'IDDRALFZNXPESZC';

/** Letter of the highest command bit. */
export function commandLetter(command: number): string {
  return COMMAND_LETTERS.charAt(31 - Math.clz32(command));
}

/** Options as bits, in the order of the real `OPT_*` values. */
export const Opt = {
  numeric: 1 << 0,
  source: 1 << 1,
  destination: 1 << 2,
  protocol: 1 << 3,
  jump: 1 << 4,
  verbose: 1 << 5,
  expanded: 1 << 6,
  inInterface: 1 << 7,
  outInterface: 1 << 8,
  lineNumbers: 1 << 9,
  counters: 1 << 10,
  fragment: 1 << 11,
} as const;

const OPTION_LETTERS = 'nsdpjvxio0cf';

/** Letter of the highest option bit (`0` is --line-numbers). */
export function optionLetter(option: number): string {
  return OPTION_LETTERS.charAt(31 - Math.clz32(option));
}

/** Options that may have `!` before them. */
export const INVERTIBLE =
  Opt.source | Opt.destination | Opt.protocol | Opt.inInterface | Opt.outInterface | Opt.fragment;

const all = (1 << OPTION_LETTERS.length) - 1;
const ruleOptions = all & ~(Opt.numeric | Opt.expanded | Opt.lineNumbers);

/** Which options a command takes; where several commands stand together, one that takes it is enough. */
const LEGAL: readonly (readonly [command: number, options: number])[] = [
  [Cmd.insert, ruleOptions],
  [Cmd.delete, ruleOptions & ~Opt.counters],
  [Cmd.deleteNumber, Opt.verbose],
  [Cmd.replace, ruleOptions],
  [Cmd.append, ruleOptions],
  [Cmd.list, Opt.numeric | Opt.verbose | Opt.expanded | Opt.lineNumbers],
  [Cmd.flush, Opt.verbose],
  [Cmd.zero, Opt.verbose],
  [Cmd.newChain, Opt.verbose],
  [Cmd.deleteChain, Opt.verbose],
  [Cmd.setPolicy, Opt.verbose | Opt.counters],
  [Cmd.renameChain, Opt.verbose],
  [Cmd.listRules, Opt.verbose],
  [Cmd.zeroNumber, Opt.verbose],
  [Cmd.check, ruleOptions & ~Opt.counters],
];

/** The first option (by bit) that none of the commands takes, or 0. */
export function illegalOption(command: number, options: number): number {
  let legal = 0;
  for (const [bit, takes] of LEGAL) if ((command & bit) !== 0) legal |= takes;
  const illegal = options & ~legal;
  return illegal & -illegal;
}

const long = (name: string, need: ArgumentNeed, id: string): LongOption<string> => ({ name, need, id });

/** Short options of iptables and ip6tables. */
export const SHORT_OPTIONS = shortOptions('A:C:D:E:F::I:L::M:N:P:VX::Z::c:d:i:j:o:p:s:t:R:S::W::46bfg:h::m:nvw::x');

/** Long options of iptables and ip6tables, in the order of the real table; ids are the letters of the short ones. */
export const LONG_OPTIONS: readonly LongOption<string>[] = [
  long('append', 'required', 'A'),
  long('delete', 'required', 'D'),
  long('check', 'required', 'C'),
  long('insert', 'required', 'I'),
  long('replace', 'required', 'R'),
  long('list', 'optional', 'L'),
  long('list-rules', 'optional', 'S'),
  long('flush', 'optional', 'F'),
  long('zero', 'optional', 'Z'),
  long('new-chain', 'required', 'N'),
  long('delete-chain', 'optional', 'X'),
  long('rename-chain', 'required', 'E'),
  long('policy', 'required', 'P'),
  long('source', 'required', 's'),
  long('destination', 'required', 'd'),
  long('src', 'required', 's'),
  long('dst', 'required', 'd'),
  long('protocol', 'required', 'p'),
  long('in-interface', 'required', 'i'),
  long('jump', 'required', 'j'),
  long('table', 'required', 't'),
  long('match', 'required', 'm'),
  long('numeric', 'none', 'n'),
  long('out-interface', 'required', 'o'),
  long('verbose', 'none', 'v'),
  long('wait', 'optional', 'w'),
  long('wait-interval', 'optional', 'W'),
  long('exact', 'none', 'x'),
  long('fragments', 'none', 'f'),
  long('version', 'none', 'V'),
  long('help', 'optional', 'h'),
  long('line-numbers', 'none', '0'),
  long('modprobe', 'required', 'M'),
  long('set-counters', 'required', 'c'),
  long('goto', 'required', 'g'),
  long('ipv4', 'none', '4'),
  long('ipv6', 'none', '6'),
];
