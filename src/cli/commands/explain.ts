import { UsageError } from '../../extensions/contract.ts';
import { findTarget } from '../../extensions/registry.ts';
import { systemNames } from '../../state/names.ts';
import { anySet } from '../../state/set-names.ts';
import { EarlyExit } from '../../syntax/early-exit.ts';
import { parseRuleSpec, type RuleTextSettings } from '../../syntax/rule-text.ts';
import { splitWords } from '../../syntax/words.ts';
import { explainRule } from '../../trace/explain.ts';
import { wrap } from '../../trace/reporters/text-layout.ts';
import type { Command, Io } from '../io.ts';

const HELP = `Usage: iptsim explain [-6] RULE...

Says in one plain sentence what a rule asks of a packet and what it does with it.
RULE is what follows -A CHAIN, or a whole line of iptables-save.

Options:
  -6, --ipv6  a rule of ip6tables

Example:
  iptsim explain -A INPUT -p tcp --dport 22 -s 203.0.113.0/24 -j ACCEPT
`;

const WIDTH = 80;

/** `iptsim explain`. */
export const explain: Command = (_name, args, io) => {
  if (args[0] === '-h' || args[0] === '--help' || args.length === 0) {
    (args.length === 0 ? io.err : io.out)(HELP);
    return args.length === 0 ? 2 : 0;
  }
  const isIpv6 = args[0] === '-6' || args[0] === '--ipv6';
  const words = ruleWords(isIpv6 ? args.slice(1) : args);
  const settings: RuleTextSettings = {
    family: isIpv6 ? 6 : 4,
    variant: io.variant,
    names: systemNames(),
    setByName: anySet(io.directory),
  };
  return tell(words, settings, io);
};

function tell(words: readonly string[], settings: RuleTextSettings, io: Io): number {
  const chains = new Set(userChains(words, settings));
  try {
    const rule = parseRuleSpec(words.map(quoted).join(' '), settings, (name) => chains.has(name));
    io.out(`${wrap(explainRule(rule, settings), WIDTH, 0, 2).join('\n')}\n`);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      io.err(`iptsim explain: ${error.message.trim()}\n`);
      return 2;
    }
    if (error instanceof EarlyExit || error instanceof RangeError) {
      io.err("iptsim explain: not a rule; try `iptsim explain --help'\n");
      return 2;
    }
    throw error;
  }
}

/** The rule's own words: without table, command and chain, counters in front. One argument with blanks is a line. */
function ruleWords(args: readonly string[]): string[] {
  const given = args[0] === '--' ? args.slice(1) : args;
  let words = given.length === 1 && /\s/.test(given[0]!) ? splitWords(given[0]!) : [...given];
  if (/^\[\d+:\d+\]$/.test(words[0] ?? '')) words = words.slice(1);
  if (words[0] === 'iptables' || words[0] === 'ip6tables') words = words.slice(1);
  if (words[0] === '-t') words = words.slice(2);
  if (words[0] === '-A' || words[0] === '-I') words = words.slice(/^\d+$/.test(words[2] ?? '') ? 3 : 2);
  return words;
}

const STANDARD: ReadonlySet<string> = new Set(['ACCEPT', 'DROP', 'QUEUE', 'RETURN']);

/** What `-j` names and no target is called is taken for a chain. */
function userChains(words: readonly string[], settings: RuleTextSettings): string[] {
  const at = words.findIndex((word) => word === '-j' || word === '--jump' || word === '-g' || word === '--goto');
  const name = at < 0 ? undefined : words[at + 1];
  return name === undefined || STANDARD.has(name) || findTarget(name, settings.family) !== undefined ? [] : [name];
}

function quoted(word: string): string {
  return /^[\w.:/,!+-]+$/.test(word) ? word : `"${word.replace(/["\\]/g, '\\$&')}"`;
}
