import { Direction, Status } from '../../conntrack/connection.ts';
import type { Entry } from '../../conntrack/entry.ts';
import { Field } from '../../conntrack/table.ts';
import type { Family } from '../../packet/family.ts';
import { Protocol } from '../../packet/protocol.ts';
import type { AddressOption, NatOption, Request } from './request.ts';

/** Options for whose sake the tool compares entries whole. */
const COMPARING = ['p', 's', 'd', 'r', 'q', 'c', 'u', 'i', 'w', '(', ')'];

/** Whether the entry is one that the options of `-L`, `-D`, `-U` or `-E` ask for. */
export function selects(request: Request, entry: Entry): boolean {
  const { options } = request;
  if (request.sourceSpoiled && COMPARING.some((letter) => options.has(letter))) return false;
  if (request.family !== null && entry.family !== request.family) return false;
  if (request.protocol !== null && entry.protocol !== request.protocol.number) return false;
  if (options.has('m') && !(hasMark(entry, request.mark) && hasMark(entry, request.kernelMark))) return false;
  if (options.has('u') && !hasStatus(request, entry)) return false;
  if (options.has('c') && entry.secmark !== request.secmark && entry.secmark !== 0) return false;
  if (options.has('i') && entry.id !== request.id) return false;
  return (
    selectsZone(request, entry) &&
    selectsAddresses(request, entry) &&
    selectsNat(request, entry) &&
    selectsLabels(request, entry) &&
    selectsProtocolValues(request, entry)
  );
}

/** Whether the entry that the kernel found is one that the options of `-G` name: of its two directions they name the original one. */
export function selectsFound(request: Request, entry: Entry): boolean {
  return selectsAddresses(request, entry) && selectsProtocolValues(request, entry);
}

/** The tool asks for the bits; for `-L` the kernel, too, with its mask. */
function hasStatus({ command, status: { value, mask } }: Request, entry: Entry): boolean {
  return (entry.status & value) === value && (command !== 'list' || (entry.status & mask) === value);
}

function hasMark(entry: Entry, { value, mask }: Request['mark']): boolean {
  return (entry.mark & mask) >>> 0 === value;
}

function selectsZone({ zones }: Request, entry: Entry): boolean {
  const directions = (entry.zoneWord >>> 16) & 3;
  const id = entry.zoneWord & 0xffff;
  if (zones.both !== null && zones.both !== (directions === 3 ? id : 0)) return false;
  if (zones.original !== null && zones.original !== (directions === 1 ? id : 0)) return false;
  return zones.reply === null || zones.reply === (directions === 2 ? id : 0);
}

function selectsAddresses({ addresses }: Request, entry: Entry): boolean {
  const original = entry.tuple(Direction.original);
  const reply = entry.tuple(Direction.reply);
  const ends = { s: original.source, d: original.destination, r: reply.source, q: reply.destination };
  const masks: Readonly<Record<string, string>> = { s: '{', d: '}' };
  for (const [letter, words] of Object.entries(ends)) {
    const option = addresses.get(letter);
    if (option === undefined) continue;
    const mask = masks[letter];
    if (!covers(option, mask === undefined ? undefined : addresses.get(mask), entry.family, words)) return false;
  }
  return true;
}

/** Which ends of an entry are translated, as the tool sees it: its address and its port, each for itself. */
export function translated(
  entry: Entry,
): Readonly<Record<'source' | 'destination', { address: boolean; port: boolean }>> {
  const original = entry.tuple(Direction.original);
  const reply = entry.tuple(Direction.reply);
  const differs = (a: readonly number[], b: readonly number[]) => a.some((word, i) => word !== b[i]);
  const source = (entry.status & Status.sourceNatDone) !== 0;
  const destination = (entry.status & Status.destinationNatDone) !== 0;
  return {
    source: {
      address: source && differs(original.source, reply.destination),
      port: source && original.sourcePort !== reply.destinationPort,
    },
    destination: {
      address: destination && differs(original.destination, reply.source),
      port: destination && original.destinationPort !== reply.sourcePort,
    },
  };
}

/** `-n`, `-g` and `-j`. Only IPv4 addresses are compared. */
function selectsNat({ nat }: Request, entry: Entry): boolean {
  if (nat.size === 0) return true;
  const changed = translated(entry);
  const reply = entry.tuple(Direction.reply);
  const fits = (option: NatOption, end: 'source' | 'destination'): boolean => {
    const { address, port } = changed[end];
    const given = option.family === 4 ? option.address : null;
    if (given === null && option.port === null) return address || port;
    const own = end === 'source' ? reply.destination : reply.source;
    const ownPort = end === 'source' ? reply.destinationPort : reply.sourcePort;
    if (given !== null && !(address && given[0] === own[0])) return false;
    return option.port === null || (port && option.port === ownPort);
  };
  const any = nat.get('j');
  if (any !== undefined) return fits(any, 'source') || fits(any, 'destination');
  const from = nat.get('n');
  const to = nat.get('g');
  return (from === undefined || fits(from, 'source')) && (to === undefined || fits(to, 'destination'));
}

function selectsLabels({ labels }: Request, entry: Entry): boolean {
  const own = entry.labels();
  return labels.filter.every((bit) => ((own[bit >>> 5]! >>> (bit & 31)) & 1) === 1);
}

function selectsProtocolValues({ values }: Request, entry: Entry): boolean {
  if (values.size === 0) return true;
  const original = entry.tuple(Direction.original);
  const reply = entry.tuple(Direction.reply);
  const icmp = entry.protocol === Protocol.icmp ? 'icmp' : 'icmpv6';
  const actual: Readonly<Record<string, number>> = {
    sport: original.sourcePort,
    dport: original.destinationPort,
    'reply-port-src': reply.sourcePort,
    'reply-port-dst': reply.destinationPort,
    [`${icmp}-id`]: original.sourcePort,
    [`${icmp}-type`]: original.destinationPort >>> 8,
    [`${icmp}-code`]: original.destinationPort & 0xff,
    state: entry.words[entry.base + Field.protocol]! & 0xff,
  };
  // Keys of GRE are read, but not compared.
  for (const [name, value] of values) if (name in actual && actual[name] !== value) return false;
  return true;
}

/** Whether an address option, with its mask if there is one, covers an address. */
function covers(
  option: AddressOption,
  mask: AddressOption | undefined,
  family: Family,
  words: ArrayLike<number>,
): boolean {
  for (let i = 0; i < (family === 4 ? 1 : 4); i++) {
    if (((words[i]! ^ option.address[i]!) & (mask?.address[i] ?? 0xffffffff)) !== 0) return false;
  }
  return true;
}
