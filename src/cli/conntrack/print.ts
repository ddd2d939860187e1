import { Direction, Status, type Tuple } from '../../conntrack/connection.ts';
import type { Entry } from '../../conntrack/entry.ts';
import type { Expectation } from '../../conntrack/expectations.ts';
import { formatEntry, protocolName } from '../../conntrack/format.ts';
import { SctpField } from '../../conntrack/protocols/sctp.ts';
import { TCP_STATE_NAMES } from '../../conntrack/protocols/tcp-states.ts';
import type { ConntrackService } from '../../conntrack/service.ts';
import { expectedTuple } from '../../conntrack/store.ts';
import { Extra, Field } from '../../conntrack/table.ts';
import { formatAddress } from '../../packet/address-text.ts';
import { Protocol } from '../../packet/protocol.ts';
import type { OutputWord } from './request.ts';

/** How entries are written, and what is needed for it. */
export interface Style {
  output: ReadonlySet<OutputWord>;
  /** Names of label bits. */
  labelNames: ReadonlyMap<number, string>;
  /** Clock of the directory, microseconds since the epoch: for the age of entries. */
  clock: number;
  use: number;
}

export const XML_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n';

function labelText(entry: Entry, names: ReadonlyMap<number, string>): string[] {
  const bits = entry.labels();
  const result: string[] = [];
  for (let bit = 0; bit < 128; bit++) {
    const name = names.get(bit);
    if ((bits[bit >>> 5]! >>> (bit & 31)) & 1 && name !== undefined) result.push(name);
  }
  return result;
}

/** A line for one entry, with its newline; remaining times count from `now`. */
export function entryLine(entry: Entry, now: number, style: Style, started: number | null): string {
  const { output } = style;
  if (output.has('xml')) return `${xml(entry, now, style, started)}\n`;
  if (output.has('save')) return `${save(entry, now)}\n`;
  let text = formatEntry(entry, now, {
    extended: output.has('extended'),
    id: output.has('id'),
    use: style.use,
    labels: output.has('labels') ? labelText(entry, style.labelNames).join(',') : '',
  });
  if (started !== null) {
    const age = ` delta-time=${ageOf(style, started)}`;
    const stamp = output.has('ktimestamp') ? ` [start=${dateText(started)}]` : '';
    text = text.replace(/( helper=\S+)?( use=\d+)/, `${age}${stamp}$1$2`);
  }
  return `${text}\n`;
}

function ageOf(style: Style, started: number): number {
  return Math.max(0, Math.floor((style.clock - started) / 1e6));
}

/** `Sun Nov 22 17:59:14 2026`, in local time as ctime prints it. */
function dateText(time: number): string {
  const date = new Date(time / 1000);
  const [day, month, , year] = date.toDateString().split(' ');
  return `${day} ${month} ${String(date.getDate()).padStart(2)} ${date.toTimeString().slice(0, 8)} ${year}`;
}

function hasPorts(protocol: number): boolean {
  return [Protocol.tcp, Protocol.udp, Protocol.udplite, Protocol.sctp, Protocol.dccp].some((one) => one === protocol);
}

function xml(entry: Entry, now: number, style: Style, started: number | null): string {
  const directions = (entry.zoneWord >>> 16) & 3;
  const side = (direction: Direction): string => {
    const tuple = entry.tuple(direction);
    let layer4 = '';
    if (hasPorts(tuple.protocol)) layer4 = `<sport>${tuple.sourcePort}</sport><dport>${tuple.destinationPort}</dport>`;
    else if (tuple.protocol === Protocol.gre) {
      layer4 = `<srckey>0x${tuple.sourcePort.toString(16)}</srckey><dstkey>0x${tuple.destinationPort.toString(16)}</dstkey>`;
    }
    const zone = directions === direction + 1 ? `<zone>${entry.zone(direction)}</zone>` : '';
    const counters = entry.has(Extra.accounting)
      ? `<counters><packets>${entry.packets(direction)}</packets><bytes>${entry.bytes(direction)}</bytes></counters>`
      : '';
    return `<meta direction="${direction === 0 ? 'original' : 'reply'}">${layer3(tuple)}<layer4 protonum="${tuple.protocol}" protoname="${protocolName(tuple.protocol)}">${layer4}</layer4>${zone}${counters}</meta>`;
  };
  const state = entry.words[entry.base + Field.protocol]! & 0xff;
  let text = `<flow>${side(Direction.original)}${side(Direction.reply)}<meta direction="independent">`;
  // States of SCTP too are printed by the names of TCP's.
  if (entry.stateName !== null) text += `<state>${TCP_STATE_NAMES[state]}</state>`;
  text += `<timeout>${Math.floor(entry.remaining(now) / 1e6)}</timeout><mark>${entry.mark}</mark>`;
  if (directions === 3 && entry.zone(Direction.original) !== 0)
    text += `<zone>${entry.zone(Direction.original)}</zone>`;
  text += `<use>${style.use + entry.children}</use><id>${entry.id}</id>`;
  if ((entry.status & Status.assured) !== 0) text += '<assured/>';
  if ((entry.status & Status.seenReply) === 0) text += '<unreplied/>';
  if (style.output.has('labels')) {
    const names = labelText(entry, style.labelNames);
    if (names.length > 0) text += `<labels>${names.map((name) => `<label>${name}</label>`).join('')}</labels>`;
  }
  if (started !== null) {
    if (style.output.has('ktimestamp'))
      text += `<timestamp><start>${BigInt(Math.round(started)) * 1000n}</start></timestamp>`;
    text += `<deltatime>${ageOf(style, started)}</deltatime>`;
  }
  text += '</meta>';
  if (entry.helper !== null) text += `<helper>${entry.helper}</helper>`;
  return `${text}</flow>`;
}

function layer3(tuple: Tuple): string {
  const { family } = tuple;
  const head = family === 4 ? 'protonum="2" protoname="ipv4"' : 'protonum="10" protoname="ipv6"';
  return `<layer3 ${head}><src>${formatAddress(family, tuple.source)}</src><dst>${formatAddress(family, tuple.destination)}</dst></layer3>`;
}

/** An entry as a line that `-R` takes. */
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
  const parts = ['-A', `-t ${Math.floor(entry.remaining(now) / 1e6)}`, `-u ${status.join(',') || 'UNSET'}`];
  if (zone !== 0) parts.push(`${zoneOption} ${zone}`);
  parts.push(`-s ${address(original.source)}`, `-d ${address(original.destination)}`);
  parts.push(`${(entry.status & Status.destinationNat) !== 0 ? '-g' : '-r'} ${address(reply.source)}`);
  parts.push(`${(entry.status & Status.sourceNat) !== 0 ? '-n' : '-q'} ${address(reply.destination)}`);
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
  service: ConntrackService,
  expectation: Expectation,
  now: number,
  style: Style,
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
      `<flow><layer3 ${head}>${pair('expected', expected.source, expected.destination)}${pair('mask', mask, full)}${pair('master', master.source, master.destination)}</layer3>` +
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
    `${left} proto=${expected.protocol} src=${address(expected.source)} dst=${address(expected.destination)} ${ports(expected.sourcePort, expected.destinationPort)} ` +
    `mask-src=${address(mask)} mask-dst=${address(full)} ${ports(maskPort, 65535)} ` +
    `master-src=${address(master.source)} master-dst=${address(master.destination)} ${ports(master.sourcePort, master.destinationPort)}` +
    `${flags.length > 0 ? ` ${flags.join(',')}` : ''} class=${expectation.class} helper=${expectation.helper}\n`
  );
}
