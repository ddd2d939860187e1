import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { Getopt, longOptions, shortOptions } from '../../syntax/getopt.ts';
import type { Io } from '../io.ts';
import { about, applyDefaults, applyUsage, DEFAULT_TIMEOUT } from './apply-texts.ts';
import type { FamilyName } from './family-name.ts';
import { restore } from './restore.ts';
import { save } from './save.ts';

const SHORT = shortOptions('t:w:chV');
const LONG = longOptions<string>([
  { name: 'timeout', need: 'required', id: 't' },
  { name: 'write', need: 'required', id: 'w' },
  { name: 'command', need: 'none', id: 'c' },
  { name: 'help', need: 'none', id: 'h' },
  { name: 'version', need: 'none', id: 'V' },
]);

interface ApplyOptions {
  timeout: string;
  saveFile: string;
  runCommand: boolean;
  /** The words that the script still has as its parameters, of which it uses the first. */
  rest: readonly string[];
}

function accessible(file: string, mode: number): boolean {
  try {
    accessSync(file, mode);
    return true;
  } catch {
    return false;
  }
}

/** Ends the command while its options are read. */
class ApplyExit extends Error {
  readonly status: number;
  readonly stderr: string;
  constructor(status: number, stderr: string) {
    super('');
    this.status = status;
    this.stderr = stderr;
  }
}

/**
 * The script's option loop. It takes one parameter away for each word that getopt(1) puts out, so that only options
 * written apart and before the file leave the file where it is looked for.
 */
function readOptions(program: string, args: readonly string[], name: FamilyName): ApplyOptions {
  const defaults = applyDefaults(name.family);
  const options: ApplyOptions = { timeout: String(DEFAULT_TIMEOUT), saveFile: '', runCommand: false, rest: args };
  const getopt = new Getopt<string>([program, ...args], SHORT, (letter) => letter, LONG, false);
  const found: { id: string; argument: string | null }[] = [];
  let bad = '';
  for (let next = getopt.next(); next.kind !== 'end'; next = getopt.next()) {
    if (next.kind === 'option') found.push({ id: next.id, argument: next.argument });
    else if (next.kind !== 'plain') bad += `${program}: ${next.problem}\n`;
  }
  if (bad !== '') throw new ApplyExit(1, bad);
  let shifted = 0;
  for (const { id, argument } of found) {
    if (id === 'h') throw new ApplyExit(0, applyUsage(program, defaults));
    if (id === 'V') throw new ApplyExit(0, about(program));
    if (id === 'c') options.runCommand = true;
    if (id === 't') options.timeout = argument as string;
    if (id === 'w') options.saveFile = argument === '' ? defaults.rules : (argument as string);
    shifted += argument === null ? 1 : 2;
    if (shifted > args.length) throw new ApplyExit(1, '');
  }
  options.rest = args.slice(shifted);
  return options;
}

/** One character from standard input within the time given; '' if none came or it was a newline. */
async function readAnswer(seconds: number): Promise<string> {
  return await new Promise((resolve) => {
    const { stdin } = process;
    const done = (answer: string): void => {
      clearTimeout(timer);
      stdin.removeAllListeners();
      stdin.pause();
      // A file or /dev/null has nothing that keeps the process alive.
      if ('unref' in stdin) stdin.unref();
      resolve(answer === '\n' ? '' : answer);
    };
    const timer = setTimeout(() => done(''), seconds * 1000);
    stdin.once('data', (data: Buffer) => done(data.toString('latin1').charAt(0)));
    stdin.once('end', () => done(''));
    stdin.once('error', () => done(''));
  });
}

/** iptables-apply and ip6tables-apply: new rules that are taken back unless somebody says that all is well. */
export async function apply(name: FamilyName, called: string, args: readonly string[], io: Io): Promise<number> {
  let options: ApplyOptions;
  try {
    options = readOptions(called, args, name);
  } catch (error) {
    if (!(error instanceof ApplyExit)) throw error;
    io.err(error.stderr);
    return error.status;
  }
  const fail = (status: number, text: string): number => {
    io.err(`Error: ${text}\n`);
    return status;
  };
  if (!/^[+-]?\d+$/.test(options.timeout) || Number(options.timeout) < 0) {
    return fail(1, 'timeout must be a positive number');
  }
  const { saveFile } = options;
  if (saveFile !== '' && existsSync(saveFile) && !accessible(saveFile, constants.W_OK)) {
    return fail(8, `savefile not writable: ${saveFile}`);
  }
  const defaults = applyDefaults(name.family);
  const file = options.rest[0] || (options.runCommand ? defaults.command : defaults.rules);
  if (options.runCommand && !accessible(file, constants.X_OK)) return fail(6, `runcmd not executable: ${file}`);
  if (!options.runCommand && !accessible(file, constants.R_OK)) return fail(2, `rulesfile not readable: ${file}`);

  const saved = saveToText(name, io);
  const revert = (): void => {
    io.out('Reverting to old iptables rules... ');
    restoreFrom(name, saved, io);
    io.out('done.\n');
  };
  const timeout = Number(options.timeout);
  if (options.runCommand) {
    io.out(`Running command '${file}'... `);
    const result = spawnSync(file, [], { stdio: 'inherit', timeout: timeout * 1000 });
    if (result.status !== 0) {
      io.out('failed.\n');
      io.err(`Error: unknown error running command: ${file}\n`);
      revert();
      return 7;
    }
  } else {
    io.out(`Applying new iptables rules from '${file}'... `);
    if (restoreFrom(name, readFileSync(file, 'latin1'), io) !== 0) {
      io.out('failed.\n');
      io.err(`Error: unknown error applying new iptables rules: ${file}\n`);
      revert();
      return 5;
    }
  }
  io.out('done.\n');
  io.out('Can you establish NEW connections to the machine? (y/N) ');
  const answer = await readAnswer(timeout);
  io.out('\n');
  if (answer !== 'y' && answer !== 'Y') {
    io.out(
      answer === ''
        ? 'Timeout! Something happened (or did not). Better play it safe...\n'
        : 'No affirmative response! Better play it safe...\n',
    );
    revert();
    return 255;
  }
  if (saveFile !== '') {
    io.out(`Writing successfully applied rules to '${saveFile}'...\n`);
    try {
      writeFileSync(saveFile, saveToText(name, io), 'latin1');
    } catch {
      return fail(9, `unknown error writing successfully applied rules: ${saveFile}`);
    }
  }
  io.out('... then my job is done. See you next time.\n');
  return 0;
}

function saveToText(name: FamilyName, io: Io): string {
  let text = '';
  const program = `${name.base}-save`;
  save(name, program, [], withParts(io, { out: (piece) => (text += piece) }));
  return text;
}

function restoreFrom(name: FamilyName, text: string, io: Io): number {
  return restore(name, `${name.base}-restore`, [], withParts(io, { readStdin: () => text }));
}

function withParts(io: Io, parts: { out?: (text: string) => void; readStdin?: () => string }): Io {
  return {
    out: parts.out ?? ((text) => io.out(text)),
    err: (text) => io.err(text),
    readStdin: parts.readStdin ?? (() => io.readStdin()),
    env: io.env,
    stdoutIsTerminal: io.stdoutIsTerminal,
    stderrIsTerminal: io.stderrIsTerminal,
    directory: io.directory,
    variant: io.variant,
    hints: io.hints,
  };
}
