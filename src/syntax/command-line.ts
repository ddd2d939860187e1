import { type Extension, type OptionDeclaration, UsageError } from '../extensions/contract.ts';
import { findMatch, findTarget } from '../extensions/registry.ts';
import { ANY_ADDRESS } from '../ruleset/addresses.ts';
import type { RuleSpec } from '../ruleset/rule.ts';
import { type MaskedAddress, parseAddressList } from './addresses.ts';
import { assertValidChainName, MAX_CHAIN_NAME } from './chain-names.ts';
import type { CommandLine, CommandLineSettings } from './command.ts';
import { Cmd, commandLetter, INVERTIBLE, illegalOption, Opt, optionLetter, SHORT_OPTIONS } from './command-options.ts';
import { EarlyExit } from './early-exit.ts';
import {
  beginUse,
  type ExtensionOption,
  type ExtensionUse,
  finishUse,
  type MutableParseContext,
  takeOption,
} from './extension-use.ts';
import { Getopt } from './getopt.ts';
import { generalHelp } from './help.ts';
import { KnownOptions, type OptionId } from './known-options.ts';
import { parseUnsigned, scanDecimal } from './numbers.ts';
import { parseRuleNumber, parseWait, parseWaitInterval } from './option-numbers.ts';
import { parseProtocol, protocolName } from './protocols.ts';

export type { CommandLine, CommandLineSettings } from './command.ts';

/** `-j` and `-g` names: not empty, not too long, no blanks. */
function checkTargetName(name: string): void {
  if (name === '') throw new UsageError('Invalid target name (too short)');
  if (name.length > MAX_CHAIN_NAME) {
    throw new UsageError(`Invalid target name \`${name}' (${MAX_CHAIN_NAME} chars max)`);
  }
  if (/[\t-\r ]/.test(name)) throw new UsageError(`Invalid target name \`${name}'`);
}

/** Other names of a match under which libxtables looks for it. */
const MATCH_NAMES: Readonly<Record<string, string>> = { icmpv6: 'icmp6', 'ipv6-icmp': 'icmp6' };

const STANDARD_TARGETS: ReadonlySet<string> = new Set(['ACCEPT', 'DROP', 'QUEUE', 'RETURN']);
/** Shared; replaced as a whole where there are others. */
const NO_COUNTERS = { packets: 0n, bytes: 0n };

const VERDICTS = {
  ACCEPT: { kind: 'verdict', verdict: 'ACCEPT' },
  DROP: { kind: 'verdict', verdict: 'DROP' },
  QUEUE: { kind: 'verdict', verdict: 'QUEUE' },
  RETURN: { kind: 'verdict', verdict: 'RETURN' },
} as const;
const STANDARD_HELP = `standard match options:
(If target is DROP, ACCEPT, RETURN or nothing)
`;

/** Numbers of extension headers that never are a packet's protocol. */
const IPV6_EXTENSION_HEADERS: ReadonlySet<number> = new Set([43, 44, 51, 60]);

/**
 * Reads a command line of iptables or ip6tables (`argv[0]` is the program's name) as iptables 1.8.9 does: getopt_long
 * with abbreviations, options of extensions known once these are loaded, then the checks in the real order.
 * Throws UsageError, and EarlyExit for help and version.
 */
export function parseCommandLine(argv: string[], table: string, settings: CommandLineSettings): CommandLine {
  return new CommandLineReader(argv, table, settings).read();
}

class CommandLineReader {
  private readonly settings: CommandLineSettings;
  private readonly argv: string[];
  private readonly known = new KnownOptions();
  private readonly getopt: Getopt<OptionId>;
  private readonly line: CommandLine;
  private readonly context: MutableParseContext;
  private readonly matches: ExtensionUse[] = [];
  private target: ExtensionUse | null = null;
  private invert = false;
  private tableSet = false;
  private protocolText: string | null = null;
  private protocolLoaded = false;
  private waitInterval = false;
  private sourceText: string | null = null;
  private destinationText: string | null = null;

