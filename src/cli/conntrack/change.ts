import { Direction, Status } from '../../conntrack/connection.ts';
import type { Entry } from '../../conntrack/entry.ts';
import { SctpField } from '../../conntrack/protocols/sctp.ts';
import { TcpState } from '../../conntrack/protocols/tcp-states.ts';
import { SenderFlag, setSenderFlag } from '../../conntrack/protocols/tcp-window.ts';
import type { ConntrackService } from '../../conntrack/service.ts';
import { Extra, Field } from '../../conntrack/table.ts';
import { invertTuple, newTupleWords, tupleToWords } from '../../conntrack/tuple.ts';
import type { NatService } from '../../nat/service.ts';
import type { AddressWords, Family } from '../../packet/family.ts';
import { Protocol } from '../../packet/protocol.ts';
import { ConntrackProblem } from './problem.ts';
import type { Request } from './request.ts';

const INVALID = 'Operation failed: invalid parameters';
/** `-A` has no words of its own for errors. */
const INVALID_ADD = 'Operation failed: Invalid argument';
const EXISTS = 'Operation failed: Such conntrack exists, try -U to update';
const DIRECTIONS = { both: 3, original: 1, reply: 2 } as const;

/** Zone word of an entry that is to be made; the kernel knows one zone for each. */
function zoneWord({ zones, command }: Request): number {
  const given = (['both', 'original', 'reply'] as const).filter((kind) => zones[kind] !== null);
  if (given.length > 1) throw new ConntrackProblem(command === 'add' ? INVALID_ADD : INVALID, 1);
  const [kind] = given;
  return kind === undefined ? 3 << 16 : zones[kind]! | (DIRECTIONS[kind] << 16);
}

const NO_ADDRESS: AddressWords = [0, 0, 0, 0];

/** The tuple that the options give for a direction; null if they give none. `half`: one address is enough, the other is 0. */
export function requestedTuple(request: Request, direction: Direction, half = false): Uint32Array | null {
  const original = direction === Direction.original;
  const source = request.addresses.get(original ? 's' : 'r');
  const destination = request.addresses.get(original ? 'd' : 'q');
  if (half ? source === undefined && destination === undefined : source === undefined || destination === undefined) {
    return null;
  }
  const { protocol, values } = request;
  const family: Family = request.family ?? 4;
  const value = (name: string) => values.get(name) ?? 0;
  let ports: [number, number];
  let known = true;
  let answers = false;
  switch (protocol!.number) {
    case Protocol.icmp:
    case Protocol.icmpv6: {
      const name = protocol!.name;
      ports = [value(`${name}-id`), (value(`${name}-type`) << 8) | value(`${name}-code`)];
      answers = !original;
      break;
    }
    case Protocol.gre:
      ports = original ? [value('srckey'), value('dstkey')] : [value('reply-key-src'), value('reply-key-dst')];
      known = original || values.has('reply-key-src') || values.has('reply-key-dst');
      break;
    default:
      ports = original ? [value('sport'), value('dport')] : [value('reply-port-src'), value('reply-port-dst')];
      known = protocol!.options.length === 0 || values.has('reply-port-src') || values.has('reply-port-dst');
      // The kernel has forgotten DCCP: its ports are lost on the way.
      if (protocol!.number === Protocol.dccp) ports = [0, 0];
  }
  const words = newTupleWords();
  const tuple = {
    family,
    // A reply without ports does not even say its protocol.
    protocol: known || original ? protocol!.number : 0,
    source: source?.address ?? NO_ADDRESS,
    destination: destination?.address ?? NO_ADDRESS,
    sourcePort: ports[0],
    destinationPort: ports[1],
  };
  tupleToWords(tuple, words);
  if (answers) {
    // The type that answers the one given; addresses stay as they are.
    const inverse = newTupleWords();
    if (invertTuple(words, 0, inverse, 0)) words[8] = inverse[8]!;
  }
  return words;
}

