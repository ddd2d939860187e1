import { existsSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { CollectedError, noteText } from '../../collected/collection.ts';
import { hostYaml } from '../../collected/host-yaml.ts';
import { type CollectedMachine, readMachine } from '../../collected/machine.ts';
import type { MachineMemory } from '../../datapath/machine-contract.ts';
import { readSetHeaders } from '../../ipset/index.ts';
import { makeDirectory, readStateFile, StateError, writeStateFile } from '../../state/files.ts';
import { lockDirectory } from '../../state/lock.ts';
import { writeMachineMemory } from '../../state/machine-memory.ts';
import { systemNames } from '../../state/names.ts';
import { readRules } from '../../syntax/rules-reader.ts';
import { RulesError } from '../../syntax/save-format.ts';
import type { Command as CliCommand, Io } from '../io.ts';
import { runAction } from '../own-command.ts';
import { conntrack } from './conntrack.ts';

const EXAMPLES = `
Examples:
  On the machine, as root (adapters/collect/iptsim-collect.sh only reads):
    sh iptsim-collect.sh router
  Here, with the directory copied:
    iptsim import fixtures/imported-router/collected --out /tmp/router
    iptsim --dir /tmp/router trace 'in=lan tcp 10.0.0.5:40000 > 198.51.100.7:443'

What is not as on the machine is listed on standard error, and above host.yaml.
Exit status: 0 done; 1 done, but something is left out or not simulated, and
--strict was given; 2 the directory cannot be read, or wrong usage.
`;

interface ImportFlags {
  out?: string;
  force?: boolean;
  json?: boolean;
  strict?: boolean;
}

/** Names of what is written; none of them may be there before. */
const FILES = ['host.yaml', 'rules.v4', 'rules.v6', 'ipsets', 'machine.json'];

/** `iptsim import`. */
export const importMachine: CliCommand = async (_name, args, io) => {
  let status = 0;
  const program = new Command('iptsim import')
    .description('Makes a state directory of what iptsim-collect.sh collected on a live machine.')
    .argument('<directory>', 'what the script made')
    .option('--out <dir>', 'the state directory (default: that of --dir)')
    .option('--force', 'write over what is there')
    .option('--json', 'one JSON object: the files written, and what is not as on the machine')
    .option('--strict', 'end with 1 if anything is not as on the machine')
    .addHelpText('after', EXAMPLES)
    .action(async (directory: string, flags: ImportFlags) => {
      status = await run(directory, flags, io);
    });
  return runAction(program, args, io, () => status, [CollectedError, StateError]);
};

async function run(directory: string, flags: ImportFlags, io: Io): Promise<number> {
  if (!existsSync(directory)) throw new StateError(`${directory}: No such file or directory`);
  let machine: CollectedMachine;
  try {
    machine = readMachine((name) => readStateFile(directory, name));
  } catch (error) {
    if (error instanceof CollectedError) throw new StateError(path.join(directory, error.message));
    throw error;
  }
  const out = flags.out ?? io.directory;
  const there = FILES.filter((name) => existsSync(path.join(out, name)));
  if (there.length > 0 && flags.force !== true) {
    throw new StateError(
      `${path.join(out, there[0]!)}: there is one already; --force writes over it, --out takes another directory`,
    );
  }
  tellWrongRules(machine, io);
  makeDirectory(out);
  await takeConnections(machine, out, io);
  const notes = machine.notes.map(noteText);
  const title = `${machine.hostname ?? 'A machine'}, as collected in ${path.basename(path.resolve(directory))}.`;
  const comment = [title, ...(notes.length > 0 ? ['Not as on the machine:', ...notes.map((note) => `- ${note}`)] : [])];
  const connections = machine.connections.length;
  const texts: Record<string, string> = {
    'host.yaml': hostYaml(machine.description, comment.join('\n')),
    'rules.v4': machine.rules4,
    'rules.v6': machine.rules6,
    ipsets: machine.sets,
  };
  const unlock = lockDirectory(out);
  try {
    for (const [name, text] of Object.entries(texts)) writeStateFile(out, name, text);
  } finally {
    unlock?.();
  }
  if (flags.json) {
    io.out(
      `${JSON.stringify({ directory: out, files: Object.keys(texts), variant: machine.variant, notes: machine.notes })}\n`,
    );
  } else {
    for (const note of notes) io.err(`iptsim import: ${note}\n`);
    io.out(
      `${out}: ${Object.keys(texts).join(', ')}${connections > 0 ? `, ${connections} ${connections === 1 ? 'connection' : 'connections'}` : ''}${summary(machine, out)}\n`,
    );
  }
  return flags.strict === true && notes.length > 0 ? 1 : 0;
}

/** Puts the connections into the table of the state directory, as `conntrack -R` does; what cannot be had is noted. */
async function takeConnections(machine: CollectedMachine, out: string, io: Io): Promise<void> {
  const unlock = lockDirectory(out);
  try {
    writeMachineMemory(out, memoryOf(machine));
  } finally {
    unlock?.();
  }
  if (machine.connections.length === 0) return;
  let told = '';
  const quiet: Io = {
    ...io,
    directory: out,
    out: () => {},
    readStdin: () => `${machine.connections.join('\n')}\n`,
    err: (text) => {
      told += text;
    },
  };
  const status = await conntrack('conntrack', ['-R', '-'], quiet);
  if (status !== 0)
    machine.notes.push({ file: CONNECTIONS, entry: null, text: `not all connections are taken over: ${told.trim()}` });
}

const CONNECTIONS = 'conntrack-save';

/** A machine that has just been switched on, whose bridges know who is where. */
function memoryOf({ learnedMacs, time }: CollectedMachine): MachineMemory {
  return {
    clock: time,
    uptime: 0,
    random: [],
    ruleState: {},
    namedState: {},
    conntrack: '',
    learnedMacs,
    fragments: null,
    stack: null,
  };
}

function summary({ variant, notes }: CollectedMachine, out: string): string {
  const legacy =
    variant === 'legacy'
      ? `\nThe rules are of the legacy variant: IPTSIM_VARIANT=legacy iptsim --dir ${out} trace ...`
      : '';
  const count =
    notes.length === 0
      ? ''
      : `\n${notes.length} ${notes.length === 1 ? 'thing is' : 'things are'} not as on the machine (above, and in host.yaml)`;
  return legacy + count;
}

/** Rules that iptsim does not understand, each by its line. They stay in the file. */
function tellWrongRules(machine: CollectedMachine, io: Io): void {
  for (const [family, whole, file] of [
    [4, machine.rules4, 'rules.v4'],
    [6, machine.rules6, 'rules.v6'],
  ] as const) {
    const lines = whole.split('\n');
    const sets = new Map(readSetHeaders(machine.sets).map((header) => [header.name, header]));
    const settings = {
      family,
      variant: machine.variant ?? io.variant,
      names: systemNames(),
      setByName: (name: string) => sets.get(name),
    };
    for (;;) {
      try {
        readRules(lines.join('\n'), settings);
        break;
      } catch (error) {
        if (!(error instanceof RulesError)) throw error;
        const line = lines[error.line - 1];
        machine.notes.push({ file, entry: `line ${error.line}`, text: `${error.message}: ${line ?? ''}` });
        // Without it the rest can be read; lines keep their numbers.
        if (line === undefined || line.startsWith('#')) break;
        lines[error.line - 1] = '#';
      }
    }
  }
}
