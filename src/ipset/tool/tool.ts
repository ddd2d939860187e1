import type { CreateOptions } from '../entry.ts';
import { SetError } from '../errors.ts';
import type { SetKernel } from '../kernel.ts';
import { parseElement } from '../syntax/element.ts';
import { MAX_NAME, tooLongName } from '../syntax/options.ts';
import { elementText } from '../syntax/print.ts';
import type { SetNames, Values } from '../syntax/session.ts';
import { ReportType, Session } from '../syntax/session.ts';
import { setTypeByName } from '../syntax/set-types.ts';
import { Batch } from './batch.ts';
import type { CommandDeclaration, ToolCommand } from './commands.ts';
import { COMMANDS, matchesCommand, PROGRAM } from './commands.ts';
import { Environment } from './environment.ts';
import { errorText } from './error-text.ts';
import { fastAddLine } from './fast-line.ts';
import { generalHelp, typeHelp, typesHelp } from './help.ts';
import { type ListingOptions, listSets } from './listing.ts';
import type { Fault } from './read-options.ts';
import { checkAllowed, checkMandatory, readOptions } from './read-options.ts';
import { Exit, type ToolIo } from './tool-io.ts';
import { pieces, splitLine } from './words.ts';

const MAX_WORDS = 31;

/** The program `ipset` on the sets of a machine. */
export class Tool {
  private readonly kernel: SetKernel;
  private readonly io: ToolIo;
  private readonly session: Session;
  private readonly environment = new Environment();
  private interactive = false;
  private line = 0;
  private batch: Batch;
  /** Whether sets may have changed. */
  changed = false;

  constructor(kernel: SetKernel, names: SetNames, io: ToolIo) {
    this.kernel = kernel;
    this.io = io;
    this.session = new Session(names, (text) => io.err(text));
    this.batch = new Batch(kernel);
  }

  /** Runs the program; the exit status. */
  run(args: readonly string[]): number {
    try {
      return this.execute(args) === -1 ? 255 : 0;
    } catch (error) {
      if (error instanceof Exit) return error.status;
      throw error;
    }
  }

  /** Prints a fault with the program's name; ends the program unless it is interactive. */
  private customError(status: 'ok' | 'other' | 'usage' | 'session', text: string | null): -1 {
    const quiet = !this.interactive && this.environment.has('quiet');
    if (status !== 'ok' && text !== null && !quiet) {
      this.io.err(`${PROGRAM}: ${text}${status === 'session' ? '' : '\n'}`);
      if (status === 'usage') this.io.err("Try `ipset help' for more information.\n");
    }
    if (status !== 'ok' && this.interactive) {
      this.session.clearReport();
      return -1;
    }
    throw new Exit(status === 'ok' ? 0 : status === 'usage' ? 2 : 1);
  }

  /** Prints what the session's report says. Warnings end the program with 0. */
  private reported(): -1 {
    const { reportType, report } = this.session;
    if ((reportType === ReportType.warning || reportType === ReportType.notice) && !this.environment.has('quiet')) {
      this.io.err(`${reportType === ReportType.warning ? 'Warning: ' : ''}${report}`);
    }
    if (reportType === ReportType.error) return this.customError('session', report);
    if (!this.interactive) throw new Exit(reportType <= ReportType.warning ? 0 : 1);
    this.session.clearReport();
    return -1;
  }

  private fault(fault: Fault): -1 {
    return fault.kind === 'report' ? this.reported() : this.customError(fault.kind, fault.text);
  }

  /** Takes one command line apart and does it. -1: it failed. */
  private execute(args: readonly string[]): number {
    const words = [...args];
    if (words.length > MAX_WORDS) return this.customError('usage', 'Line is too long to parse.');
    this.session.line = this.line;
    const bad = this.environment.take(words, this.session);
    this.session.quiet = this.environment.has('quiet');
    if (bad !== null) return this.fault(bad);
    const found = words.length > 0 ? COMMANDS.find(({ names }) => matchesCommand(words[0]!, names)) : undefined;
    if (found === undefined) return this.noCommand(words);
    if (this.line !== 0 && ['restore', 'version', 'help'].includes(found.command)) {
      return this.customError('usage', `Command \`${found.names[0]}' is invalid in restore mode.`);
    }
    if (this.interactive && found.command === 'restore') {
      this.io.out('Restore command is not supported in interactive mode\n');
      return 0;
    }
    words.shift();
    const [first, second, missing] = this.takeArguments(found, words);
    if (missing) return -1;
    return this.dispatch(found.command, first, second, words);
  }

  private takeArguments(found: CommandDeclaration, words: string[]): [string?, string?, boolean?] {
    if (found.takes === 'none') return [];
    if (found.takes === 'optional') return [words.shift()];
    if (words.length === 0) {
      this.customError('usage', `Missing mandatory argument to command ${found.names[0]}`);
      return [undefined, undefined, true];
    }
    const first = words.shift();
    if (words.length === 0) {
      this.customError('usage', `Missing second mandatory argument to command ${found.names[0]}`);
      return [undefined, undefined, true];
    }
    return [first, words.shift()];
  }

