import { readFileSync } from 'node:fs';
import { UsageError } from '../../extensions/contract.ts';
import { type ArgumentNeed, Getopt, type LongOption, longOptions, shortOptions } from '../../syntax/getopt.ts';
import { parseWait, parseWaitInterval } from '../../syntax/option-numbers.ts';
import { restoreLegacy } from '../../syntax/restore-legacy.ts';
import { restoreNft } from '../../syntax/restore-nft.ts';
import { RestoreFailure, type RestoreOptions } from '../../syntax/restore-options.ts';
import type { Io } from '../io.ts';
import type { FamilyName } from './family-name.ts';
import { report } from './iptables.ts';
import { newSession, withRules } from './rules-session.ts';
import { systemError } from './save.ts';

const long = (name: string, need: ArgumentNeed, id: string): LongOption<string> => ({ name, need, id });

const SHORT = { legacy: shortOptions('bcvVthnwWM:T:'), nft: shortOptions('bcvVthnM:T:wW') };

const COMMON = [
  long('counters', 'none', 'c'),
  long('verbose', 'none', 'v'),
  long('version', 'none', 'V'),
  long('test', 'none', 't'),
  long('help', 'none', 'h'),
  long('noflush', 'none', 'n'),
  long('modprobe', 'required', 'M'),
  long('table', 'required', 'T'),
];
const WAIT = [long('wait', 'optional', 'w'), long('wait-interval', 'optional', 'W')];

const LONG = {
  legacy: longOptions([...COMMON, ...WAIT]),
  nft: longOptions([...COMMON, long('ipv4', 'none', '4'), long('ipv6', 'none', '6'), ...WAIT]),
};

function usage(program: string, legacy: boolean): string {
  const lines = ['--counters', '--verbose', '--version', '--test', '--help', '--noflush'].map((option) =>
    option === '--version' ? '[ --version]' : `[ ${option} ]`,
  );
  if (legacy) lines.push('[ --wait=<seconds>');
  lines.push('[ --table=<TABLE> ]', '[ --modprobe=<command> ]');
  if (!legacy) lines.push('[ --ipv4 ]', '[ --ipv6 ]');
  const head = legacy
    ? `Usage: ${program} [-c] [-v] [-V] [-t] [-h] [-n] [-w secs] [-W usecs] [-T table] [-M command] [file]\n`
    : `Usage: ${program} [-c] [-v] [-V] [-t] [-h] [-n] [-T table] [-M command] [-4] [-6] [file]\n`;
  return head + lines.map((line) => `\t   ${line}\n`).join('');
}

/** iptables-restore and ip6tables-restore. `called` is the name on the command line, which nft's messages use. */
export function restore(name: FamilyName, called: string, args: readonly string[], io: Io): number {
  const legacy = name.variant === 'legacy';
  const program = legacy ? `${name.base}-restore` : called;
  const session = newSession(name, program, io);
  const options: RestoreOptions = { counters: false, verbose: 0, test: false, noflush: false, table: null };
  let wait: number | null = null;
  let interval = false;
  const getopt = new Getopt<string>(
    [program, ...args],
    SHORT[name.variant],
    (letter) => letter,
    LONG[name.variant],
    false,
  );
  try {
    for (let found = getopt.next(); found.kind !== 'end'; found = getopt.next()) {
      if (found.kind !== 'option' || found.id === '4' || found.id === '6') {
        if (found.kind === 'unknown' || found.kind === 'missing-argument') io.err(`${called}: ${found.problem}\n`);
        io.err(`Try \`${program} -h' for more information.\n`);
        return 1;
      }
      switch (found.id) {
        case 'b':
          io.err('-b/--binary option is not implemented\n');
          break;
        case 'c':
          options.counters = true;
          break;
        case 'v':
          options.verbose++;
          break;
        case 'V':
          io.out(`${program} v${name.version}\n`);
          return 0;
        case 't':
          options.test = true;
          break;
        case 'h':
          io.err(usage(program, legacy));
          return 0;
        case 'n':
          options.noflush = true;
          break;
        case 'T':
          options.table = found.argument;
          break;
        case 'w':
        case 'W': {
          const text = found.argument ?? getopt.takeWord();
          if (!legacy) break;
          if (found.id === 'w') wait = parseWait(text);
          else {
            parseWaitInterval(text, (warning) => io.err(warning));
            interval = true;
          }
          break;
        }
        default:
          break;
      }
    }
  } catch (error) {
    if (error instanceof UsageError) return report(error, session, io, 0);
    throw error;
  }
  const rest = getopt.rest();
  let input: string;
  if (rest.length > 1) {
    io.err('Unknown arguments found on commandline\n');
    return 1;
  }
  if (rest[0] !== undefined) {
    io.openingFile?.(rest[0]);
    try {
      input = readFileSync(Buffer.from(rest[0], 'latin1').toString('utf8'), 'latin1');
    } catch (error) {
      io.err(`Can't open ${rest[0]}: ${systemError(error)}\n`);
      return 1;
    }
  } else {
    input = '';
  }
  if (interval && (wait ?? 0) === 0) {
    io.err('Option --wait-interval requires option --wait\n');
    return 1;
  }
  if (rest[0] === undefined) input = io.readStdin();
  const run = legacy ? restoreLegacy : restoreNft;
  try {
    return withRules(session, { wait: wait ?? -1, io }, () => {
      run(input, options, session);
      return 0;
    });
  } catch (error) {
    if (error instanceof RestoreFailure) {
      if (error.reason instanceof UsageError || error.reason === null) {
        if (error.reason === null) io.err(error.message);
        else return report(error.reason, session, io, error.line);
        return 1;
      }
      return report(error.reason, session, io, error.line);
    }
    return report(error, session, io, null);
  }
}