  constructor(argv: string[], table: string, settings: CommandLineSettings) {
    this.argv = argv;
    this.settings = settings;
    const { family, variant, names } = settings;
    this.getopt = new Getopt<OptionId>(argv, SHORT_OPTIONS, (letter) => letter, this.known, true);
    const rule: RuleSpec = {
      family,
      protocol: 0,
      protocolInvert: false,
      source: null,
      destination: null,
      inInterface: null,
      outInterface: null,
      fragment: null,
      matches: [],
      target: { kind: 'none' },
    };
    this.line = {
      command: 0,
      options: 0,
      table,
      chain: null,
      ruleNumber: 0,
      newName: null,
      policy: null,
      verbose: 0,
      rule,
      sources: [],
      destinations: [],
      sourceInvert: false,
      destinationInvert: false,
      jumpTo: '',
      goto: false,
      target: null,
      counters: NO_COUNTERS,
      wait: null,
    };
    this.context = {
      family,
      variant,
      table,
      names,
      rule,
      seen: new Set(),
      warn: settings.warn,
      setByName: settings.setByName,
    };
  }

  read(): CommandLine {
    const { getopt } = this;
    for (let found = getopt.next(); found.kind !== 'end'; found = getopt.next()) {
      if (found.kind === 'option' && typeof found.id === 'string') {
        if (this.mainOption(found.id, found.argument, found.word)) return this.line;
      } else if (found.kind === 'plain') {
        if (found.argument === '!') {
          if (this.invert) throw new UsageError('multiple consecutive ! not allowed');
          this.invert = true;
          continue;
        }
        throw new UsageError(`Bad argument \`${found.argument}'`, { showProgram: false });
      } else {
        const use = found.kind === 'option' ? this.useFor(found.id as ExtensionOption) : undefined;
        if (found.kind === 'option' && use !== undefined) {
          this.extensionOption(use, (found.id as ExtensionOption).declaration, found.argument);
        } else if (this.loadProtocol()) {
          getopt.again();
          continue;
        } else if (found.kind === 'missing-argument') {
          throw new UsageError(`option "${found.word}" requires an argument`);
        } else if (found.kind === 'unknown') {
          throw new UsageError(`unknown option "${found.word}"`);
        } else {
          throw new UsageError(`Unknown arg "${found.argument}"`);
        }
      }
      this.invert = false;
    }
    this.finish();
    return this.line;
  }

  private useFor(id: ExtensionOption): ExtensionUse | undefined {
    if (this.target !== null && this.target.extension === id.extension) return this.target;
    return this.matches.find((use) => use.extension === id.extension && !use.completed);
  }

  private extensionOption(use: ExtensionUse, declaration: OptionDeclaration, argument: string | null): void {
    const second = declaration.second === true ? this.getopt.takeWord() : undefined;
    takeOption(use, declaration, this.invert, argument, second, this.context);
  }

  /** `-p tcp` stands for `-m tcp` too, from the first option that nothing else knows. */
  private loadProtocol(): boolean {
    if (this.protocolText === null || this.protocolLoaded) return false;
    const { names, family } = this.settings;
    const number = parseUnsigned(this.protocolText, 0, 255);
    const numeric = (this.line.options & Opt.numeric) !== 0;
    const name = number === null ? this.protocolText : protocolName(number, names, !numeric);
    if (name === null) return false;
    const extension = findMatch(name, family);
    if (extension === undefined) return false;
    this.protocolLoaded = true;
    this.addMatch(extension);
    return true;
  }

  private addMatch(extension: Extension): void {
    const again = this.matches.some((use) => use.extension === extension);
    for (const use of this.matches) if (use.extension === extension) use.completed = true;
    const use = beginUse(extension, this.context);
    this.matches.push(use);
    if (!again) this.known.load(extension);
  }

