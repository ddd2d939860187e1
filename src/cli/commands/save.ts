import { writeFileSync } from 'node:fs';
import { UsageError } from '../../extensions/contract.ts';
import { isTableName, NFT_TABLE_ORDER, newTable, type Table } from '../../ruleset/ruleset.ts';
import { type ArgumentNeed, Getopt, type LongOption, longOptions, shortOptions } from '../../syntax/getopt.ts';
import { savedText } from '../../syntax/rule-text.ts';
import { formatTable } from '../../syntax/save-format.ts';
import { openLegacyTable, type Session } from '../../syntax/session.ts';
import type { Io } from '../io.ts';
import { type FamilyName, IPTABLES_VERSION } from './family-name.ts';
import { report } from './iptables.ts';
import { newSession, withRules } from './rules-session.ts';

const long = (name: string, need: ArgumentNeed, id: string): LongOption<string> => ({ name, need, id });

const SHORT = shortOptions('bcdt:M:f:V');
const LONG = longOptions([
  long('counters', 'none', 'c'),
  long('version', 'none', 'V'),
  long('dump', 'none', 'd'),
  long('table', 'required', 't'),
  long('modprobe', 'required', 'M'),
  long('file', 'required', 'f'),
]);

/** Date and time as `ctime` prints them. */
export function ctime(date: Date): string {
  const [day, month, number, year, time] = date.toString().split(' ');
  return `${day} ${month} ${String(Number(number)).padStart(2)} ${time} ${year}`;
}

/** iptables-save and ip6tables-save. `called` is the name on the command line, which nft's messages use. */
export function save(name: FamilyName, called: string, args: readonly string[], io: Io): number {
  const program = name.variant === 'nft' ? called : `${name.base}-save`;
  const session = newSession(name, program, io);
  const getopt = new Getopt<string>([program, ...args], SHORT, (letter) => letter, LONG, false);
  let counters = false;
  let only: string | null = null;
  let file: string | null = null;
  for (let found = getopt.next(); found.kind !== 'end'; found = getopt.next()) {
    if (found.kind !== 'option') {
      io.err(optionError(found, program));
      io.err(`Look at manual page \`${program}.8' for more information.\n`);
      return 1;
    }
    switch (found.id) {
      case 'b':
        io.err('-b/--binary option is not implemented\n');
        break;
      case 'c':
        counters = true;
        break;
      case 't':
        only = found.argument;
        break;
      case 'f':
        file = found.argument;
        io.openingFile?.(file as string);
        try {
          writeFileSync(file as string, '');
        } catch (error) {
          io.err(`Failed to open file, error: ${systemError(error)}\n`);
          return 1;
        }
        break;
      case 'V':
        io.out(`${program} v${name.version}\n`);
        return 0;
      default:
        break;
    }
  }
  if (getopt.rest().length > 0) {
    io.err('Unknown arguments found on commandline\n');
    return 1;
  }
  try {
    return withRules(session, { wait: -1, io }, () => {
      const text = saveText(session, only, counters, io);
      if (text === null) return 1;
      if (file === null) io.out(text);
      else writeFileSync(file, text, 'latin1');
      return 0;
    });
  } catch (error) {
    return report(error, session, io, null);
  }
}

/** What getopt itself says about a bad option. */
export function optionError(found: { kind: string; word?: string }, program: string): string {
  const word = found.word ?? '';
  if (word.startsWith('--')) {
    return found.kind === 'missing-argument'
      ? `${program}: option '${word}' requires an argument\n`
      : `${program}: unrecognized option '${word}'\n`;
  }
  const letter = word.charAt(1);
  return found.kind === 'missing-argument'
    ? `${program}: option requires an argument -- '${letter}'\n`
    : `${program}: invalid option -- '${letter}'\n`;
}

/** strerror of a failed system call. */
export function systemError(error: unknown): string {
  const texts: Readonly<Record<string, string>> = {
    ENOENT: 'No such file or directory',
    EACCES: 'Permission denied',
    EISDIR: 'Is a directory',
    ENOTDIR: 'Not a directory',
    EROFS: 'Read-only file system',
  };
  const { code, message } = error as { code?: string; message: string };
  return texts[code ?? ''] ?? message;
}

function saveText(session: Session, only: string | null, counters: boolean, io: Io): string | null {
  const { variant, ruleset, program } = session;
  let tables: Table[];
  if (only === null) {
    tables = [...ruleset.tables.values()];
    if (variant === 'nft') {
      tables.sort((a, b) => NFT_TABLE_ORDER.indexOf(a.name) - NFT_TABLE_ORDER.indexOf(b.name));
    }
  } else if (variant === 'legacy') {
    if (openLegacyTable(session, only) === null) {
      throw new UsageError('Cannot initialize: Table does not exist (do you need to insmod?)', { status: 1 });
    }
    tables = [...ruleset.tables.values()].filter((table) => table.name === only);
  } else {
    if (!isTableName(only)) {
      io.err(`Table \`${only}' does not exist\n`);
      return null;
    }
    tables = [ruleset.tables.get(only) ?? newTable(only)];
  }
  const now = ctime(new Date());
  const version = variant === 'nft' ? session.version : IPTABLES_VERSION;
  return tables
    .map(
      (table) =>
        `# Generated by ${program} v${version} on ${now}\n${formatTable(table, counters, (rule) => savedText(rule, table, session))}# Completed on ${now}\n`,
    )
    .join('');
}
