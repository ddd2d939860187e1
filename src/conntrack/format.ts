import { formatAddress } from '../packet/address-text.ts';
import { Protocol } from '../packet/protocol.ts';
import { Direction, Status, type Tuple } from './connection.ts';
import type { Entry } from './entry.ts';
import type { EntryEvent } from './events.ts';
import { Extra } from './table.ts';

/** Names of protocols as libnetfilter_conntrack prints them. */
const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [Protocol.tcp, 'tcp'],
  [Protocol.udp, 'udp'],
  [Protocol.udplite, 'udplite'],
  [Protocol.icmp, 'icmp'],
  [Protocol.icmpv6, 'icmpv6'],
  [Protocol.sctp, 'sctp'],
  [Protocol.gre, 'gre'],
  [Protocol.dccp, 'dccp'],
]);

export function protocolName(protocol: number): string {
  return PROTOCOL_NAMES.get(protocol) ?? 'unknown';
}

export interface EntryFormat {
  /** `-o extended`: the layer 3 protocol stands in front. */
  extended?: boolean;
  /** `-o id`. */
  id?: boolean;
  /** Labels by name. */
  labels?: string;
  /** Age and time stamps, with a space before. */
  times?: string;
  /** What a message of ctnetlink says of it: counters and time stamps at its end only, a mark only if there is one. */
  event?: EntryEvent;
  /** Who holds the entry beside the connections that it is the master of (`-G` and `-U` do so themselves); 1: only the table. */
  use?: number;
}

/** The part of a tuple that the protocol adds. */
export function formatTuplePorts(tuple: Tuple): string {
  switch (tuple.protocol) {
    case Protocol.tcp:
    case Protocol.udp:
    case Protocol.udplite:
    case Protocol.sctp:
    case Protocol.dccp:
      return ` sport=${tuple.sourcePort} dport=${tuple.destinationPort}`;
    case Protocol.icmp:
    case Protocol.icmpv6:
      return ` type=${tuple.destinationPort >>> 8} code=${tuple.destinationPort & 0xff} id=${tuple.sourcePort}`;
    case Protocol.gre:
      return ` srckey=0x${tuple.sourcePort.toString(16)} dstkey=0x${tuple.destinationPort.toString(16)}`;
    default:
      return '';
  }
}

/** An entry as `conntrack -L` prints it, without a newline. */
export function formatEntry(entry: Entry, now: number, format: EntryFormat = {}): string {
  const { status } = entry;
  const name = protocolName(entry.protocol).padEnd(8);
  let text = format.extended ? `${entry.family === 4 ? 'ipv4    ' : 'ipv6    '} ${entry.family === 4 ? 2 : 10} ` : '';
  text += `${name} ${entry.protocol} ${Math.floor((entry.confirmed ? entry.remaining(now) : entry.expiry) / 1e6)}`;
  const { event } = format;
  if (entry.stateName !== null && event?.state !== false) text += ` ${entry.stateName}`;
  const zones = [entry.zone(Direction.original), entry.zone(Direction.reply)];
  const directions = (entry.zoneWord >>> 16) & 3;
  const counted = event === undefined || event.kind === 'destroy';
  text += formatDirection(entry, Direction.original, directions === 1 ? zones[0]! : 0, 'zone-orig', counted);
  if ((status & Status.seenReply) === 0) text += ' [UNREPLIED]';
  text += formatDirection(entry, Direction.reply, directions === 2 ? zones[1]! : 0, 'zone-reply', counted);
  if ((status & Status.assured) !== 0) text += ' [ASSURED]';
  if (event === undefined || event.mark || entry.mark !== 0) text += ` mark=${entry.mark}`;
  if (directions === 3 && zones[0] !== 0) text += ` zone=${zones[0]}`;
  if (counted) text += format.times ?? '';
  if (entry.helper !== null && event?.kind !== 'destroy') text += ` helper=${entry.helper}`;
  if (event === undefined) text += ` use=${(format.use ?? 1) + entry.children}`;
  if (format.id) text += ` id=${entry.id}`;
  if (format.labels && event?.labels !== false) text += ` labels=${format.labels}`;
  return text;
}

function formatDirection(entry: Entry, direction: Direction, zone: number, zoneName: string, counted: boolean): string {
  const tuple = entry.tuple(direction);
  let text = ` src=${formatAddress(tuple.family, tuple.source)} dst=${formatAddress(tuple.family, tuple.destination)}`;
  text += formatTuplePorts(tuple);
  if (zone !== 0) text += ` ${zoneName}=${zone}`;
  if (counted && entry.has(Extra.accounting))
    text += ` packets=${entry.packets(direction)} bytes=${entry.bytes(direction)}`;
  return text;
}
