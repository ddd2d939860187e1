import { readFileSync } from 'node:fs';
import { Direction, Status } from '../../conntrack/connection.ts';
import type { Entry } from '../../conntrack/entry.ts';
import { type ConntrackService, createConntrack } from '../../conntrack/service.ts';
import { CONNTRACK_SYSCTLS } from '../../conntrack/settings.ts';
import { CONNTRACK_FILE } from '../../conntrack/store.ts';
import { Extra, Field } from '../../conntrack/table.ts';
import { createNat, type NatService } from '../../nat/service.ts';
import { readStateFile, StateError, writeStateFile } from '../../state/files.ts';
import { lockDirectory } from '../../state/lock.ts';
import { MACHINE_FILE } from '../../state/machine-memory.ts';
import { systemNames } from '../../state/names.ts';
import { createEntry, requestedTuple, type UpdateResult, updateEntry } from '../conntrack/change.ts';
import { EVENTS_FILE, showEvents } from '../conntrack/events.ts';
import { createExpectation } from '../conntrack/expect.ts';
import { figures } from '../conntrack/figures.ts';
import { readLabelFile } from '../conntrack/labels.ts';
import { entryLine, expectationLine } from '../conntrack/print.ts';
import { ConntrackProblem, PROGRAM } from '../conntrack/problem.ts';
import { parseRequest, type Request } from '../conntrack/request.ts';
import { selects, selectsFound } from '../conntrack/select.ts';
import type { Life, Style } from '../conntrack/style.ts';
import { usage } from '../conntrack/usage.ts';
import { XML_HEAD } from '../conntrack/xml.ts';
import type { Command, Io } from '../io.ts';

/** conntrack(8) of conntrack-tools 1.4.7, on the table in the state directory. */
export const conntrack: Command = async (_name, args, io) => {
  try {
    const request = parse(args);
    for (const line of request.warnings) io.err(line);
    if (request.loadFile !== null) return await loadFile(request.loadFile, io);
    return await run(request, io);
  } catch (error) {
    if (error instanceof StateError) {
      io.err(`${PROGRAM}: ${error.message}\n`);
      return 1;
    }
    if (!(error instanceof ConntrackProblem)) throw error;
    io.err(`${error.before}${PROGRAM}: ${error.message}\n`);
    if (error.status === 2) io.err("Try `conntrack -h' or 'conntrack --help' for more information.\n");
    return error.status;
  }
};

function parse(args: readonly string[]): Request {
  return parseRequest(args, { protocolByName: (name) => systemNames().protocolByName(name), labels: readLabelFile });
}

/** `-R`: each line of the file is a command that changes the table. */
async function loadFile(file: string, io: Io): Promise<number> {
  io.openingFile?.(file);
  let text: string;
  try {
    text = file === '-' ? io.readStdin() : readFileSync(file, 'latin1');
  } catch {
    throw new ConntrackProblem(`Failed to open file ${file} for reading`);
  }
  const counts = new Map<string, number>();
  await changing(io, true, (table) => {
    for (const line of text.split('\n')) {
      const words = line.trim().split(/\s+/);
      if (words[0] === '' || words[0]!.startsWith('#')) continue;
      const request = parse(words);
      const command = request.command ?? 'help';
      if (!['create', 'add', 'delete', 'flush', 'update'].includes(command)) {
        throw new ConntrackProblem(`Cannot use command \`${words[0]}' with --load-file`);
      }
      counts.set(command, (counts.get(command) ?? 0) + apply(request, table, io));
    }
  });
  for (const [command, count] of counts) io.err(`${PROGRAM}: ${summary(command, count)}`);
  return 0;
}

const DONE: Readonly<Record<string, string>> = {
  list: 'flow entries have been shown',
  create: 'flow entries have been created',
  add: 'flow entries have been added',
  update: 'flow entries have been updated',
  delete: 'flow entries have been deleted',
  get: 'flow entries have been shown',
  event: 'flow events have been shown',
  'expect-list': 'expectations have been shown',
  'expect-delete': 'expectations have been shown',
  'expect-event': 'expectation events have been shown',
};

