import { BUILTIN_CHAINS, TABLE_NAMES } from '../datapath/hooks.ts';
import { findMatch, findTarget, matches, targets } from '../extensions/registry.ts';
import type { Family } from '../packet/family.ts';
import { LONG_OPTIONS } from './command-options.ts';

/** Dashes that word processors and web pages make of hyphens, as UTF-8 bytes: hyphens, en and em dash, bar, minus. */
const DASH = /^(?:\xe2\x80[\x90-\x95]|\xe2\x88\x92)/;
/** Typographic quotes, as UTF-8 bytes. */
const QUOTE = /\xe2\x80[\x98-\x9f]|\xc2[\xab\xbb]/;

const VERDICTS: ReadonlySet<string> = new Set(['ACCEPT', 'DROP', 'QUEUE', 'RETURN']);
const CHAINS: ReadonlySet<string> = new Set(Object.values(BUILTIN_CHAINS).flat());
const CHAIN_OPTIONS = /^(-[ACDIRLSFZNXPE]|--(append|check|delete|insert|replace|list|list-rules|flush|zero|policy))$/;
const PORT_OPTION = /^--(dport|sport|destination-port|source-port)$/;

function longOptionNames(): ReadonlySet<string> {
  const names = new Set(LONG_OPTIONS.map(({ name }) => name));
  for (const { options } of [...matches, ...targets]) for (const { name } of options) names.add(name);
  return names;
}

/**
 * What may be wrong with a command line that was refused: copied dashes and quotes, one dash for two, split options,
 * names in the wrong case. One sentence each, for people; texts hold one byte in each character.
 */
export function hintsFor(args: readonly string[], family: Family): string[] {
  const names = longOptionNames();
  const hints: string[] = [];
  args.forEach((word, i) => {
    const previous = args[i - 1] ?? '';
    const next = args[i + 1] ?? '';
    const upper = word.toUpperCase();
    const bare = word.replace(DASH, '').replace(DASH, '').replace(/^-+/, '');
    if (DASH.test(word.replace(/^-/, '')) && bare !== '') {
      const meant = bare.length === 1 ? `-${bare}` : `--${bare}`;
      hints.push(`'${word}' begins with a typographic dash, as copied text often does: write '${meant}'`);
      return;
    }
    if (QUOTE.test(word)) hints.push(`'${word}' has typographic quotes in it: write " or '`);
    if (/^-[A-Za-z][\w-]+$/.test(word) && names.has(word.slice(1)) && !names.has(previous.slice(2) + word)) {
      hints.push(`long options begin with two dashes: '-${word}' instead of '${word}'`);
    } else if (word === '--' && names.has(next)) {
      hints.push(`no blank after the dashes: '--${next}'`);
    } else if (word.startsWith('--') && /^-\w/.test(next) && names.has(word.slice(2) + next)) {
      hints.push(`'${word} ${next}' is one word: '${word}${next}'`);
    }
    if (CHAIN_OPTIONS.test(previous) && word !== upper && CHAINS.has(upper)) {
      hints.push(`built-in chains are written in upper case: '${upper}' instead of '${word}'`);
    }
    if (/^(-j|--jump)$/.test(previous) && word !== upper && isTarget(upper, family) && !isTarget(word, family)) {
      hints.push(`targets are written in upper case: '${upper}' instead of '${word}'`);
    }
    if (/^(-P|--policy)$/.test(args[i - 2] ?? '') && word !== upper && VERDICTS.has(upper)) {
      hints.push(`policies are written in upper case: '${upper}' instead of '${word}'`);
    }
    const lower = word.toLowerCase();
    if (/^(-t|--table)$/.test(previous) && word !== lower && (TABLE_NAMES as readonly string[]).includes(lower)) {
      hints.push(`tables are written in lower case: '${lower}' instead of '${word}'`);
    }
    if (/^(-m|--match)$/.test(previous) && word !== lower && findMatch(word, family) === undefined) {
      if (findMatch(lower, family) !== undefined) {
        hints.push(`matches are written in lower case: '${lower}' instead of '${word}'`);
      }
    }
    if (PORT_OPTION.test(word) && !args.some((other) => /^(-p|--protocol)(=|$)/.test(other))) {
      hints.push(`'${word}' needs a protocol that has ports: add '-p tcp' or '-p udp' before it`);
    }
  });
  return hints;
}

function isTarget(name: string, family: Family): boolean {
  return VERDICTS.has(name) || findTarget(name, family) !== undefined;
}
