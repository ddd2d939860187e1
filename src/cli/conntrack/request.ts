import type { AddressWords, Family } from '../../packet/family.ts';
import { Getopt } from '../../syntax/getopt.ts';
import { prefixMask, readAddress, readNumber, readPrefix, readStatus, readWords, splitPlace } from './arguments.ts';
import { allLongOptions, type CommandName, checkGeneralOptions, optionName, SHORT_OPTIONS } from './options.ts';
import { ConntrackProblem } from './problem.ts';
import {
  checkProtocolOptions,
  findProtocol,
  type ProtocolValues,
  protocolOptions,
  readProtocolOption,
  type ToolProtocol,
} from './protocols.ts';

export type TableName = 'conntrack' | 'expect' | 'dying' | 'unconfirmed';

export interface AddressOption {
  address: AddressWords;
}

export interface NatOption {
  /** Null: any translation. */
  address: AddressWords | null;
  family: Family | null;
  port: number | null;
}

export type OutputWord = 'xml' | 'extended' | 'timestamp' | 'id' | 'ktimestamp' | 'labels' | 'userspace' | 'save';

/** A command line of conntrack, understood and checked. */
export interface Request {
  command: CommandName | null;
  table: TableName;
  /** Letters of the options given. */
  options: Set<string>;
  family: Family | null;
  /** By letter: s d r q, and { } [ ] for expectations. */
  addresses: Map<string, AddressOption>;
  nat: Map<string, NatOption>;
  /** The address of `-j` has overwritten the source address: where addresses are compared, none is equal to it. */
  sourceSpoiled: boolean;
  protocol: ToolProtocol | null;
  values: ProtocolValues;
  timeout: number;
  /** Bits to be set or to be there, and bits that the kernel looks at when it lists. */
  status: { value: number; mask: number };
  mark: { value: number; mask: number };
  /** The mark that the kernel is asked for: of `mark` a later `-u` overwrites the value with its bits. */
  kernelMark: { value: number; mask: number };
  secmark: number;
  id: number;
  zones: { both: number | null; original: number | null; reply: number | null };
  /** `kept`: connections have room for labels, as some rule asks for them (`-m connlabel`). */
  labels: { filter: number[]; add: number[]; remove: number[] | null; kept: boolean };
  output: Set<OutputWord>;
  /** Kinds of events that `-e` names. */
  events: Set<EventWord>;
  bufferSize: number;
  loadFile: string | null;
  /** Lines for stderr that do not end the command. */
  warnings: string[];
}

/** What the parser needs from outside. */
export interface RequestNames {
  protocolByName(name: string): number | null;
  /** Bits of connlabel.conf by name; null if there is no such file. */
  labels(): ReadonlyMap<string, number> | null;
}

const COMMAND_OF: Readonly<Record<string, readonly [CommandName, CommandName | null, string]>> = {
  L: ['list', 'expect-list', 'dump'],
  I: ['create', 'expect-create', 'create'],
  A: ['add', null, 'add'],
  D: ['delete', 'expect-delete', 'delete'],
  U: ['update', null, 'update'],
  G: ['get', 'expect-get', 'get'],
  F: ['flush', 'expect-flush', 'flush'],
  E: ['event', 'expect-event', 'event'],
  V: ['version', 'version', 'version'],
  h: ['help', 'help', 'help'],
  C: ['count', 'expect-count', 'counter'],
  S: ['stats', 'expect-stats', 'stats'],
};

export const EVENT_WORDS = ['ALL', 'NEW', 'UPDATES', 'DESTROY'] as const;
export type EventWord = (typeof EVENT_WORDS)[number];
const OUTPUT_WORDS: readonly OutputWord[] = [
  'xml',
  'extended',
  'timestamp',
  'id',
  'ktimestamp',
  'labels',
  'userspace',
  'save',
];
/** Mask options of the addresses that may be written in CIDR notation. */
const MASK_OF: Readonly<Record<string, string>> = { s: '{', d: '}', '[': '{', ']': '}' };
const TABLES: readonly TableName[] = ['expect', 'conntrack', 'dying', 'unconfirmed'];

export function parseRequest(args: readonly string[], names: RequestNames): Request {
  return new RequestParser(args, names).parse();
}

class RequestParser {
  private readonly request: Request = {
    command: null,
    table: 'conntrack',
    options: new Set(),
    family: null,
    addresses: new Map(),
    nat: new Map(),
    sourceSpoiled: false,
    protocol: null,
    values: new Map(),
    timeout: 0,
    status: { value: 0, mask: 0 },
    mark: { value: 0, mask: 0 },
    kernelMark: { value: 0, mask: 0 },
    secmark: 0,
    id: 0,
    zones: { both: null, original: null, reply: null },
    labels: { filter: [], add: [], remove: null, kept: true },
    output: new Set(),
    events: new Set(),
    bufferSize: 0,
    loadFile: null,
    warnings: [],
  };
  private readonly words: string[];
  private readonly names: RequestNames;
  private extra: ReturnType<typeof protocolOptions> = [];

