import { SCTP_STATE_NAMES } from '../../conntrack/protocols/sctp-states.ts';
import { TCP_STATE_NAMES } from '../../conntrack/protocols/tcp-states.ts';
import { Protocol } from '../../packet/protocol.ts';
import type { LongOption } from '../../syntax/getopt.ts';
import { readNumber } from './arguments.ts';
import { COMMANDS, type CommandName, checkOptions } from './options.ts';
import { ConntrackProblem } from './problem.ts';

/** What the options of a protocol say; numbers as `atoi` reads them, cut to 16 bits for ports. */
export type ProtocolValues = Map<string, number>;

/** A protocol that the tool knows (extensions/libct_proto_*.c): options by the names of its messages, in their order. */
export interface ToolProtocol {
  name: string;
  number: number;
  /** Each option with its spellings. */
  options: readonly (readonly string[])[];
  /** Rows of legal options for some commands; all other commands take none. */
  legal: Readonly<Partial<Record<CommandName, string>>>;
  pairs: readonly (readonly [string, string])[];
  incomplete: readonly [string, string];
  help: string;
}

const PORTS = [
  ['sport', 'orig-port-src'],
  ['dport', 'orig-port-dst'],
  ['reply-port-src'],
  ['reply-port-dst'],
  ['mask-port-src'],
  ['mask-port-dst'],
] as const;
const EXPECTED_PORTS = [['tuple-port-src'], ['tuple-port-dst']] as const;
const PORT_PAIRS = [
  ['sport', 'dport'],
  ['reply-port-src', 'reply-port-dst'],
] as const;
const PORT_TEXTS = [
  "you have to specify `--sport' and `--dport'",
  "you have to specify `--reply-src-port' and `--reply-dst-port'",
] as const;
const PORT_HELP =
  '  --orig-port-src\t\toriginal source port\n' +
  '  --orig-port-dst\t\toriginal destination port\n' +
  '  --reply-port-src\t\treply source port\n' +
  '  --reply-port-dst\t\treply destination port\n' +
  '  --mask-port-src\t\tmask source port\n' +
  '  --mask-port-dst\t\tmask destination port\n' +
  '  --tuple-port-src\t\texpectation tuple src port\n' +
  '  --tuple-port-src\t\texpectation tuple dst port\n';

function legalRows(
  list: string,
  create: string,
  get: string,
  expectCreate: string,
  expectOther: string,
  update = list,
) {
  return {
    list,
    create,
    add: create,
    update,
    delete: list,
    get,
    event: list,
    'expect-create': expectCreate,
    'expect-delete': expectOther,
    'expect-get': expectOther,
  };
}

const PLAIN_PORTS = legalRows('22220000', '33330000', '33330000', '11001111', '11110000');

function icmpProtocol(name: string, number: number): ToolProtocol {
  return {
    name,
    number,
    options: [[`${name}-type`], [`${name}-code`], [`${name}-id`]],
    legal: { list: '222', create: '112', add: '112', update: '222', delete: '222', get: '112', event: '222' },
    pairs: [],
    incomplete: ['', ''],
    help: `  --${name}-type\t\t\t${name} type\n  --${name}-code\t\t\t${name} code\n  --${name}-id\t\t\t${name} id\n`,
  };
}

const PROTOCOLS: readonly ToolProtocol[] = [
  {
    name: 'tcp',
    number: Protocol.tcp,
    options: [...PORTS, ['state'], ...EXPECTED_PORTS],
    legal: legalRows('222200200', '333300100', '333300200', '110011011', '111100000'),
    pairs: PORT_PAIRS,
    incomplete: PORT_TEXTS,
    help: `${PORT_HELP}  --state\t\t\tTCP state, fe. ESTABLISHED\n`,
  },
  {
    name: 'udp',
    number: Protocol.udp,
    options: [...PORTS, ...EXPECTED_PORTS],
    legal: PLAIN_PORTS,
    pairs: PORT_PAIRS,
    incomplete: PORT_TEXTS,
    help: PORT_HELP,
  },
  {
    name: 'udplite',
    number: Protocol.udplite,
    options: [...PORTS, ...EXPECTED_PORTS],
    legal: PLAIN_PORTS,
    pairs: PORT_PAIRS,
    incomplete: PORT_TEXTS,
    help: PORT_HELP,
  },
  {
    name: 'sctp',
    number: Protocol.sctp,
    options: [...PORTS, ['state'], ...EXPECTED_PORTS, ['orig-vtag'], ['reply-vtag']],
    legal: legalRows('22220020000', '33330010011', '33330020022', '11001101111', '11110000000', '22220020022'),
    pairs: PORT_PAIRS,
    incomplete: PORT_TEXTS,
    help: `${PORT_HELP}  --state\t\t\tSCTP state, fe. ESTABLISHED\n  --orig-vtag\t\toriginal verification tag\n  --reply-vtag\t\treply verification tag\n`,
  },
  {
    name: 'dccp',
    number: Protocol.dccp,
    options: [...PORTS, ['state'], ...EXPECTED_PORTS, ['role']],
    legal: legalRows('2222002000', '3333001001', '3333002000', '1100110111', '1111000000'),
    pairs: PORT_PAIRS,
    incomplete: [PORT_TEXTS[0], "you have to specify `--reply-port-src' and `--report-port-dst'"],
    help: `${PORT_HELP}  --state\t\t\tDCCP state, fe. RESPOND\n`,
  },
  icmpProtocol('icmp', Protocol.icmp),
  icmpProtocol('icmpv6', Protocol.icmpv6),
  {
    name: 'gre',
    number: Protocol.gre,
    options: [
      ['srckey', 'orig-key-src'],
      ['dstkey', 'orig-key-dst'],
      ['reply-key-src'],
      ['reply-key-dst'],
      ['mask-key-src'],
      ['mask-key-dst'],
      ['tuple-key-src'],
      ['tuple-key-dst'],
    ],
    legal: legalRows('22220000', '33330000', '33330000', '11111111', '11110000'),
    pairs: [
      ['srckey', 'dstkey'],
      ['reply-key-src', 'reply-key-dst'],
    ],
    incomplete: [
      "you have to specify `--srckey' and `--dstkey'",
      "you have to specify `--reply-src-key' and `--reply-dst-key'",
    ],
    help:
      '  --orig-key-src\t\toriginal source key\n' +
      '  --orig-key-dst\t\toriginal destination key\n' +
      '  --reply-key-src\t\treply source key\n' +
      '  --reply-key-dst\t\treply destination key\n' +
      '  --mask-key-src\t\tmask source key\n' +
      '  --mask-key-dst\t\tmask destination key\n' +
      '  --tuple-key-src\t\texpectation tuple src key\n' +
      '  --tuple-key-src\t\texpectation tuple dst key\n',
  },
];

