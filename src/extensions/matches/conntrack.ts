import { type Connection, Direction, Status, type Tuple } from '../../conntrack/connection.ts';
import { ConntrackInfo, type Packet } from '../../packet/packet.ts';
import { equalUnderMask, type MaskedAddress, maskedAddressText } from '../addresses.ts';
import { defineMatch, type MatchFunction, type ParsedOption, type PrintContext, UsageError } from '../contract.ts';
import { badValue, listWords, not, rangeText, rangeWords } from '../words.ts';
import { CTSTATE_WORDS, parseWords, STATE_WORDS, StateBit, statesText } from './conntrack-states.ts';

/** Bits of `match` and `invert` (XT_CONNTRACK_*). */
const Part = {
  state: 1 << 0,
  protocol: 1 << 1,
  originalSource: 1 << 2,
  originalDestination: 1 << 3,
  replySource: 1 << 4,
  replyDestination: 1 << 5,
  status: 1 << 6,
  expires: 1 << 7,
  originalSourcePort: 1 << 8,
  originalDestinationPort: 1 << 9,
  replySourcePort: 1 << 10,
  replyDestinationPort: 1 << 11,
  direction: 1 << 12,
} as const;

type AddressPart = 'originalSource' | 'originalDestination' | 'replySource' | 'replyDestination';
type PortPart = `${AddressPart}Port`;

/** `struct xt_conntrack_mtinfo3`; what is not asked for is absent. */
export interface ConntrackMatch {
  match: number;
  invert: number;
  states: number;
  status: number;
  protocol: number;
  expires: [number, number];
  addresses: Partial<Record<AddressPart, MaskedAddress>>;
  ports: Partial<Record<PortPart, [number, number]>>;
}

const ADDRESS_OPTIONS: readonly [option: string, part: AddressPart][] = [
  ['ctorigsrc', 'originalSource'],
  ['ctorigdst', 'originalDestination'],
  ['ctreplsrc', 'replySource'],
  ['ctrepldst', 'replyDestination'],
];
const PORT_OPTIONS: readonly [option: string, part: PortPart][] = [
  ['ctorigsrcport', 'originalSourcePort'],
  ['ctorigdstport', 'originalDestinationPort'],
  ['ctreplsrcport', 'replySourcePort'],
  ['ctrepldstport', 'replyDestinationPort'],
];
const STATUS_WORDS: readonly [string, number][] = [
  ['NONE', 0],
  ['EXPECTED', Status.expected],
  ['SEEN_REPLY', Status.seenReply],
  ['ASSURED', Status.assured],
  ['CONFIRMED', Status.confirmed],
];
/** XT_INV_PROTO, which the real parser tests here by mistake: it is the bit of an inverted --ctstatus. */
const PROTOCOL_INVERTED = 0x40;

function statusText(mask: number): string {
  const names = STATUS_WORDS.filter(([, bit]) => mask & bit).map(([name]) => name);
  return ` ${names.length > 0 ? names.join(',') : 'NONE'}`;
}

function init(): ConntrackMatch {
  return { match: 0, invert: 0, states: 0, status: 0, protocol: 0, expires: [0, 0], addresses: {}, ports: {} };
}

function take(data: ConntrackMatch, bit: number, option: ParsedOption): void {
  data.match |= bit;
  if (option.invert) data.invert |= bit;
}

function parse(data: ConntrackMatch, option: ParsedOption): void {
  const { name, text } = option;
  const address = ADDRESS_OPTIONS.find(([known]) => known === name);
  if (address !== undefined) {
    data.addresses[address[1]] = { address: option.address, mask: option.addressMask };
    take(data, Part[address[1]], option);
    return;
  }
  const port = PORT_OPTIONS.find(([known]) => known === name);
  if (port !== undefined) {
    data.ports[port[1]] = [option.numbers[0]!, option.numbers[1] ?? option.numbers[0]!];
    take(data, Part[port[1]], option);
    return;
  }
  switch (name) {
    case 'ctstate':
      data.states = parseWords(text, CTSTATE_WORDS, (rest) => `Bad ctstate "${rest}"`);
      take(data, Part.state, option);
      break;
    case 'ctproto':
      if (option.number === 0 && data.invert & PROTOCOL_INVERTED)
        throw new UsageError('conntrack: rule would never match protocol');
      data.protocol = option.number;
      take(data, Part.protocol, option);
      break;
    case 'ctstatus':
      data.status = parseWords(text, STATUS_WORDS, (rest) => `Bad ctstatus "${rest}"`);
      take(data, Part.status, option);
      break;
    case 'ctexpire':
      data.expires = [option.numbers[0]!, option.numbers[1] ?? option.numbers[0]!];
      take(data, Part.expires, option);
      break;
    case 'ctdir': {
      const direction = text.toUpperCase();
      if (direction !== 'ORIGINAL' && direction !== 'REPLY') throw badValue('conntrack', '--ctdir', text);
      data.match |= Part.direction;
      if (direction === 'REPLY') data.invert |= Part.direction;
      break;
    }
  }
}

