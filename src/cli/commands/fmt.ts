import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { systemNames } from '../../state/names.ts';
import { anySet } from '../../state/set-names.ts';
import { readRules } from '../../syntax/rules-reader.ts';
import { formatTable, RulesError } from '../../syntax/save-format.ts';
import type { Command as CliCommand } from '../io.ts';
import { readArguments } from '../own-command.ts';

const EXAMPLES = `
Example:
  iptsim fmt rules.v4 > tidy.v4
  iptsim fmt --check rules.v4

Comments are left out; rules keep their order. Exit status: 0 done (with --check:
the file is in this form); 1 not so; 2 the file cannot be read as rules.
`;

function fmtCommand(): Command {
  return new Command('iptsim fmt')
    .usage('[options] FILE')
    .description('Prints a file of rules as iptables-save would.')
    .argument('<file>', 'rules in the language of iptables-restore; - for standard input')
    .option('-6, --ipv6', 'rules of ip6tables')
    .option('-c, --counters', 'with counters')
    .option('--check', 'print nothing; status 1 if the file is not in this form')
    .addHelpText('after', EXAMPLES);
}

/** `iptsim fmt`. */
export const fmt: CliCommand = (_name, args, io) => {
  const command = fmtCommand();
  const ended = readArguments(command, args, io);
  if (ended !== null) return ended;
  const options = command.opts<{ ipv6?: boolean; counters?: boolean; check?: boolean }>();
  const file = command.args[0]!;
  let text: string;
  try {
    text = file === '-' ? io.readStdin() : readFileSync(file, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    io.err(`iptsim fmt: ${file}: ${code === 'ENOENT' ? 'no such file' : code}\n`);
    return 2;
  }
  try {
    const ruleset = readRules(text, {
      family: options.ipv6 ? 6 : 4,
      variant: io.variant,
      names: systemNames(),
      setByName: anySet(io.directory),
    });
    const formatted = [...ruleset.tables.values()]
      .map((table) => formatTable(table, options.counters ?? false))
      .join('');
    if (options.check) return formatted === text ? 0 : 1;
    io.out(Buffer.from(formatted, 'latin1').toString('utf8'));
    return 0;
  } catch (error) {
    if (!(error instanceof RulesError)) throw error;
    io.err(`iptsim fmt: ${file}:${error.line}:${error.column}: ${error.message}\n`);
    return 2;
  }
};
