import { UsageError } from '../extensions/contract.ts';
import { ANY_ADDRESS } from '../ruleset/addresses.ts';
import { type MaskedAddress, parseAddressList } from './addresses.ts';
import { assertValidChainName } from './chain-names.ts';
import { type CommandLine, type CommandLineSettings, emptyCommandLine } from './command.ts';
import { Cmd, commandLetter, INVERTIBLE, Opt, optionLetter, SHORT_OPTIONS } from './command-options.ts';
import { EarlyExit } from './early-exit.ts';
import { type ExtensionOption, type MutableParseContext, takeOption } from './extension-use.ts';
import { Getopt } from './getopt.ts';
import type { OptionId } from './known-options.ts';
import { checkLine, checkTargetName, isVerdict } from './line-checks.ts';
import { LoadedExtensions } from './loaded-extensions.ts';
import { scanDecimal } from './numbers.ts';
import { parseRuleNumber, parseWait, parseWaitInterval } from './option-numbers.ts';
import { parseProtocol } from './protocols.ts';

export type { CommandLine, CommandLineSettings } from './command.ts';

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
  private readonly loaded: LoadedExtensions;
  private readonly getopt: Getopt<OptionId>;
  private readonly line: CommandLine;
  private readonly context: MutableParseContext;
  private invert = false;
  private tableSet = false;
  private waitInterval = false;
  private sourceText: string | null = null;
  private destinationText: string | null = null;

  constructor(argv: string[], table: string, settings: CommandLineSettings) {
    this.argv = argv;
    this.settings = settings;
    const { family, variant, names } = settings;
    this.line = emptyCommandLine(family, table);
    this.context = {
      family,
      variant,
      table,
      names,
      rule: this.line.rule,
      seen: new Set(),
      warn: settings.warn,
      setByName: settings.setByName,
    };
    this.loaded = new LoadedExtensions(this.context);
    this.getopt = new Getopt<OptionId>(argv, SHORT_OPTIONS, (letter) => letter, this.loaded.known, true);
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
        const use = found.kind === 'option' ? this.loaded.useFor(found.id as ExtensionOption) : undefined;
        if (found.kind === 'option' && use !== undefined) {
          const { declaration } = found.id as ExtensionOption;
          const second = declaration.second === true ? getopt.takeWord() : undefined;
          takeOption(use, declaration, this.invert, found.argument, second, this.context);
        } else if (this.loaded.loadProtocol(this.isNumeric())) {
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
        throw new EarlyExit(0, this.loaded.help(settings, line));
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
        this.loaded.addMatch(argument as string);
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
        if (!this.loaded.loadProtocol(this.isNumeric())) throw new UsageError(`Unknown arg "${argument ?? '(null)'}"`);
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
    this.loaded.protocolText = text;
    line.rule.protocol = parseProtocol(text, settings.names);
    line.rule.protocolInvert = this.invert;
    if (line.rule.protocol === 0 && this.invert) throw new UsageError('rule would never match protocol');
    if (settings.family === 6 && !this.invert && IPV6_EXTENSION_HEADERS.has(line.rule.protocol)) {
      settings.warn(`Warning: never matched protocol: ${text}. use extension match instead.\n`);
    }
  }

  private isNumeric(): boolean {
    return (this.line.options & Opt.numeric) !== 0;
  }

  private jump(name: string): void {
    const { line, settings } = this;
    checkTargetName(name);
    line.jumpTo = name;
    if (isVerdict(name) || settings.announced.has(name)) return;
    if (name === 'standard') {
      // The name under which libxtables keeps the verdicts: it loads, but no kernel has such a target.
      line.rule.target = { kind: 'extension', name, data: null };
      return;
    }
    line.target = this.loaded.setTarget(name);
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

  private finish(): void {
    const { line, getopt } = this;
    if (line.table === 'nat' && (line.policy === 'DROP' || line.jumpTo === 'DROP')) {
      throw new UsageError(
        '\nThe "nat" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n',
      );
    }
    if (this.waitInterval && (line.wait ?? 0) === 0) {
      throw new UsageError('--wait-interval only makes sense with --wait\n');
    }
    this.loaded.finish(line.rule);
    if (getopt.rest().length > 0) throw new UsageError('unknown arguments found on commandline');
    if (line.command === 0) throw new UsageError('no command specified');
    if (this.invert) throw new UsageError('nothing appropriate following !');
    this.readAddresses();
    checkLine(line);
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
