/** The commands of ipset, in the order in which abbreviations are tried. */
export type ToolCommand =
  | 'create'
  | 'add'
  | 'del'
  | 'test'
  | 'destroy'
  | 'list'
  | 'save'
  | 'restore'
  | 'flush'
  | 'rename'
  | 'swap'
  | 'help'
  | 'version'
  | 'quit';

export interface CommandDeclaration {
  command: ToolCommand;
  names: readonly string[];
  /** Arguments that it takes: none, perhaps one, two. */
  takes: 'none' | 'optional' | 'two';
  help: string;
}

type CommandRow = readonly [ToolCommand, readonly string[], CommandDeclaration['takes'], string, string];

/** Command, its other names, what it takes, arguments and what they do as `ipset help` writes it. */
const COMMAND_ROWS: readonly CommandRow[] = [
  ['create', ['new', '-N'], 'two', 'SETNAME TYPENAME [type-specific-options]', 'Create a new set'],
  ['add', ['-A'], 'two', 'SETNAME ENTRY', 'Add entry to the named set'],
  ['del', ['-D'], 'two', 'SETNAME ENTRY', 'Delete entry from the named set'],
  ['test', ['-T'], 'two', 'SETNAME ENTRY', 'Test entry in the named set'],
  ['destroy', ['x', '-X'], 'optional', '[SETNAME]', 'Destroy a named set or all sets'],
  ['list', ['-L'], 'optional', '[SETNAME]', 'List the entries of a named set or all sets'],
  ['save', ['-S'], 'optional', '[SETNAME]', 'Save the named set or all sets to stdout'],
  ['restore', ['-R'], 'none', '', 'Restore a saved state'],
  ['flush', ['-F'], 'optional', '[SETNAME]', 'Flush a named set or all sets'],
  ['rename', ['e', '-E'], 'two', 'FROM-SETNAME TO-SETNAME', 'Rename two sets'],
  ['swap', ['w', '-W'], 'two', 'FROM-SETNAME TO-SETNAME', 'Swap the contect of two existing sets'],
  ['help', ['-h', '-H'], 'optional', '[TYPENAME]', 'Print help, and settype specific help'],
  ['version', ['-v', '-V'], 'none', '', 'Print version information'],
  ['quit', [], 'none', '', 'Quit interactive mode'],
];

export const COMMANDS: readonly CommandDeclaration[] = COMMAND_ROWS.map(
  ([command, others, takes, words, description]) => ({
    command,
    names: [command, ...others],
    takes,
    help: `${words}\n        ${description}`,
  }),
);

/** Whether a word is a command: any beginning of one of its names, two dashes in front aside. */
export function matchesCommand(word: string, names: readonly string[]): boolean {
  const rest = word.startsWith('--') ? word.slice(2) : word;
  if (rest === '' || word === '-') return false;
  return names.some((name) => name.startsWith(rest));
}

/** Options that may stand anywhere on the line. */
export type EnvironmentOption = 'output' | 'sorted' | 'quiet' | 'resolve' | 'exist' | 'name' | 'terse' | 'file';

export interface EnvironmentDeclaration {
  option: EnvironmentOption;
  names: readonly [string, string];
  argument: boolean;
  help: string;
}

/** An option with the letter that is short for it; help as the tool writes it. */
function environment(
  letter: string,
  option: EnvironmentOption,
  argument: boolean,
  help: string,
): EnvironmentDeclaration {
  return { option, names: [`-${letter}`, `-${option}`], argument, help };
}

const INDENT = '\n        ';

export const ENVIRONMENT_OPTIONS: readonly EnvironmentDeclaration[] = [
  environment(
    'o',
    'output',
    true,
    'plain|save|xml\n       Specify output mode for listing sets.\n' +
      '       Default value for "list" command is mode "plain"\n       and for "save" command is mode "save".',
  ),
  environment('s', 'sorted', false, `${INDENT}Print elements sorted (if supported by the set type).`),
  environment('q', 'quiet', false, `${INDENT}Suppress any notice or warning message.`),
  environment('r', 'resolve', false, `${INDENT}Try to resolve IP addresses in the output (slow!)`),
  environment(
    '!',
    'exist',
    false,
    `${INDENT}Ignore errors when creating or adding sets or${INDENT}elements that do exist or when deleting elements` +
      `${INDENT}that don't exist.`,
  ),
  environment('n', 'name', false, `${INDENT}When listing, just list setnames from the kernel.\n`),
  environment('t', 'terse', false, `${INDENT}When listing, list setnames and set headers${INDENT}from kernel only.`),
  environment(
    'f',
    'file',
    true,
    `${INDENT}Read from the given file instead of standard${INDENT}input (restore) or write to given file instead` +
      `${INDENT}of standard output (list/save).`,
  ),
];

/** Whether a word is one of these options; one dash in front more is allowed. */
export function matchesEnvironmentOption(word: string, names: readonly [string, string]): boolean {
  const rest = word.startsWith('--') ? word.slice(1) : word;
  return rest === names[0] || rest === names[1];
}

export const PROGRAM = 'ipset v7.17';