function summary(command: string, count: number): string {
  if (command === 'flush') return 'connection tracking table has been emptied.\n';
  if (command === 'expect-flush') return 'expectation table has been emptied.\n';
  return `${count} ${DONE[command]}.\n`;
}

async function run(request: Request, io: Io): Promise<number> {
  const { command } = request;
  switch (command) {
    case null:
    case 'help': {
      io.out(usage(command === null ? null : request.protocol));
      return 0;
    }
    case 'version':
      io.out(`${PROGRAM}\n`);
      return 0;
    case 'event':
    case 'expect-event':
      if (request.options.has('b')) io.err('NOTICE: Netlink socket buffer size has been set to 2304 bytes.\n');
      io.err(`${PROGRAM}: ${summary(command, events(request, io))}`);
      return 0;
    case 'count':
    case 'expect-count':
    case 'stats':
    case 'expect-stats':
      io.out(figures(command, open(io).service));
      return 0;
    default: {
      const count = await change(request, io);
      // The tool has no word for an expectation that was made.
      if (command === 'expect-create') return 0;
      io.err(`${PROGRAM}: ${summary(command, count)}`);
      const quiet = ['list', 'expect-list', 'flush', 'expect-flush', 'add'];
      return count === 0 && !quiet.includes(command) ? 1 : 0;
    }
  }
}

/** Nothing happens to a table at rest: what the last committed trace was asked to tell of is shown again. */
function events(request: Request, io: Io): number {
  const text = readStateFile(io.directory, EVENTS_FILE) ?? '';
  const style = styleOf(request, io, 1);
  try {
    return showEvents(text, request, emptyTable(), (clock) => ({ ...style, clock }), io.out);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new StateError(`${io.directory}/${EVENTS_FILE}: ${error.message}`);
  }
}

interface Table {
  service: ConntrackService;
  nat: NatService;
}

/** A table whose clock stands at 0. */
function emptyTable(): ConntrackService {
  return createConntrack({
    now: () => 0,
    random: () => 0,
    sysctl: (name) => CONNTRACK_SYSCTLS[name.replace('net.netfilter.', '')] ?? 0,
  });
}

/** The table as the directory has it; its clock stands at 0, all times are what remains. */
function open(io: Io): Table {
  const service = emptyTable();
  const nat = createNat(service);
  const text = readStateFile(io.directory, CONNTRACK_FILE);
  if (text !== null) {
    try {
      service.load(text);
    } catch (error) {
      throw new StateError(`${io.directory}/${CONNTRACK_FILE}: ${(error as Error).message}`);
    }
  }
  return { service, nat };
}

/** Commands that read or change entries; those that change hold the lock. Returns how many entries were concerned. */
async function change(request: Request, io: Io): Promise<number> {
  const command = request.command!;
  if (command === 'list' || command === 'expect-list' || command === 'get' || command === 'expect-get') {
    if (!request.options.has('z')) return apply(request, open(io), io);
  }
  return changing(io, command === 'create' || command === 'add', (table) => apply(request, table, io));
}

/** Does something to the table of the directory under its lock; `adds`: entries may be made. */
async function changing<T>(io: Io, adds: boolean, work: (table: Table) => T): Promise<T> {
  const release = lockDirectory(io.directory);
  try {
    const table = open(io);
    if (adds) await applySysctls(table.service, io);
    const before = table.service.save();
    try {
      return work(table);
    } finally {
      // An error does not undo what was done before it.
      const after = table.service.save();
      if (after !== before) writeStateFile(io.directory, CONNTRACK_FILE, after);
    }
  } finally {
    release?.();
  }
}

/** Whether a rule has to do with labels: else the kernel keeps none. */
function rulesLabel(io: Io): boolean {
  return ['rules.v4', 'rules.v6'].some((file) => / -m connlabel /.test(readStateFile(io.directory, file) ?? ''));
}