  /** One of iptables' own options; true if the rest of the line is not to be read. */
  private mainOption(letter: string, argument: string | null, word: string): boolean {
    const { line, getopt, settings } = this;
    const { rule } = line;
    switch (letter) {
      case 'A':
        this.addCommand(Cmd.append, 0);
        line.chain = argument;
        break;
      case 'C':
        this.addCommand(Cmd.check, 0);
        line.chain = argument;
        break;
      case 'D': {
        this.addCommand(Cmd.delete, 0);
        line.chain = argument;
        const number = getopt.takeWord();
        if (number !== null) {
          line.ruleNumber = parseRuleNumber(number);
          line.command = Cmd.deleteNumber;
        }
        break;
      }
      case 'R': {
        this.addCommand(Cmd.replace, 0);
        line.chain = argument;
        const number = getopt.takeWord();
        if (number === null) throw new UsageError('-R requires a rule number');
        line.ruleNumber = parseRuleNumber(number);
        break;
      }
      case 'I': {
        this.addCommand(Cmd.insert, 0);
        line.chain = argument;
        const number = getopt.takeWord();
        line.ruleNumber = number === null ? 1 : parseRuleNumber(number);
        break;
      }
      case 'L':
      case 'S': {
        this.addCommand(letter === 'L' ? Cmd.list : Cmd.listRules, Cmd.zero | Cmd.zeroNumber);
        line.chain = argument ?? getopt.takeWord() ?? line.chain;
        const number = getopt.takeWord();
        if (number !== null) line.ruleNumber = parseRuleNumber(number);
        break;
      }
      case 'F':
        this.addCommand(Cmd.flush, 0);
        line.chain = argument ?? getopt.takeWord() ?? line.chain;
        break;
      case 'Z': {
        this.addCommand(Cmd.zero, Cmd.list | Cmd.listRules);
        line.chain = argument ?? getopt.takeWord() ?? line.chain;
        const number = getopt.takeWord();
        if (number !== null) {
          line.ruleNumber = parseRuleNumber(number);
          line.command = Cmd.zeroNumber;
        }
        break;
      }
      case 'N':
        assertValidChainName(argument as string, settings.family, settings.announced);
        this.addCommand(Cmd.newChain, 0);
        line.chain = argument;
        break;
      case 'X':
        this.addCommand(Cmd.deleteChain, 0);
        line.chain = argument ?? getopt.takeWord() ?? line.chain;
        break;
      case 'E':
        this.addCommand(Cmd.renameChain, 0);
        line.chain = argument;
        line.newName = getopt.takeWord();
        if (line.newName === null) throw new UsageError('-E requires old-chain-name and new-chain-name');
        break;
      case 'P':
        this.addCommand(Cmd.setPolicy, 0);
        line.chain = argument;
        line.policy = getopt.takeWord();
        if (line.policy === null) throw new UsageError('-P requires a chain and a policy');
        break;
      case 'h':
        this.help();
        break;
      case 'p':
        this.protocol(word);
        break;
      case 's':
        this.setOption(Opt.source);
        if (this.invert) line.sourceInvert = true;
        this.sourceText = word;
        break;
      case 'd':
        this.setOption(Opt.destination);
        if (this.invert) line.destinationInvert = true;
        this.destinationText = word;
        break;
      case 'g':
        this.setOption(Opt.jump);
        line.goto = true;
        checkTargetName(argument as string);
        line.jumpTo = argument as string;
        break;
      case 'j':
        this.setOption(Opt.jump);
        this.jump(word);
        break;
      case 'i':
      case 'o': {
        if (argument === '') throw new UsageError('Empty interface is likely to be undesired');
        this.setOption(letter === 'i' ? Opt.inInterface : Opt.outInterface);
        const match = { name: this.interfaceName(word), invert: this.invert };
        if (letter === 'i') rule.inInterface = match;
        else rule.outInterface = match;
        break;
      }
      case 'f':
        if (settings.family === 6) {
          throw new UsageError("`-f' is not supported in IPv6, use -m frag instead");
        }
        this.setOption(Opt.fragment);
        rule.fragment = !this.invert;
        break;
      case 'v':
        if (line.verbose === 0) this.setOption(Opt.verbose);
        line.verbose++;
        break;
      case 'm': {
        if (this.invert) throw new UsageError('unexpected ! flag before --match');
        this.addMatch(this.matchByName(argument as string));
        break;
      }
      case 'n':
        this.setOption(Opt.numeric);
        break;
      case 't':
        if (this.invert) throw new UsageError('unexpected ! flag before --table');
        if (settings.restore && this.tableSet) {
          throw new UsageError(`The -t option cannot be used in ${settings.program}.\n`);
        }
        line.table = argument as string;
        this.context.table = line.table;
        this.tableSet = true;
        break;
      case 'x':
        this.setOption(Opt.expanded);
        break;
      case 'V':
        throw new EarlyExit(
          0,
          this.invert ? `Not ${settings.version} ;-)\n` : `${settings.program} v${settings.version}\n`,
        );
      case 'w':
        if (settings.restore) throw new UsageError("You cannot use `-w' from iptables-restore");
        line.wait = parseWait(argument ?? getopt.takeWord());
        break;
      case 'W':
        if (settings.restore) throw new UsageError("You cannot use `-W' from iptables-restore");
        parseWaitInterval(argument ?? getopt.takeWord(), settings.warn);
        this.waitInterval = true;
        break;
      case '0':
        this.setOption(Opt.lineNumbers);
        break;
      case 'M':
        // No modules are loaded here; the real tool does not use the command either where the table exists.
        break;
      case 'c':
        this.setOption(Opt.counters);
        this.counters(argument as string);
        break;
      case '4':
      case '6':
        if (settings.family === Number(letter)) break;
        if (settings.restore) {
          line.command = 0;
          return true;
        }
        throw new UsageError('', { showProgram: false });
      default:
        // `-b` is in the option string, but nothing takes it.
        if (!this.loadProtocol()) throw new UsageError(`Unknown arg "${argument ?? '(null)'}"`);
        this.getopt.again();
        return false;
    }
    return false;
  }