  constructor(args: readonly string[], names: RequestNames) {
    this.words = ['conntrack', ...args];
    this.names = names;
  }

  parse(): Request {
    const { request } = this;
    if ((this.words[1] === '-R' || this.words[1] === '--load-file') && this.words[2] !== undefined) {
      request.loadFile = this.words[2];
      return request;
    }
    const getopt = new Getopt<string>(
      this.words,
      SHORT_OPTIONS,
      (letter) => letter,
      {
        exact: (name) => allLongOptions(this.extra).exact(name),
        abbreviated: (name) => allLongOptions(this.extra).abbreviated(name),
      },
      false,
    );
    try {
      for (let found = getopt.next(); found.kind !== 'end'; found = getopt.next()) {
        if (found.kind === 'unknown') throw new ConntrackProblem(`unknown option \`${found.word}'`);
        if (found.kind === 'missing-argument')
          throw new ConntrackProblem(`option \`${found.word}' requires an argument`);
        if (found.kind === 'option') this.take(found.id, found.argument, getopt);
      }
      this.check();
    } catch (error) {
      if (!(error instanceof ConntrackProblem)) throw error;
      throw new ConntrackProblem(error.message, error.status, request.warnings.join('') + error.before);
    }
    return request;
  }

  private take(id: string, argument: string | null, getopt: Getopt<string>): void {
    const { request } = this;
    const text = argument ?? '';
    if (id in COMMAND_OF) {
      this.takeCommand(id, argument === null ? getopt.takeWord() : null);
      return;
    }
    if (id.startsWith('.')) {
      readProtocolOption(request.protocol!, id.slice(1), text, request.values);
      return;
    }
    if (id !== 'a') request.options.add(id);
    switch (id) {
      case 's':
      case 'd':
      case 'r':
      case 'q':
      case '[':
      case ']':
      case '{':
      case '}':
        request.addresses.set(id, { address: this.takeAddress(id, text).words });
        if (id === 's') request.sourceSpoiled = false;
        break;
      case 'n':
      case 'g':
      case 'j':
        this.takeNat(id, argument === null ? getopt.takeWord() : null);
        break;
      case 'p': {
        const protocol = findProtocol(text, this.names.protocolByName);
        if (protocol === null) throw new ConntrackProblem(`\`${text}' unsupported protocol`);
        request.protocol = protocol;
        this.extra = protocolOptions(protocol);
        break;
      }
      case 't':
        request.timeout = Number.parseInt(text, 10) || 0;
        break;
      case 'u':
        readStatus(text, request.status, request.warnings);
        request.mark = { ...request.mark, value: request.status.value };
        break;
      case 'e':
        readWords(text, EVENT_WORDS, (index) => request.events.add(EVENT_WORDS[index]!), request.warnings);
        break;
      case 'o':
        readWords(text, OUTPUT_WORDS, (index) => request.output.add(OUTPUT_WORDS[index]!), request.warnings);
        if (request.output.has('labels')) this.labelMap();
        if (request.output.has('save') && [...request.output].some((word) => word !== 'save' && word !== 'userspace')) {
          throw new ConntrackProblem('cannot combine save output with any other output type, use -o save only', 1);
        }
        break;
      case 'f':
        if (!text.startsWith('ipv4') && !text.startsWith('ipv6')) {
          throw new ConntrackProblem(`\`${text}' unsupported protocol`);
        }
        this.setFamily(text.startsWith('ipv4') ? 4 : 6);
        break;
      case 'm': {
        const { value, rest } = readNumber(text);
        request.mark = { value, mask: rest.startsWith('/') ? readNumber(rest.slice(1)).value : 0xffffffff };
        request.kernelMark = request.mark;
        break;
      }
      case 'c':
        request.secmark = readNumber(text).value;
        break;
      case 'i':
        request.id = readNumber(text === '' ? (getopt.takeWord() ?? '') : text).value;
        break;
      case 'w':
        request.zones.both = readNumber(text).value & 0xffff;
        break;
      case '(':
        request.zones.original = readNumber(text).value & 0xffff;
        break;
      case ')':
        request.zones.reply = readNumber(text).value & 0xffff;
        break;
      case 'l':
        request.labels.filter = this.readLabels(text);
        break;
      case '<':
        request.labels.add = this.readLabels(text);
        break;
      case '>': {
        const word = argument ?? getopt.takeWord();
        this.labelMap();
        request.labels.remove = word === null ? [] : this.readLabels(word);
        break;
      }
      case 'a':
        request.warnings.push('WARNING: ignoring -a, deprecated option.\n');
        break;
      case 'b':
        request.bufferSize = Number.parseInt(text, 10) || 0;
        break;
    }
  }

