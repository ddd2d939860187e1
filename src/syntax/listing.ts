import type { TableDraft } from '../ruleset/draft.ts';
import type { Chain } from '../ruleset/ruleset.ts';
import type { CommandLine } from './command-line.ts';
import { Opt } from './command-options.ts';
import { formatHeader, formatListLine, type ListFormat } from './list-format.ts';
import { formatRuleSpec, savedText } from './rule-text.ts';
import { ruleSpecOf } from './save-format.ts';
import type { Session } from './session.ts';

/** How a command line wants its listing. */
export function listFormat(line: CommandLine, session: Session): ListFormat {
  const { options } = line;
  return {
    variant: session.variant,
    names: session.names,
    numeric: (options & Opt.numeric) !== 0,
    verbose: (options & Opt.verbose) !== 0,
    exact: (options & Opt.expanded) !== 0,
    lineNumbers: (options & Opt.lineNumbers) !== 0,
    echo: false,
    warn: session.warn,
  };
}

/** The form in which `-v` echoes the rule of a command. */
export function echoFormat(session: Session): ListFormat {
  return {
    variant: session.variant,
    names: session.names,
    numeric: true,
    verbose: false,
    exact: false,
    lineNumbers: false,
    echo: true,
    warn: session.warn,
  };
}

function selectChains(draft: TableDraft, line: CommandLine): Chain[] {
  const chains = [...draft.finished().chains.values()];
  return line.chain === null ? chains : chains.filter((chain) => chain.name === line.chain);
}

/** -L: false if there is no such chain. `referencesOf` is for user-defined chains. */
export function listTable(
  draft: TableDraft,
  line: CommandLine,
  format: ListFormat,
  session: Session,
  referencesOf: (chain: string) => number | null = (chain) => draft.references(chain),
): boolean {
  const chains = selectChains(draft, line);
  const number = line.ruleNumber;
  chains.forEach((chain, i) => {
    if (i > 0) session.out('\n');
    if (number === 0) session.out(formatHeader(chain, chain.policy === null ? referencesOf(chain.name) : 0, format));
    chain.rules.forEach((rule, index) => {
      if (number !== 0 && index + 1 !== number) return;
      session.out(formatListLine(ruleSpecOf(rule, draft.table, session), rule, index + 1, format));
    });
  });
  return chains.length > 0;
}

/** -S: false if there is no such chain. */
export function listRules(draft: TableDraft, line: CommandLine, session: Session): boolean {
  const chains = selectChains(draft, line);
  const verbose = (line.options & Opt.verbose) !== 0;
  const number = line.ruleNumber;
  if (number === 0) {
    for (const chain of chains) {
      session.out(
        chain.policy === null
          ? `-N ${chain.name}\n`
          : `-P ${chain.name} ${chain.policy}${verbose ? ` -c ${chain.packets} ${chain.bytes}` : ''}\n`,
      );
    }
  }
  for (const chain of chains) {
    chain.rules.forEach((rule, index) => {
      if (number !== 0 && index + 1 !== number) return;
      const text = verbose
        ? formatRuleSpec(ruleSpecOf(rule, draft.table, session), session, ` -c ${rule.packets} ${rule.bytes}`)
        : savedText(rule, draft.table, session);
      session.out(`-A ${chain.name}${text}\n`);
    });
  }
  return chains.length > 0;
}