  private noCommand(words: readonly string[]): number {
    if (this.interactive) {
      this.io.out('No command specified\n');
      return 0;
    }
    if (words[0] === '-') return this.runInteractive();
    const unknown = words.length > 0 ? `: unknown argument ${words[0]}` : '.';
    return this.customError('usage', `No command specified${unknown}`);
  }

  private dispatch(
    command: ToolCommand,
    first: string | undefined,
    second: string | undefined,
    words: string[],
  ): number {
    switch (command) {
      case 'version':
        this.io.out(`${PROGRAM}, protocol version: 7\n`);
        return this.interactive ? 0 : this.customError('ok', null);
      case 'help':
        return this.help(first);
      case 'quit':
        throw new Exit(0);
      case 'restore':
        if (words.length > 0) return this.customError('usage', `Unknown argument ${words[0]}`);
        return this.restore();
      case 'create':
        return this.create(first!, second!, words);
      case 'add':
      case 'del':
      case 'test':
        return this.changeElement(command, first!, second!, words);
      default:
        return this.wholeSets(command, first, second, words);
    }
  }

  private help(name: string | undefined): number {
    this.io.out(generalHelp());
    if (this.interactive || !this.environment.has('quiet')) {
      const type = name === undefined ? undefined : setTypeByName(name);
      if (name !== undefined && type === undefined) return this.customError('usage', `Unknown settype: \`${name}'`);
      this.io.out(type === undefined ? typesHelp() : typeHelp(type));
    }
    return this.interactive ? 0 : this.customError('ok', null);
  }

  private create(name: string, typeName: string, words: string[]): number {
    const { session } = this;
    if (tooLongName(session, name)) return this.reported();
    session.setName = name;
    if (typeName.length > MAX_NAME) {
      session.syntaxError(`typename '${typeName}' is longer than ${MAX_NAME} characters`);
      return this.reported();
    }
    const type = setTypeByName(typeName);
    if (type === undefined) {
      session.syntaxError(`typename '${typeName}' is unknown`);
      return this.reported();
    }
    if (type.family !== 'none') {
      session.family = 4;
      session.familyIsDefault = type.family === 'both';
    }
    if (!this.kernel.supports(type.name)) {
      session.error(errorText('create', SetError.findType, type.name));
      return this.reported();
    }
    session.type = type;
    for (const family of [true, false]) {
      const fault = readOptions(session, type.create, words, family);
      if (fault !== null) return this.fault(fault);
    }
    const mandatory = checkMandatory(session, type.create);
    if (mandatory !== null) this.fault(mandatory);
    const allowed = checkAllowed(session, type, type.create, 'create');
    if (allowed !== null) this.fault(allowed);
    return this.toKernel('create', () => {
      const { createComment, comment: _element, ...rest } = session.values;
      const options: CreateOptions = createComment ? { ...rest, comment: true } : rest;
      return this.kernel.create(name, type.name, session.family ?? 0, options, this.environment.has('exist'));
    });
  }

  private changeElement(command: 'add' | 'del' | 'test', name: string, element: string, words: string[]): number {
    const { session } = this;
    if (tooLongName(session, name)) return this.reported();
    session.setName = name;
    const known = this.kernel.find(name);
    if (known === undefined) {
      session.error(errorText(command, SetError.notFound, undefined));
      return this.reported();
    }
    const type = setTypeByName(known.typeName)!;
    session.type = type;
    session.family = known.family;
    session.familyIsDefault = false;
    if (parseElement(session, element) !== 0) return this.reported();
    const syntax = type[command];
    const fault = readOptions(session, syntax, words, false);
    if (fault !== null) return this.fault(fault);
    const mandatory = checkMandatory(session, syntax);
    if (mandatory !== null) this.fault(mandatory);
    const allowed = checkAllowed(session, type, syntax, command);
    if (allowed !== null) this.fault(allowed);
    if (session.setName === undefined) {
      // A report of the reading was no reason to stop, but has forgotten what was read.
      session.error(`Invalid ${command} command: missing setname`);
      return this.reported();
    }
    if (command !== 'test' && this.line !== 0)
      return this.toBatch(command, name, session.values, known.family, type.name);
    return this.toKernel(command, () => {
      const values = session.values;
      const error = this.kernel.change(name, command, values, this.environment.has('exist'));
      if (command !== 'test') return error;
      if (!this.environment.has('quiet')) {
        // The real tool does not know at this point that a port of a bridge was meant.
        const { physdev: _port, ...shown } = values;
        const text = elementText(type, shown, { family: known.family, names: session.names, resolve: false });
        session.report = text;
        session.message(
          error === 0 ? ReportType.warning : ReportType.notice,
          error === 0 ? ` is in set ${name}.` : ` is NOT in set ${name}.`,
        );
        return 0;
      }
      if (error !== 0) throw new Exit(1);
      return 0;
    });
  }