function unknownProtocol(number: number): ToolProtocol {
  return {
    name: 'unknown',
    number,
    options: [],
    legal: {},
    pairs: [],
    incomplete: ['', ''],
    help: '  no options (unsupported)\n',
  };
}

/** By the tool's own names in any case, by /etc/protocols, by number; null if it is none. */
export function findProtocol(text: string, byName: (name: string) => number | null): ToolProtocol | null {
  const own = PROTOCOLS.find((protocol) => protocol.name === text.toLowerCase());
  if (own !== undefined) return own;
  const named = byName(text);
  if (named !== null) return byNumber(named);
  if (!/^[0-9]+$/.test(text) || Number(text) > 255) return null;
  return byNumber(Number(text));
}

function byNumber(number: number): ToolProtocol {
  return PROTOCOLS.find((protocol) => protocol.number === number) ?? unknownProtocol(number);
}

/** Long options of the protocol; their ids are `.name`. */
export function protocolOptions(protocol: ToolProtocol): LongOption<string>[] {
  return protocol.options.flatMap((names) =>
    names.map((name) => ({ name, need: 'required' as const, id: `.${names[0]}` })),
  );
}

const DCCP_STATES = [
  'NONE',
  'REQUEST',
  'RESPOND',
  'PARTOPEN',
  'OPEN',
  'CLOSEREQ',
  'CLOSING',
  'TIMEWAIT',
  'IGNORE',
  'INVALID',
];

function atoi(text: string): number {
  return Number.parseInt(text, 10) || 0;
}

/** Takes in the argument of a protocol's option. */
export function readProtocolOption(
  protocol: ToolProtocol,
  name: string,
  argument: string,
  values: ProtocolValues,
): void {
  if (name === 'state') values.set(name, readState(protocol, argument));
  else if (name === 'role') {
    const role = ['client', 'server'].indexOf(argument);
    if (role < 0) throw new ConntrackProblem(`Unknown DCCP role \`${argument}'`);
    values.set(name, role);
  } else if (name.endsWith('vtag')) values.set(name, atoi(argument) >>> 0);
  else if (name.endsWith('-type') || name.endsWith('-code')) values.set(name, atoi(argument) & 0xff);
  else if (name.includes('key')) values.set(name, readNumber(argument).value & 0xffff);
  else values.set(name, atoi(argument) & 0xffff);
}

function readState(protocol: ToolProtocol, text: string): number {
  const names = protocol.name === 'tcp' ? TCP_STATE_NAMES : protocol.name === 'sctp' ? SCTP_STATE_NAMES : DCCP_STATES;
  // The tool's list of SCTP states ends before HEARTBEAT_SENT.
  const state = protocol.name === 'sctp' && text === 'HEARTBEAT_SENT' ? -1 : names.indexOf(text);
  if (state >= 0) return state;
  // The name of SYN_SENT2 before Linux 2.6.31.
  if (protocol.name === 'tcp' && text === 'LISTEN') return TCP_STATE_NAMES.indexOf('SYN_SENT2');
  const start = protocol.name === 'dccp' ? 'Unknown DCCP' : `unknown ${protocol.name.toUpperCase()}`;
  throw new ConntrackProblem(`${start} state \`${text}'`);
}

/** The check at the end (final_check). */
export function checkProtocolOptions(protocol: ToolProtocol, command: CommandName, values: ProtocolValues): void {
  if (protocol.name === 'unknown' || !COMMANDS.includes(command)) return;
  checkOptions(
    new Set(values.keys()),
    protocol.options.map((names) => names[0]!),
    protocol.legal[command] ?? '',
    protocol.pairs,
    protocol.incomplete,
  );
}
