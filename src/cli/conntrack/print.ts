import { Direction, Status } from '../../conntrack/connection.ts';
import type { ConntrackEntries } from '../../conntrack/entries.ts';
import type { Entry } from '../../conntrack/entry.ts';
import type { EntryEvent, EntryEventKind } from '../../conntrack/events.ts';
import type { Expectation } from '../../conntrack/expectations.ts';
import { formatEntry, protocolName } from '../../conntrack/format.ts';
import { SctpField } from '../../conntrack/protocols/sctp.ts';
import { expectedTuple } from '../../conntrack/store.ts';
import { Field } from '../../conntrack/table.ts';
import { formatAddress } from '../../packet/address-text.ts';
import { hasPorts, Protocol } from '../../packet/protocol.ts';
import { translated } from './select.ts';
import { ageOf, type Life, labelText, type Style } from './style.ts';
import { entryXml } from './xml.ts';

/** A line for one entry, with its newline; remaining times count from `now`. `event`: as `-E` prints it. */
export function entryLine(entry: Entry, now: number, style: Style, life: Life | null, event?: EntryEvent): string {
  const { output } = style;
  if (output.has('xml')) return `${entryXml(entry, now, style, life, event)}\n`;
  if (output.has('save')) return `${COMMAND_OF_EVENT[event?.kind ?? 'new']} ${save(entry, now)}\n`;
  let times = '';
  if (life !== null) {
    times = ` delta-time=${ageOf(style, life)}`;
    if (output.has('ktimestamp')) {
      times += ` [start=${dateText(life.started)}]`;
      if (life.stopped !== null) times += ` [stop=${dateText(life.stopped)}]`;
    }
  }
  const text = formatEntry(entry, now, {
    extended: output.has('extended'),
    id: output.has('id'),
    use: style.use,
    labels: labelText(entry, style.labelNames).join(','),
    times,
    ...(event === undefined ? {} : { event }),
  });
  return `${event === undefined ? '' : eventHead(style, event.kind)}${text}\n`;
}

const COMMAND_OF_EVENT = { new: '-A', update: '-U', destroy: '-D' } as const;
const EVENT_HEADS = { new: '    [NEW] ', update: ' [UPDATE] ', destroy: '[DESTROY] ' } as const;

/** What stands in front of the text of an event; its time is the style's clock. */
function eventHead(style: Style, kind: EntryEventKind): string {
  if (!style.output.has('timestamp')) return EVENT_HEADS[kind];
  const seconds = Math.floor(style.clock / 1e6);
  const micros = Math.round(style.clock - seconds * 1e6);
  return `[${seconds}.${String(micros).padStart(6, '0')}]\t${EVENT_HEADS[kind]}`;
}

/** `Sun Nov 22 17:59:14 2026`, in local time as ctime prints it. */
function dateText(time: number): string {
  const date = new Date(time / 1000);
  const [day, month, , year] = date.toDateString().split(' ');
  return `${day} ${month} ${String(date.getDate()).padStart(2)} ${date.toTimeString().slice(0, 8)} ${year}`;
}