/** `-I` and `-A`. False: `-A` of an entry that exists. Throws ConntrackProblem. */
export function createEntry(service: ConntrackService, nat: NatService, request: Request): boolean {
  const invalid = request.command === 'add' ? INVALID_ADD : INVALID;
  const inverse = (words: Uint32Array | null): Uint32Array | null => {
    const inverted = newTupleWords();
    return words !== null && invertTuple(words, 0, inverted, 0) ? inverted : null;
  };
  // A direction of which the options say nothing follows from the other.
  const given = requestedTuple(request, Direction.reply, true);
  const original = requestedTuple(request, Direction.original, true) ?? inverse(given);
  const reply = given ?? inverse(original);
  if (original === null || reply === null || (original[9]! & 0xff) === 0 || strangeIcmp(original)) {
    throw new ConntrackProblem(invalid, 1);
  }
  const zone = zoneWord(request);
  const id = zone & 0xffff;
  const zoneOriginal = zone & (1 << 16) ? id : 0;
  const zoneReply = zone & (1 << 17) ? id : 0;
  if (original[9] !== reply[9]) {
    if (service.lookup(original, 0, zoneOriginal, zoneReply) < 0) throw new ConntrackProblem(invalid, 1);
    if (request.command === 'add') return false;
    throw new ConntrackProblem(EXISTS, 1);
  }
  const status = request.status.value;
  const slot = service.table.allocate();
  const entry = service.entry(slot);
  const giveUp = (message: string): never => {
    service.discard(entry);
    throw new ConntrackProblem(message, 1);
  };
  entry.words.set(original, entry.base);
  entry.words.set(reply, entry.base + Field.reply);
  entry.words[entry.base + Field.zone] = zone;
  if (service.accounting) entry.setExtra(Extra.accounting);
  const range = (letter: string) => {
    const option = request.nat.get(letter);
    if (option?.address == null) return null;
    return {
      minAddress: option.address as AddressWords,
      maxAddress: option.address as AddressWords,
      // The tool sends no ports for other protocols.
      ...(option.port === null || !(entry.protocol === Protocol.tcp || entry.protocol === Protocol.udp)
        ? {}
        : { minPort: option.port, maxPort: option.port }),
    };
  };
  const source = range('n');
  const destination = range('g');
  // An end that nothing is said of is bound to itself, but only beside one that is bound (ctnetlink_setup_nat).
  if (destination !== null || source !== null) {
    if (destination !== null) nat.bind(entry, destination, 'destination');
    else nat.bindToNothing(entry, 'destination');
    if (source !== null) nat.bind(entry, source, 'source');
    else nat.bindToNothing(entry, 'source');
  }
  if (
    service.lookup(entry.words, entry.base, zoneOriginal, zoneReply) >= 0 ||
    service.lookup(entry.words, entry.base + Field.reply, zoneOriginal, zoneReply) >= 0
  ) {
    service.discard(entry);
    if (request.command === 'add') return false;
    throw new ConntrackProblem(EXISTS, 1);
  }
  if ((status & Status.expected) !== 0) giveUp('Operation failed: Device or resource busy');
  entry.status |= status & (Status.seenReply | Status.assured | Status.fixedTimeout);
  if (request.options.has('m')) entry.mark = request.mark.value;
  if (request.labels.kept) for (const bit of request.labels.add) entry.setLabel(bit);
  entry.expiry = (request.timeout >>> 0) * 1e6;
  setProtocolState(entry, request);
  service.insert(entry);
  service.statistics.insert++;
  return true;
}

/** ICMP of the other family. */
function strangeIcmp(words: Uint32Array): boolean {
  const protocol = words[9]! & 0xff;
  return protocol === (words[9]! >>> 8 === 4 ? Protocol.icmpv6 : Protocol.icmp);
}

/** State, tags and window flags as the options give them. */
function setProtocolState(entry: Entry, { values }: Request): void {
  const own = entry.base + Field.protocol;
  if (entry.protocol === Protocol.udp) {
    entry.doubles[own >>> 1] = -1;
    return;
  }
  const state = values.get('state');
  if (state !== undefined) entry.words[own] = (entry.words[own]! & ~0xff) | state;
  if (entry.protocol === Protocol.tcp) {
    // The windows are unknown: the tool asks for liberal checking, and lets closed connections be opened again.
    let flags: number = SenderFlag.liberal | SenderFlag.sackPermitted;
    if (state !== undefined && state >= TcpState.timeWait) flags |= SenderFlag.closeInit;
    for (const direction of [0, 1]) setSenderFlag(entry, direction, flags);
  }
  if (entry.protocol === Protocol.sctp) {
    const tags = own + SctpField.tags;
    if (values.has('orig-vtag')) entry.words[tags] = values.get('orig-vtag')!;
    if (values.has('reply-vtag')) entry.words[tags + 1] = values.get('reply-vtag')!;
  }
}

/** What became of an entry under `-U`: changed, as it was, or why not (EOPNOTSUPP ends the command). */
export type UpdateResult = 'updated' | 'same' | 'busy' | 'no-space' | 'not-found' | 'not-permitted' | 'not-supported';

export function updateEntry(service: ConntrackService, entry: Entry, request: Request): UpdateResult {
  const { options, values } = request;
  const state = entry.words[entry.base + Field.protocol]! & 0xff;
  const mark = options.has('m') ? ((entry.mark & ~request.mark.mask) ^ request.mark.value) >>> 0 : entry.mark;
  const status = entry.status | (options.has('u') ? request.status.value : 0);
  const labelled = request.labels.add.length > 0 || (request.labels.remove !== null && entry.has(Extra.labels));
  const stated = values.has('state') && values.get('state') !== state;
  if (mark === entry.mark && status === entry.status && !options.has('t') && !stated && !labelled) return 'same';
  // The message that asks for the change names no zone and, without an address, no family.
  if (request.family === null) return 'not-supported';
  if (entry.zone(Direction.original) !== 0) return 'not-found';
  if (options.has('t') && (entry.status & Status.fixedTimeout) !== 0) return 'not-permitted';
  if ((status & ~entry.status & Status.expected) !== 0) return 'busy';
  entry.mark = mark;
  // Nobody sets the bits of offloading.
  entry.status |= status & (Status.seenReply | Status.assured | Status.fixedTimeout);
  if (options.has('t')) entry.expiry = service.now() + (request.timeout >>> 0) * 1e6;
  if (stated) setProtocolState(entry, request);
  // Labels come last: everything else is changed by then.
  if (request.labels.add.length > 0 && !request.labels.kept) return 'no-space';
  for (const bit of request.labels.add) entry.setLabel(bit);
  if (request.labels.remove !== null) {
    const bits = service.sidelines.labels.get(entry.slot);
    if (request.labels.remove.length === 0) bits?.fill(0);
    else for (const bit of request.labels.remove) if (bits !== undefined) bits[bit >>> 5]! &= ~(1 << (bit & 31));
  }
  return 'updated';
}