/** The whole use as text; `state` is the option's name for the states. */
function describe(
  data: ConntrackMatch,
  prefix: string,
  state: string,
  context: PrintContext,
  numeric: boolean,
): string {
  let text = '';
  const part = (bit: number, option: string, value: () => string): void => {
    if (data.match & bit) text += `${not((data.invert & bit) !== 0)} ${prefix}${option}${value()}`;
  };
  part(Part.state, state, () => statesText(data.states));
  // Most rules ask for nothing else.
  if (data.match === Part.state) return text;
  part(Part.protocol, 'ctproto', () => ` ${data.protocol}`);
  for (const [option, name] of ADDRESS_OPTIONS)
    part(Part[name], option, () => maskedAddressText(data.addresses[name]!, context, numeric));
  for (const [option, name] of PORT_OPTIONS)
    part(Part[name], option, () => {
      const [low, high] = data.ports[name]!;
      return ` ${high === 0 ? low : rangeText([low, high])}`;
    });
  part(Part.status, 'ctstatus', () => statusText(data.status));
  part(Part.expires, 'ctexpire', () => ` ${rangeText(data.expires)}`);
  if (data.match & Part.direction) text += ` ${prefix}ctdir ${data.invert & Part.direction ? 'REPLY' : 'ORIGINAL'}`;
  return text;
}

function explain(data: ConntrackMatch, context: PrintContext): string {
  const parts: string[] = [];
  const part = (bit: number, what: string, value: () => string): void => {
    if (data.match & bit) parts.push(`${what} is ${data.invert & bit ? 'not ' : ''}${value().trim()}`);
  };
  part(Part.state, 'the connection state', () => alternatives(statesText(data.states)));
  part(Part.protocol, "the connection's protocol", () => String(data.protocol));
  for (const [option, name] of ADDRESS_OPTIONS)
    part(Part[name], `the ${describePart(option)} address`, () =>
      maskedAddressText(data.addresses[name]!, context, true),
    );
  for (const [option, name] of PORT_OPTIONS)
    part(Part[name], `the ${describePart(option)} port`, () => rangeWords(data.ports[name]!));
  part(Part.status, 'the connection status', () => alternatives(statusText(data.status)));
  part(Part.expires, "the connection's remaining time in seconds", () => rangeWords(data.expires));
  if (data.match & Part.direction)
    parts.push(`the packet goes in the ${data.invert & Part.direction ? 'reply' : 'original'} direction`);
  return parts.join(' and ');
}

/** "NEW or RELATED" of `NEW,RELATED`. */
function alternatives(text: string): string {
  return listWords(text.trim().split(','), 'or');
}

function describePart(option: string): string {
  return `${option.startsWith('ctorig') ? 'original' : 'reply'} ${option.includes('src') ? 'source' : 'destination'}`;
}

function compile(data: ConntrackMatch, clock: { now(): number }): MatchFunction {
  const { match, invert, states, status } = data;
  const testState = (match & Part.state) !== 0;
  const invertState = (invert & Part.state) !== 0;
  const details = match & ~Part.state ? compileDetails(data, clock) : null;
  return (packet) => {
    const { connection } = packet;
    if (testState && ((stateBits(packet, connection) & states) !== 0) === invertState) return false;
    // Without a connection only the state can be told.
    if (connection === null) return testState;
    if (match & Part.status && ((connection.status & status) !== 0) === ((invert & Part.status) !== 0)) return false;
    return details === null || details(packet, connection);
  };
}

function stateBits(packet: Packet, connection: Connection | null): number {
  if (connection === null)
    return packet.conntrackInfo === ConntrackInfo.untracked ? StateBit.untracked : StateBit.invalid;
  let bits = 1 << ((packet.conntrackInfo % 3) + 1);
  if (connection.status & Status.sourceNat) bits |= StateBit.sourceNat;
  if (connection.status & Status.destinationNat) bits |= StateBit.destinationNat;
  return bits;
}

/** All but state and status. */
function compileDetails(
  data: ConntrackMatch,
  clock: { now(): number },
): ((packet: Packet, connection: Connection) => boolean) | null {
  const { match, invert } = data;
  const sides = [
    compileSide(data, 'originalSource', 'originalDestination'),
    compileSide(data, 'replySource', 'replyDestination'),
  ] as const;
  if ((match & ~(Part.state | Part.status)) === 0) return null;
  return (packet, connection) => {
    if (match & Part.direction) {
      const reply = packet.conntrackInfo >= ConntrackInfo.establishedReply;
      if (reply !== ((invert & Part.direction) !== 0)) return false;
    }
    if (match & Part.protocol && (connection.protocol === data.protocol) === ((invert & Part.protocol) !== 0))
      return false;
    if (sides[0] !== null && !sides[0](connection.tuple(Direction.original))) return false;
    if (sides[1] !== null && !sides[1](connection.tuple(Direction.reply))) return false;
    if (match & Part.expires) {
      const seconds = Math.floor(Math.max(0, connection.remaining(clock.now())) / 1e6);
      const within = seconds >= data.expires[0] && seconds <= data.expires[1];
      if (within === ((invert & Part.expires) !== 0)) return false;
    }
    return true;
  };
}