  private addCommand(command: number, others: number): void {
    if (this.invert) throw new UsageError("unexpected '!' flag");
    const clash = this.line.command & ~others;
    if (clash !== 0) {
      throw new UsageError(`Cannot use -${commandLetter(command)} with -${commandLetter(clash)}`);
    }
    this.line.command |= command;
  }

  private setOption(option: number): void {
    if ((this.line.options & option) !== 0) {
      throw new UsageError(`multiple -${optionLetter(option)} flags not allowed`);
    }
    this.line.options |= option;
    if (this.invert && (option & INVERTIBLE) === 0) {
      throw new UsageError(`cannot have ! before -${optionLetter(option)}`);
    }
  }

  private protocol(word: string): void {
    const { settings, line } = this;
    this.setOption(Opt.protocol);
    const text = word.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
    this.argv[this.getopt.index - 1] = text;
    this.protocolText = text;
    line.rule.protocol = parseProtocol(text, settings.names);
    line.rule.protocolInvert = this.invert;
    if (line.rule.protocol === 0 && this.invert) throw new UsageError('rule would never match protocol');
    if (settings.family === 6 && !this.invert && IPV6_EXTENSION_HEADERS.has(line.rule.protocol)) {
      settings.warn(`Warning: never matched protocol: ${text}. use extension match instead.\n`);
    }
  }

  private matchByName(name: string): Extension {
    if (name.length > MAX_CHAIN_NAME) {
      throw new UsageError(`Invalid match name "${name}" (${MAX_CHAIN_NAME} chars max)`);
    }
    const extension = findMatch(name, this.settings.family);
    if (extension === undefined) {
      throw new UsageError(`Couldn't load match \`${MATCH_NAMES[name] ?? name}':No such file or directory\n`);
    }
    return extension;
  }

  private jump(name: string): void {
    const { line, settings } = this;
    checkTargetName(name);
    line.jumpTo = name;
    if (STANDARD_TARGETS.has(name) || settings.announced.has(name)) return;
    if (name === 'standard') {
      // The name under which libxtables keeps the verdicts: it loads, but no kernel has such a target.
      line.rule.target = { kind: 'extension', name, data: null };
      return;
    }
    const extension = findTarget(name, settings.family);
    if (extension === undefined) return;
    line.target = extension;
    this.target = beginUse(extension, this.context);
    this.known.load(extension);
  }

  private interfaceName(name: string): string {
    if (name.length + 1 > 16) {
      throw new UsageError(`interface name \`${name}' must be shorter than IFNAMSIZ (15)`);
    }
    if (/[/ ]/.test(name)) {
      this.settings.warn(
        `Warning: weird character in interface \`${name}' ('/' and ' ' are not allowed by the kernel).\n`,
      );
    }
    return name;
  }

  private counters(argument: string): void {
    const comma = argument.indexOf(',', 1);
    const bytes = comma >= 0 ? argument.slice(comma + 1) : this.getopt.takeWord();
    if (bytes === null) throw new UsageError('-c requires packet and byte counter');
    const packetCount = scanDecimal(argument);
    if (packetCount === null) throw new UsageError('-c packet counter not numeric');
    const byteCount = scanDecimal(bytes);
    if (byteCount === null) throw new UsageError('-c byte counter not numeric');
    this.line.counters = { packets: packetCount, bytes: byteCount };
  }

