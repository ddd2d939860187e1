import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { type CaseFile, CaseFileError, parseCaseFile } from '../../check/case-file.ts';
import { NotationError } from '../../packet/notation/error.ts';
import { StateError } from '../../state/files.ts';
import { jsonReport, textReport } from '../check/report.ts';
import { type CaseResult, runCases } from '../check/run-cases.ts';
import type { Command as CliCommand } from '../io.ts';
import { readArguments } from '../own-command.ts';
import { LoadError } from '../trace/load.ts';
import { palette } from '../trace/palette.ts';

const EXAMPLES = `
A file of cases (YAML):
  dir: .iptsim              # or rules:, rules6:, sets:, host: (relative to the file)
  cases:
    - name: the office may use ssh
      packet: in=eth0 tcp 203.0.113.9:40000 > 192.0.2.1:22
      expect: delivered
    - name: nobody else may
      packet: in=eth0 tcp 198.51.100.7:40000 > 192.0.2.1:22
      expect: { verdict: dropped, rule: filter/INPUT/policy }
    - name: the shop is reached through the public address
      flow: in=eth0 tcp 198.51.100.7:40000 > 192.0.2.1:80
      expect: { verdict: allowed, destination: "10.0.0.5:8080", out: eth1 }

expect: a verdict, or a mapping of verdict (forwarded, delivered, sent, dropped,
rejected, queued, stolen, invalid; allowed, blocked), rule (filter/INPUT/3,
filter/INPUT/policy, or a part of its text), out, source, destination, state,
answer (words of it, or none), emitted, queue.
before: packets that come first. continue: true goes on with the machine of the
case before; each case otherwise starts anew.

Exit status: 0 all cases hold; 1 some do not; 2 a file is wrong.
`;

function checkCommand(): Command {
  return new Command('iptsim check')
    .usage('[options] FILE...')
    .description('Checks expectations: packets, and what should become of them.')
    .argument('<file...>', 'files of cases')
    .option('--json', 'the results as JSON')
    .option('-v, --verbose', 'also the way of the packets of cases that hold')
    .option('--no-color', 'no colours')
    .addHelpText('after', EXAMPLES);
}

/** `iptsim check`. */
export const check: CliCommand = async (_name, args, io) => {
  const command = checkCommand();
  const ended = readArguments(command, args, io);
  if (ended !== null) return ended;
  const options = command.opts<{ json?: boolean; verbose?: boolean; color?: boolean }>();
  const results: CaseResult[] = [];
  try {
    // All files are read before any case runs: a wrong one is told at once.
    const files = command.args.map((file) => ({ file, cases: readCases(file) }));
    for (const { file, cases } of files) results.push(...(await runCases(file, cases, io)));
  } catch (error) {
    if (
      error instanceof CaseFileError ||
      error instanceof LoadError ||
      error instanceof StateError ||
      error instanceof NotationError
    ) {
      io.err(`iptsim check: ${error.message}\n`);
      return 2;
    }
    throw error;
  }
  if (options.json) io.out(jsonReport(results));
  else {
    const colors = palette(options.color !== false && io.stdoutIsTerminal, io.env);
    io.out(textReport(results, colors, options.verbose ?? false));
  }
  return results.every(({ failures }) => failures.length === 0) ? 0 : 1;
};

function readCases(file: string): CaseFile {
  let text: string;
  try {
    text = readFileSync(path.resolve(file), 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CaseFileError(
      `${file}: ${code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'is a directory' : code}`,
    );
  }
  return parseCaseFile(text, file);
}