/** An entry as the words of a line that `-R` takes, behind its command. */
function save(entry: Entry, now: number): string {
  const original = entry.tuple(Direction.original);
  const reply = entry.tuple(Direction.reply);
  const address = (words: ArrayLike<number>) => formatAddress(entry.family, words);
  const flags = [
    [Status.seenReply, 'SEEN_REPLY'],
    [Status.assured, 'ASSURED'],
    [Status.fixedTimeout, 'FIXED_TIMEOUT'],
    [Status.expected, 'EXPECTED'],
  ] as const;
  const status = flags.filter(([bit]) => (entry.status & bit) !== 0).map(([, name]) => name);
  const directions = (entry.zoneWord >>> 16) & 3;
  const zone = entry.zoneWord & 0xffff;
  const zoneOption = ['', '--orig-zone', '--reply-zone', '-w'][directions]!;
  const parts = [`-t ${Math.floor(entry.remaining(now) / 1e6)}`, `-u ${status.join(',') || 'UNSET'}`];
  if (zone !== 0) parts.push(`${zoneOption} ${zone}`);
  parts.push(`-s ${address(original.source)}`, `-d ${address(original.destination)}`);
  const { source, destination } = translated(entry);
  parts.push(`${destination.address ? '-g' : '-r'} ${address(reply.source)}`);
  parts.push(`${source.address ? '-n' : '-q'} ${address(reply.destination)}`);
  const name = protocolName(entry.protocol);
  parts.push(`-p ${name === 'unknown' ? entry.protocol : name}`);
  if (hasPorts(entry.protocol) && entry.protocol !== Protocol.dccp) {
    parts.push(`--sport ${original.sourcePort}`, `--dport ${original.destinationPort}`);
    parts.push(`--reply-port-src ${reply.sourcePort}`, `--reply-port-dst ${reply.destinationPort}`);
  } else if (entry.protocol === Protocol.gre) {
    parts.push(`--srckey ${original.sourcePort}`, `--dstkey ${original.destinationPort}`);
    parts.push(`--reply-key-src ${reply.sourcePort}`, `--reply-key-dst ${reply.destinationPort}`);
  } else if (entry.protocol === Protocol.icmp || entry.protocol === Protocol.icmpv6) {
    parts.push(`--${name}-type ${original.destinationPort >>> 8}`, `--${name}-code ${original.destinationPort & 0xff}`);
    parts.push(`--${name}-id ${original.sourcePort}`);
  }
  if (entry.stateName !== null) parts.push(`--state ${entry.stateName}`);
  if (entry.protocol === Protocol.sctp) {
    const tags = entry.base + Field.protocol + SctpField.tags;
    parts.push(`--orig-vtag ${entry.words[tags]}`, `--reply-vtag ${entry.words[tags + 1]}`);
  }
  return parts.join(' ');
}

/** An expectation as `conntrack -L expect` prints it, with its newline. */
export function expectationLine(
  service: ConntrackEntries,
  expectation: Expectation,
  now: number,
  style: Style,
  event?: 'new' | 'destroy',
): string {
  const expected = expectedTuple(expectation);
  const master = service.entry(expectation.master).tuple(Direction.original);
  const { family } = master;
  const address = (words: ArrayLike<number>) => formatAddress(family, words);
  const mask = expectation.mask;
  const maskPort = mask[8]! >>> 16;
  const full = family === 4 ? [0xffffffff, 0, 0, 0] : [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff];
  const left = Math.max(0, Math.floor((expectation.expiry - now) / 1e6));
  if (style.output.has('xml')) {
    const pair = (tag: string, source: ArrayLike<number>, destination: ArrayLike<number>) =>
      `<${tag}><src>${address(source)}</src><dst>${address(destination)}</dst></${tag}>`;
    const ports = (tag: string, source: number, destination: number) =>
      `<${tag}><sport>${source}</sport><dport>${destination}</dport></${tag}>`;
    const head = family === 4 ? 'protonum="2" protoname="ipv4"' : 'protonum="10" protoname="ipv6"';
    return (
      `<flow${event === undefined ? '' : ` type="${event}"`}><layer3 ${head}>${pair('expected', expected.source, expected.destination)}${pair('mask', mask, full)}${pair('master', master.source, master.destination)}</layer3>` +
      `<layer4 protonum="${expected.protocol}" protoname="${protocolName(expected.protocol)}">${ports('expected', expected.sourcePort, expected.destinationPort)}${ports('mask', maskPort, 65535)}${ports('master', master.sourcePort, master.destinationPort)}</layer4>` +
      `<meta><helper-name>${expectation.helper}</helper-name><timeout>${left}</timeout><class>${expectation.class}</class></meta></flow>\n`
    );
  }
  const flags: string[] = [];
  if ((expectation.flags & 1) !== 0) flags.push('PERMANENT');
  if ((expectation.flags & 2) !== 0) flags.push('INACTIVE');
  if ((expectation.flags & 4) !== 0) flags.push('USERSPACE');
  const ports = (source: number, destination: number) => `sport=${source} dport=${destination}`;
  return (
    `${event === undefined ? '' : eventHead(style, event)}${left} proto=${expected.protocol} src=${address(expected.source)} dst=${address(expected.destination)} ${ports(expected.sourcePort, expected.destinationPort)} ` +
    `mask-src=${address(mask)} mask-dst=${address(full)} ${ports(maskPort, 65535)} ` +
    `master-src=${address(master.source)} master-dst=${address(master.destination)} ${ports(master.sourcePort, master.destinationPort)}` +
    `${flags.length > 0 ? ` ${flags.join(',')}` : ''} class=${expectation.class} helper=${expectation.helper}\n`
  );
}