  private help(): void {
    const { settings } = this;
    if (this.matches.length === 0 && this.protocolText !== null) {
      const extension = findMatch(this.protocolText, settings.family);
      if (extension !== undefined) this.matches.push(beginUse(extension, this.context));
    }
    const helps = [this.target, ...this.matches].flatMap((use) => (use === null ? [] : [use.extension]));
    let text = generalHelp(settings.program, settings.version, settings.family);
    if (STANDARD_TARGETS.has(this.line.jumpTo) && !this.line.goto) text += `\n${STANDARD_HELP}`;
    for (const extension of helps) {
      text += `\n${extension.help(settings.family, settings.variant) || `${extension.name} does not take any options\n`}`;
    }
    throw new EarlyExit(0, text);
  }

  private finish(): void {
    const { line, getopt } = this;
    const { rule } = line;
    if (line.table === 'nat' && (line.policy === 'DROP' || line.jumpTo === 'DROP')) {
      throw new UsageError(
        '\nThe "nat" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n',
      );
    }
    if (this.waitInterval && (line.wait ?? 0) === 0) {
      throw new UsageError('--wait-interval only makes sense with --wait\n');
    }
    for (const use of this.matches) {
      finishUse(use, this.context);
      rule.matches.push({ name: use.extension.name, data: use.data });
    }
    // A copy has no spare places, of which large sets of rules would keep many.
    if (rule.matches.length > 0) rule.matches = rule.matches.slice();
    if (this.target !== null) {
      finishUse(this.target, this.context);
      rule.target = { kind: 'extension', name: this.target.extension.name, data: this.target.data };
    }
    if (getopt.rest().length > 0) throw new UsageError('unknown arguments found on commandline');
    if (line.command === 0) throw new UsageError('no command specified');
    if (this.invert) throw new UsageError('nothing appropriate following !');
    this.readAddresses();
    const { command } = line;
    if (command === Cmd.replace && (line.sources.length !== 1 || line.destinations.length !== 1)) {
      throw new UsageError('Replacement rule does not specify a unique address');
    }
    const illegal = illegalOption(command, line.options);
    if (illegal !== 0) throw new UsageError(`Illegal option \`-${optionLetter(illegal)}' with this command`);
    const { chain } = line;
    if (chain !== null && chain.length > MAX_CHAIN_NAME) {
      throw new UsageError(`chain name \`${chain}' too long (must be under ${MAX_CHAIN_NAME + 1} chars)`);
    }
    const onRule = Cmd.append | Cmd.delete | Cmd.deleteNumber | Cmd.check | Cmd.insert | Cmd.replace;
    if ((command & onRule) === 0) return;
    if ((chain === 'PREROUTING' || chain === 'INPUT') && (line.options & Opt.outInterface) !== 0) {
      throw new UsageError(`Can't use -o with ${chain}\n`);
    }
    if ((chain === 'POSTROUTING' || chain === 'OUTPUT') && (line.options & Opt.inInterface) !== 0) {
      throw new UsageError(`Can't use -i with ${chain}\n`);
    }
    if (STANDARD_TARGETS.has(line.jumpTo) && !line.goto) {
      rule.target = VERDICTS[line.jumpTo as keyof typeof VERDICTS];
    }
  }

  private readAddresses(): void {
    const { line, settings } = this;
    const { family, names } = settings;
    const anywhere = (): MaskedAddress[] => [{ address: ANY_ADDRESS, mask: ANY_ADDRESS }];
    const withRule =
      (line.command & (Cmd.replace | Cmd.insert | Cmd.delete | Cmd.append | Cmd.check)) !== 0 ? anywhere() : [];
    line.sources = this.sourceText === null ? withRule : parseAddressList(this.sourceText, family, names);
    line.destinations =
      this.destinationText === null ? withRule : parseAddressList(this.destinationText, family, names);
    if ((line.sources.length > 1 || line.destinations.length > 1) && (line.sourceInvert || line.destinationInvert)) {
      throw new UsageError('! not allowed with multiple source or destination IP addresses');
    }
  }
}