  private takeCommand(letter: string, word: string | null): void {
    const { request } = this;
    const table = word === null ? 'conntrack' : TABLES.find((name) => name.startsWith(word));
    if (table === undefined) throw new ConntrackProblem(`unknown type \`${word}'`);
    const [plain, expect, long] = COMMAND_OF[letter]!;
    if ((table === 'dying' || table === 'unconfirmed') && letter !== 'L') {
      throw new ConntrackProblem("Can't do that command with tables `dying' and `unconfirmed'");
    }
    const command = table === 'expect' ? expect : plain;
    if (command === null) throw new ConntrackProblem(`Can't do --${long} on expectations`);
    if (request.command !== null) throw new ConntrackProblem('Invalid commands combination');
    request.command = command;
    request.table = table;
  }

  private setFamily(family: Family): void {
    const { request } = this;
    if (request.family !== null && request.family !== family) throw new ConntrackProblem('mismatched address family');
    request.family = family;
  }

  /** An address; a prefix in CIDR notation is that of the mask option that belongs to it. */
  private takeAddress(letter: string, text: string): { words: AddressWords; family: Family } {
    const slash = text.indexOf('/');
    const host = slash < 0 ? text : text.slice(0, slash);
    const address = readAddress(host);
    if (address === null) throw new ConntrackProblem(`Invalid IP address \`${host}'`);
    this.setFamily(address.family);
    if (slash >= 0) {
      const mask = MASK_OF[letter];
      if (mask === undefined) throw new ConntrackProblem(`CIDR notation unavailable for \`--${optionName(letter)}'`);
      const prefix = readPrefix(text.slice(slash + 1), address.family);
      if (prefix === null) throw new ConntrackProblem('Invalid netmask');
      if (prefix < (address.family === 4 ? 32 : 128)) {
        this.request.options.add(mask);
        this.request.addresses.set(mask, { address: prefixMask(prefix) });
      }
    }
    return address;
  }

  private takeNat(letter: string, word: string | null): void {
    if (word === null) {
      this.request.nat.set(letter, { address: null, family: null, port: null });
      return;
    }
    const { host, port: portText } = splitPlace(word);
    let port: number | null = null;
    if (portText !== null) {
      if (portText === '') throw new ConntrackProblem("No port specified after `:'");
      port = /^[0-9]+$/.test(portText) ? Number(portText) : -1;
      if (port < 0 || port > 65535) throw new ConntrackProblem(`Invalid port \`${portText}'`);
    }
    const address = this.takeAddress(letter, host);
    // The tool takes the address for that of the source, and its family for that address.
    if (letter === 'j') this.request.sourceSpoiled = true;
    this.request.nat.set(letter, { address: address.words, family: address.family, port });
  }

  private labelMap(): ReadonlyMap<string, number> {
    const map = this.names.labels();
    if (map === null) {
      const line = 'nfct_labelmap_new: No such file or directory\n';
      if (!this.request.warnings.includes(line)) this.request.warnings.push(line);
    }
    return map ?? new Map();
  }

  private readLabels(text: string): number[] {
    const map = this.labelMap();
    return text.split(',').map((name) => {
      const bit = map.get(name);
      if (bit === undefined) throw new ConntrackProblem(`unknown label '${name}'`);
      return bit;
    });
  }

  private check(): void {
    const { request } = this;
    const { options, command } = request;
    if (options.has('j') && (options.has('n') || options.has('g'))) {
      throw new ConntrackProblem("cannot specify `--src-nat' or `--dst-nat' with `--any-nat'");
    }
    if (options.has('<') && options.has('>')) {
      throw new ConntrackProblem('cannot use --label-add and --label-del at the same time');
    }
    checkGeneralOptions(command ?? 'version', options);
    if (command !== 'help' && command !== null && request.protocol !== null) {
      checkProtocolOptions(request.protocol, command, request.values);
    }
    if (options.has('{') && !options.has('s')) throw new ConntrackProblem("Can't use --mask-src without --src");
    if (options.has('}') && !options.has('d')) throw new ConntrackProblem("Can't use --mask-dst without --dst");
    if (
      command === 'list' &&
      options.has('z') &&
      ['p', 's', 'd', 'r', 'q', 'm', 'c', 'u', 'i', 'w', 'l', '(', ')'].some((letter) => options.has(letter))
    ) {
      throw new ConntrackProblem("Can't use -z with filtering parameters");
    }
  }
}
