import { type Extension, type TargetExtension, UsageError } from '../extensions/contract.ts';
import { findMatch, findTarget } from '../extensions/registry.ts';
import type { RuleSpec } from '../ruleset/rule.ts';
import { MAX_CHAIN_NAME } from './chain-names.ts';
import type { CommandLine, CommandLineSettings } from './command.ts';
import {
  beginUse,
  type ExtensionOption,
  type ExtensionUse,
  finishUse,
  type MutableParseContext,
} from './extension-use.ts';
import { generalHelp } from './help.ts';
import { KnownOptions } from './known-options.ts';
import { isVerdict } from './line-checks.ts';
import { parseUnsigned } from './numbers.ts';
import { protocolName } from './protocols.ts';

/** Other names of a match under which libxtables looks for it. */
const MATCH_NAMES: Readonly<Record<string, string>> = { icmpv6: 'icmp6', 'ipv6-icmp': 'icmp6' };

const STANDARD_HELP = `standard match options:
(If target is DROP, ACCEPT, RETURN or nothing)
`;

/** The matches and the target that a command line has named so far, and the options that are known by them. */
export class LoadedExtensions {
  readonly known: KnownOptions;
  /** What `-p` said; null if it was not given. */
  protocolText: string | null = null;
  private readonly context: MutableParseContext;
  private readonly matches: ExtensionUse[] = [];
  private target: ExtensionUse | null = null;
  private protocolLoaded = false;

  constructor(context: MutableParseContext) {
    this.context = context;
    this.known = new KnownOptions(context.family, context.variant);
  }

  /** The use that an option belongs to. */
  useFor(id: ExtensionOption): ExtensionUse | undefined {
    if (this.target !== null && this.target.extension === id.extension) return this.target;
    return this.matches.find((use) => use.extension === id.extension && !use.completed);
  }

  /** `-p tcp` stands for `-m tcp` too, from the first option that nothing else knows. */
  loadProtocol(numeric: boolean): boolean {
    if (this.protocolText === null || this.protocolLoaded) return false;
    const { names, family } = this.context;
    const number = parseUnsigned(this.protocolText, 0, 255);
    const name = number === null ? this.protocolText : protocolName(number, names, !numeric);
    if (name === null) return false;
    const extension = findMatch(name, family);
    if (extension === undefined) return false;
    this.protocolLoaded = true;
    this.begin(extension);
    return true;
  }

  /** `-m NAME`. Throws UsageError. */
  addMatch(name: string): void {
    if (name.length > MAX_CHAIN_NAME) {
      throw new UsageError(`Invalid match name "${name}" (${MAX_CHAIN_NAME} chars max)`);
    }
    const extension = findMatch(name, this.context.family);
    if (extension === undefined) {
      throw new UsageError(`Couldn't load match \`${MATCH_NAMES[name] ?? name}':No such file or directory\n`);
    }
    this.begin(extension);
  }

  /** `-j NAME`; null if there is no such target extension. */
  setTarget(name: string): TargetExtension | null {
    const extension = findTarget(name, this.context.family);
    if (extension === undefined) return null;
    this.target = beginUse(extension, this.context);
    this.known.load(extension);
    return extension;
  }

  private begin(extension: Extension): void {
    const again = this.matches.some((use) => use.extension === extension);
    for (const use of this.matches) if (use.extension === extension) use.completed = true;
    const use = beginUse(extension, this.context);
    this.matches.push(use);
    if (!again) this.known.load(extension);
  }

  /** The text of `-h`. */
  help(settings: CommandLineSettings, { jumpTo, goto }: CommandLine): string {
    if (this.matches.length === 0 && this.protocolText !== null) {
      const extension = findMatch(this.protocolText, settings.family);
      if (extension !== undefined) this.matches.push(beginUse(extension, this.context));
    }
    const helps = [this.target, ...this.matches].flatMap((use) => (use === null ? [] : [use.extension]));
    let text = generalHelp(settings.program, settings.version, settings.family);
    if (isVerdict(jumpTo) && !goto) text += `\n${STANDARD_HELP}`;
    for (const extension of helps) {
      text += `\n${extension.help(settings.family, settings.variant) || `${extension.name} does not take any options\n`}`;
    }
    return text;
  }

  /** Ends all uses and puts them into the rule. Throws UsageError. */
  finish(rule: RuleSpec): void {
    for (const use of this.matches) {
      finishUse(use, this.context);
      rule.matches.push({ name: use.extension.name, data: use.data });
    }
    // A copy has no spare places, of which large sets of rules would keep many.
    if (rule.matches.length > 0) rule.matches = rule.matches.slice();
    if (this.target === null) return;
    finishUse(this.target, this.context);
    rule.target = { kind: 'extension', name: this.target.extension.name, data: this.target.data };
  }
}
