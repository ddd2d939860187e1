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

export const COMMANDS: readonly CommandDeclaration[] = [
  {
    command: 'create',
    names: ['create', 'new', '-N'],
    takes: 'two',
    help: 'SETNAME TYPENAME [type-specific-options]\n        Create a new set',
  },
  {
    command: 'add',
    names: ['add', '-A'],
    takes: 'two',
    help: 'SETNAME ENTRY\n        Add entry to the named set',
  },
  {
    command: 'del',
    names: ['del', '-D'],
    takes: 'two',
    help: 'SETNAME ENTRY\n        Delete entry from the named set',
  },
  {
    command: 'test',
    names: ['test', '-T'],
    takes: 'two',
    help: 'SETNAME ENTRY\n        Test entry in the named set',
  },
  {
    command: 'destroy',
    names: ['destroy', 'x', '-X'],
    takes: 'optional',
    help: '[SETNAME]\n        Destroy a named set or all sets',
  },
  {
    command: 'list',
    names: ['list', '-L'],
    takes: 'optional',
    help: '[SETNAME]\n        List the entries of a named set or all sets',
  },
  {
    command: 'save',
    names: ['save', '-S'],
    takes: 'optional',
    help: '[SETNAME]\n        Save the named set or all sets to stdout',
  },
  { command: 'restore', names: ['restore', '-R'], takes: 'none', help: '\n        Restore a saved state' },
  {
    command: 'flush',
    names: ['flush', '-F'],
    takes: 'optional',
    help: '[SETNAME]\n        Flush a named set or all sets',
  },
  {
    command: 'rename',
    names: ['rename', 'e', '-E'],
    takes: 'two',
    help: 'FROM-SETNAME TO-SETNAME\n        Rename two sets',
  },
  {
    command: 'swap',
    names: ['swap', 'w', '-W'],
    takes: 'two',
    help: 'FROM-SETNAME TO-SETNAME\n        Swap the contect of two existing sets',
  },
  {
    command: 'help',
    names: ['help', '-h', '-H'],
    takes: 'optional',
    help: '[TYPENAME]\n        Print help, and settype specific help',
  },
  { command: 'version', names: ['version', '-v', '-V'], takes: 'none', help: '\n        Print version information' },
  { command: 'quit', names: ['quit'], takes: 'none', help: '\n        Quit interactive mode' },
];

/** Whether a word is a command: any beginning of one of its names, two dashes in front aside. */
export function matchesCommand(word: string, names: readonly string[]): boolean {
  const rest = word.startsWith('--') ? word.slice(2) : word;
  if (rest === '' || word === '-') return false;
  return names.some((name) => name.startsWith(rest));
}

/** Options that may stand anywhere on the line. */
export type EnvironmentOption = 'output' | 'sorted' | 'quiet' | 'resolve' | 'exist' | 'name' | 'terse' | 'file';

export const ENVIRONMENT_OPTIONS: readonly {
  option: EnvironmentOption;
  names: readonly [string, string];
  argument: boolean;
  help: string;
}[] = [
  {
    option: 'output',
    names: ['-o', '-output'],
    argument: true,
    help:
      'plain|save|xml\n       Specify output mode for listing sets.\n' +
      '       Default value for "list" command is mode "plain"\n       and for "save" command is mode "save".',
  },
  {
    option: 'sorted',
    names: ['-s', '-sorted'],
    argument: false,
    help: '\n        Print elements sorted (if supported by the set type).',
  },
  {
    option: 'quiet',
    names: ['-q', '-quiet'],
    argument: false,
    help: '\n        Suppress any notice or warning message.',
  },
  {
    option: 'resolve',
    names: ['-r', '-resolve'],
    argument: false,
    help: '\n        Try to resolve IP addresses in the output (slow!)',
  },
  {
    option: 'exist',
    names: ['-!', '-exist'],
    argument: false,
    help:
      '\n        Ignore errors when creating or adding sets or\n        elements that do exist or when deleting elements\n' +
      "        that don't exist.",
  },
  {
    option: 'name',
    names: ['-n', '-name'],
    argument: false,
    help: '\n        When listing, just list setnames from the kernel.\n',
  },
  {
    option: 'terse',
    names: ['-t', '-terse'],
    argument: false,
    help: '\n        When listing, list setnames and set headers\n        from kernel only.',
  },
  {
    option: 'file',
    names: ['-f', '-file'],
    argument: true,
    help:
      '\n        Read from the given file instead of standard\n        input (restore) or write to given file instead\n' +
      '        of standard output (list/save).',
  },
];

/** Whether a word is one of these options; one dash in front more is allowed. */
export function matchesEnvironmentOption(word: string, names: readonly [string, string]): boolean {
  const rest = word.startsWith('--') ? word.slice(1) : word;
  return rest === names[0] || rest === names[1];
}

export const PROGRAM = 'ipset v7.17';