  private toBatch(command: 'add' | 'del', name: string, values: Values, family: 4 | 6 | 0, typeName: string): number {
    const failed = this.batch.put(command, name, values, this.line, family, typeName, this.environment.has('exist'));
    this.changed = true;
    this.session.reset();
    if (failed) return this.batchFailed();
    return this.session.reportType > ReportType.none ? this.reported() : 0;
  }

  private batchFailed(): number {
    const { command, code, line, typeName } = this.batch.failure!;
    this.session.line = line;
    this.session.error(errorText(command, code, typeName));
    return this.reported();
  }

  /** Sends what restore has collected, then does a command; errors become reports. */
  private toKernel(command: ToolCommand, action: () => number): number {
    if (!this.batch.commit()) return this.batchFailed();
    const typeName = this.session.type?.name;
    if (command !== 'test' && command !== 'list' && command !== 'save') this.changed = true;
    const error = action();
    if (error !== 0) {
      this.session.error(errorText(command, error, typeName));
      return this.reported();
    }
    this.session.reset();
    return this.session.reportType > ReportType.none ? this.reported() : 0;
  }

  private wholeSets(
    command: ToolCommand,
    first: string | undefined,
    second: string | undefined,
    words: string[],
  ): number {
    const { session, kernel } = this;
    if ((command === 'list' || command === 'save') && this.environment.file !== null) {
      const reason = this.io.writeFile(this.environment.file, '');
      if (reason !== null) {
        session.error(`Cannot open ${this.environment.file} for writing: ${reason}`);
        return this.reported();
      }
    }
    for (const name of [first, second]) {
      if (name !== undefined && tooLongName(session, name)) return this.reported();
    }
    if (words.length > 0) return this.customError('usage', `Unknown argument ${words[0]}`);
    return this.toKernel(command, () => {
      switch (command) {
        case 'destroy':
          return kernel.destroy(first, this.environment.has('exist'));
        case 'flush':
          return kernel.flush(first);
        case 'rename':
          return kernel.rename(first!, second!);
        case 'swap':
          return kernel.swap(first!, second!);
        default:
          return this.list(command === 'save' ? 'save' : 'list', first);
      }
    });
  }

  private list(command: 'list' | 'save', name: string | undefined): number {
    const { kernel, environment } = this;
    const mode = environment.mode ?? (command === 'save' ? 'save' : 'plain');
    environment.mode = mode;
    const one = name === undefined ? undefined : kernel.find(name);
    if (name !== undefined && one === undefined) return SetError.notFound;
    const terse = environment.has('terse');
    const options: ListingOptions = {
      mode,
      names: this.session.names,
      resolve: environment.has('resolve'),
      sorted: environment.has('sorted'),
      terse,
      members: command === 'save' || mode === 'save' || !terse,
    };
    const sets = one === undefined ? kernel.all() : [one];
    if (environment.file === null) {
      listSets(kernel, sets, options, environment.has('name'), (text) => this.io.out(text));
    } else {
      const collected: string[] = [];
      listSets(kernel, sets, options, environment.has('name'), (text) => void collected.push(text));
      this.io.writeFile(environment.file, collected.join(''));
    }
    return 0;
  }

  private restore(): number {
    let text: string | null;
    if (this.environment.file !== null) {
      text = this.io.readFile(this.environment.file);
      if (text === null) return -1;
    } else {
      text = this.io.readStdin();
    }
    for (const [from, next] of pieces(text)) {
      this.line++;
      this.restoreLine(text, from, next);
    }
    if (!this.batch.commit()) this.batchFailed();
    return 0;
  }

  private restoreLine(text: string, from: number, next: number): void {
    const { batch } = this;
    if (batch.fast && text.charCodeAt(from) === 97) {
      const to = text.charCodeAt(next - 1) === 10 ? next - 1 : next;
      const values = fastAddLine(text, from, to, batch.name);
      if (values !== null && batch.takes(values)) {
        this.session.line = this.line;
        this.toBatch('add', batch.name, values, 4, batch.typeName);
        return;
      }
    }
    const line = text.slice(from, next).replace(/^[ \t\n\v\f\r]+/, '');
    if (line === '' || line.startsWith('#')) return;
    if (line === 'COMMIT\n' || line === 'COMMIT\r\n') {
      if (!batch.commit()) this.batchFailed();
      return;
    }
    this.executeLine(line);
  }

  private executeLine(line: string): number {
    const words = splitLine(line);
    if (typeof words === 'string') return this.customError('usage', words);
    return this.execute(words);
  }

  private runInteractive(): number {
    this.interactive = true;
    this.io.out('ipset> ');
    for (const piece of this.io.readStdin().match(/[^\n]*\n|[^\n]+$/g) ?? []) {
      const line = piece.replace(/^[ \t\n\v\f\r]+/, '');
      if (line === '' || line.startsWith('#')) this.io.out('ipset> ');
      else if (this.executeLine(line) < 0) this.reported();
      this.io.out('ipset> ');
    }
    throw new Exit(0);
  }
}