/** What host.yaml says of counting and time stamps: entries made by hand get them too. */
async function applySysctls(service: ConntrackService, io: Io): Promise<void> {
  const text = readStateFile(io.directory, 'host.yaml');
  if (text === null) return;
  const { readHostYaml } = await import('../../host/yaml.ts');
  const { host } = readHostYaml(Buffer.from(text, 'latin1').toString('utf8'), `${io.directory}/host.yaml`);
  service.settings.accounting = host.sysctl('net.netfilter.nf_conntrack_acct') !== 0;
  service.settings.timestamps = host.sysctl('net.netfilter.nf_conntrack_timestamp') !== 0;
}

function styleOf(request: Request, io: Io, use: number): Style {
  const labelNames = new Map<number, string>();
  // The tool shows labels as soon as any option has made it read their names, but not when it deletes.
  const named = request.output.has('labels') || ['l', '<', '>'].some((letter) => request.options.has(letter));
  if (named && request.command !== 'delete') for (const [name, bit] of readLabelFile() ?? []) labelNames.set(bit, name);
  return { output: request.output, labelNames, clock: clockOf(io), use };
}

/** Clock of the last packet committed, microseconds; 0 in a new directory. */
function clockOf(io: Io): number {
  const text = readStateFile(io.directory, MACHINE_FILE);
  return text === null ? 0 : ((JSON.parse(text) as { clock?: number }).clock ?? 0);
}

function apply(request: Request, { service, nat }: Table, io: Io): number {
  if (request.labels.add.length > 0) request.labels.kept = rulesLabel(io);
  const show = (entry: Entry, use: number) => {
    io.out(entryLine(entry, 0, styleOf(request, io, use), lifeOf(service, entry)));
  };
  switch (request.command) {
    case 'create':
    case 'add':
      return createEntry(service, nat, request) ? 1 : 0;
    case 'list':
      return list(request, service, io);
    case 'get':
      return get(request, service, io, show);
    case 'delete': {
      const found = chosen(request, service);
      for (const entry of found) {
        show(entry, 1);
        service.destroy(entry, 'conntrack -D');
      }
      return found.length;
    }
    case 'update':
      return update(request, service, io, show);
    case 'flush': {
      const all = chosen({ ...request, options: new Set(), addresses: new Map() }, service);
      for (const entry of all) service.destroy(entry, 'conntrack -F');
      return all.length;
    }
    case 'expect-list':
      return listExpectations(request, service, io);
    case 'expect-flush':
      for (const expectation of service.expectations.all()) service.expectations.remove(expectation);
      return 0;
    case 'expect-get':
    case 'expect-delete':
      return takeExpectation(request, service, io);
    default:
      createExpectation(service, request);
      return 0;
  }
}

function lifeOf(service: ConntrackService, entry: Entry): Life | null {
  const timestamp = service.sidelines.timestamps.get(entry.slot);
  return timestamp === undefined ? null : { started: timestamp.start, stopped: null };
}

function chosen(request: Request, service: ConntrackService): Entry[] {
  const found: Entry[] = [];
  service.table.forEachConfirmed((slot) => {
    const entry = service.entry(slot);
    if (entry.expiry > 0 && (entry.status & Status.natClash) === 0 && selects(request, entry)) found.push(entry);
  });
  return found;
}

function list(request: Request, service: ConntrackService, io: Io): number {
  // Linux has had no list of unconfirmed entries since 5.19 (one whose packet waits in a queue shows nowhere), and among the dying
  // only those of whose end a listener could not be told.
  if (request.table !== 'conntrack') return 0;
  if (request.options.has('u') && request.status.mask === 0) {
    throw new ConntrackProblem('Operation failed: invalid parameters', 1);
  }
  const style = styleOf(request, io, 1);
  const found = chosen(request, service);
  if (style.output.has('xml') && found.length > 0) io.out(`${XML_HEAD}<conntrack>\n`);
  for (const entry of found) {
    io.out(entryLine(entry, 0, style, lifeOf(service, entry)));
    if (!request.options.has('z') || !entry.has(Extra.accounting)) continue;
    const at = (entry.base + Field.counters) >>> 1;
    entry.doubles.fill(0, at, at + 4);
  }
  if (style.output.has('xml') && found.length > 0) io.out('</conntrack>\n');
  return found.length;
}