function compileSide(
  { match, invert, addresses, ports }: ConntrackMatch,
  source: AddressPart,
  destination: AddressPart,
): ((tuple: Tuple) => boolean) | null {
  const sourcePort: PortPart = `${source}Port`;
  const destinationPort: PortPart = `${destination}Port`;
  if ((match & (Part[source] | Part[destination] | Part[sourcePort] | Part[destinationPort])) === 0) return null;
  const address = (part: AddressPart, words: readonly number[]): boolean => {
    const wanted = addresses[part];
    if (wanted === undefined) return true;
    return equalUnderMask(words, wanted.address, wanted.mask) !== ((invert & Part[part]) !== 0);
  };
  const port = (part: PortPart, number: number): boolean => {
    const wanted = ports[part];
    if (wanted === undefined) return true;
    return (number >= wanted[0] && number <= wanted[1]) !== ((invert & Part[part]) !== 0);
  };
  return (tuple) =>
    address(source, tuple.source) &&
    address(destination, tuple.destination) &&
    port(sourcePort, tuple.sourcePort) &&
    port(destinationPort, tuple.destinationPort);
}

const HELP = `conntrack match options:
[!] --ctstate {INVALID|ESTABLISHED|NEW|RELATED|UNTRACKED|SNAT|DNAT}[,...]
                               State(s) to match
[!] --ctproto proto            Protocol to match; by number or name, e.g. "tcp"
[!] --ctorigsrc address[/mask]
[!] --ctorigdst address[/mask]
[!] --ctreplsrc address[/mask]
[!] --ctrepldst address[/mask]
                               Original/Reply source/destination address
[!] --ctorigsrcport port
[!] --ctorigdstport port
[!] --ctreplsrcport port
[!] --ctrepldstport port
                               TCP/UDP/SCTP orig./reply source/destination port
[!] --ctstatus {NONE|EXPECTED|SEEN_REPLY|ASSURED|CONFIRMED}[,...]
                               Status(es) to match
[!] --ctexpire time[:time]     Match remaining lifetime in seconds against
                               value or range of values (inclusive)
    --ctdir {ORIGINAL|REPLY}   Flow direction of packet
`;

/** `conntrack_mt` (net/netfilter/xt_conntrack.c). */
export const conntrack = defineMatch<ConntrackMatch>({
  name: 'conntrack',
  families: [4, 6],
  options: [
    { name: 'ctstate', type: 'string', invert: true },
    { name: 'ctproto', type: 'protocol', invert: true },
    { name: 'ctorigsrc', type: 'host-mask', invert: true },
    { name: 'ctorigdst', type: 'host-mask', invert: true },
    { name: 'ctreplsrc', type: 'host-mask', invert: true },
    { name: 'ctrepldst', type: 'host-mask', invert: true },
    { name: 'ctstatus', type: 'string', invert: true },
    { name: 'ctexpire', type: 'uint32-range', invert: true },
    { name: 'ctorigsrcport', type: 'port-range', invert: true },
    { name: 'ctorigdstport', type: 'port-range', invert: true },
    { name: 'ctreplsrcport', type: 'port-range', invert: true },
    { name: 'ctrepldstport', type: 'port-range', invert: true },
    { name: 'ctdir', type: 'string' },
  ],
  init,
  parse,
  finish(_data, { seen }) {
    if (seen.size === 0) throw new UsageError('conntrack: At least one option is required');
  },
  save: (data, context) => describe(data, '--', 'ctstate', context, true),
  print: (data, context) => describe(data, '', 'ctstate', context, context.numeric),
  help: () => HELP,
  explain,
  pure: ({ match }) => (match & Part.expires) === 0,
  fields: () => [],
  memory: 'flow',
  compile: (data, environment) => compile(data, environment.machine),
});

const STATE_HELP = `state match options:
 [!] --state [INVALID|ESTABLISHED|NEW|RELATED|UNTRACKED][,...]
				State(s) to match
`;

/** `-m state`: an old name for conntrack's states, kept as such. */
export const state = defineMatch<ConntrackMatch>({
  name: 'state',
  families: [4, 6],
  options: [{ name: 'state', type: 'string', invert: true, mandatory: true }],
  init,
  parse(data, option) {
    const bad = (rest: string) =>
      rest === ''
        ? '"--state" requires a list of states with no spaces, e.g. ESTABLISHED,RELATED'
        : `Bad state "${rest}"`;
    data.states = parseWords(option.text, STATE_WORDS, bad);
    take(data, Part.state, option);
  },
  save: (data, context) => describe(data, '--', 'state', context, true),
  print: (data, context) => describe(data, '', 'state', context, context.numeric),
  help: () => STATE_HELP,
  explain,
  pure: true,
  fields: () => [],
  compile: (data, environment) => compile(data, environment.machine),
});