function get(request: Request, service: ConntrackService, io: Io, show: (entry: Entry, use: number) => void): number {
  const tuple = requestedTuple(request, Direction.original, true);
  if (tuple === null) throw new ConntrackProblem('Operation failed: invalid parameters', 1);
  const { addresses, protocol } = request;
  const half = ['reply-port-src', 'reply-port-dst', 'reply-key-src', 'reply-key-dst'].some((name) =>
    request.values.has(name),
  );
  if (half && !addresses.has('r') && !addresses.has('q')) {
    // A reply without addresses is never sent; what the tool then takes for the error is left over from earlier.
    throw new ConntrackProblem(`Operation failed: ${protocol?.name === 'tcp' ? 'No data available' : 'Success'}`, 1);
  }
  const node = service.lookup(tuple, 0, 0, 0);
  if (node < 0) throw new ConntrackProblem("Operation failed: such conntrack doesn't exist", 1);
  const entry = service.entry(node >>> 1);
  if (!selectsFound(request, entry)) return 0;
  if (request.output.has('xml')) io.out(`${XML_HEAD}<conntrack>\n`);
  show(entry, 2);
  return 1;
}

/** An answer of the kernel: an entry, or how a request ended. */
interface Reply {
  /** What the tool says to the error; null: none. */
  failure: string | null;
  entry?: Entry;
}

const UPDATE_FAILURES: Readonly<Record<Exclude<UpdateResult, 'same'>, string | null>> = {
  updated: null,
  busy: 'Device or resource busy',
  'no-space': 'No space left on device',
  'not-found': 'No such file or directory',
  'not-permitted': 'sorry, you must be root or get CAP_NET_ADMIN capability to do this',
  'not-supported': 'Operation not supported',
};

function update(
  request: Request,
  service: ConntrackService,
  io: Io,
  show: (entry: Entry, use: number) => void,
): number {
  // Options that say what is to become of an entry do not choose it.
  const filter: Request = { ...request, options: new Set(request.options), values: new Map(request.values) };
  for (const letter of ['m', 'u', 't']) filter.options.delete(letter);
  filter.values.delete('state');
  let count = 0;
  // Two requests for each entry, both acknowledged, but the tool reads one answer for each and so falls behind.
  const waiting: Reply[] = [];
  for (const entry of chosen(filter, service)) {
    const result = updateEntry(service, entry, request);
    if (result === 'same') continue;
    const failure = UPDATE_FAILURES[result];
    waiting.push({ failure });
    const answer = waiting.shift()!.failure;
    if (answer !== null) io.err(`Operation failed: ${answer}\n`);
    if (result === 'not-found' || result === 'not-supported') waiting.push({ failure });
    else waiting.push({ failure: null, entry }, { failure: null });
    const got = waiting.shift()!;
    if (got.failure === UPDATE_FAILURES['not-found']) continue;
    if (got.failure !== null) throw new ConntrackProblem(`Operation failed: ${got.failure}`, 1);
    if (got.entry !== undefined) show(got.entry, 2);
    count++;
  }
  return count;
}

function listExpectations(request: Request, service: ConntrackService, io: Io): number {
  const style = styleOf(request, io, 1);
  const found = service.expectations
    .all()
    .filter(
      (one) => one.expiry > 0 && !one.dead && (request.family === null || one.tuple[9]! >>> 8 === request.family),
    );
  const xml = style.output.has('xml') && found.length > 0;
  if (xml) io.out(`${XML_HEAD}<expect>\n`);
  for (const expectation of found) io.out(expectationLine(service, expectation, 0, style));
  if (xml) io.out('</expect>\n');
  return found.length;
}

function takeExpectation(request: Request, service: ConntrackService, io: Io): number {
  const tuple = requestedTuple(request, Direction.original);
  const found = tuple === null ? null : service.expectations.find(tuple, 0, 0);
  if (found === null) throw new ConntrackProblem('Operation failed: No such file or directory', 1);
  if (request.command === 'expect-get') io.out(expectationLine(service, found, 0, styleOf(request, io, 1)));
  else service.expectations.remove(found);
  // What was deleted is not shown, and so not counted.
  return request.command === 'expect-get' ? 1 : 0;
}
