import { parseAddress } from '../packet/address-text.ts';
import { fromHex } from '../packet/bytes.ts';
import type { PacketDescription } from '../packet/notation/description.ts';
import { parseTcpFlags } from '../packet/notation/tcp-flags.ts';
import { encodeTcpOption } from '../packet/notation/tcp-options.ts';
import { Protocol } from '../packet/protocol.ts';
import { type Heading, readExtensions } from './tcpdump-heading.ts';
import { readIcmp } from './tcpdump-icmp.ts';
import type { SequenceNumbers } from './tcpdump-sequence.ts';

/** What else is known when a packet's text is read. */
export interface Surroundings {
  sequence: SequenceNumbers;
  /** Packets before it, the latest last. */
  seen: readonly PacketDescription[];
  /** The packet that an ICMP error quotes, if -v printed it. */
  inner: Uint8Array | null;
}

/** Reads `SOURCE > DESTINATION: ...`; a text says why the packet cannot be taken. */
export function readTransport(heading: Heading, body: string, around: Surroundings): PacketDescription | string {
  const match = /^(\S+) > (\S+): ?(.*)$/s.exec(body);
  if (match === null) return `no addresses in it: ${body.slice(0, 60)}`;
  const source = readEnd(match[1]!, heading.family);
  const destination = readEnd(match[2]!, heading.family);
  if (source === null || destination === null) {
    return `"${source === null ? match[1] : match[2]}" is no address (names? use tcpdump -n)`;
  }
  const packet: PacketDescription = {
    family: heading.family,
    protocol: heading.protocol ?? -1,
    source: source.address,
    destination: destination.address,
  };
  copyHeading(heading, packet);
  const { extensions, rest } =
    heading.family === 6
      ? readExtensions(match[3]!.replace(/^\[(?:udp|icmp6) sum ok\] /, ''))
      : { extensions: [], rest: match[3]! };
  if (extensions.length > 0) packet.extensions = extensions;
  let text = rest;
  if (heading.family === 6) {
    const fragment = /^frag \((?:0x([0-9a-f]+):)?(\d+)\|(\d+)\) ?/.exec(text);
    if (fragment !== null) {
      text = text.slice(fragment[0].length);
      packet.ipId = Number.parseInt(fragment[1] ?? '1', 16);
      packet.fragmentOffset = Number(fragment[2]);
      packet.moreFragments = Number(fragment[2]) === 0;
      if (packet.fragmentOffset > 0) {
        packet.payload = new Uint8Array(Number(fragment[3]));
        packet.protocol = lastFragmentProtocol(packet, around.seen);
        return packet;
      }
      const ports = /^(\d+) > (\d+): ?/.exec(text);
      if (ports !== null) {
        text = text.slice(ports[0].length);
        source.port = Number(ports[1]);
        destination.port = Number(ports[2]);
      }
    }
    const inline = /^(\d+) > (\d+): ?/.exec(text);
    if (inline !== null && source.port === null) {
      text = text.slice(inline[0].length);
      source.port = Number(inline[1]);
      destination.port = Number(inline[2]);
    }
  }
  text = text.replace(/^\[(?:bad )?(?:udp|icmp6|tcp) (?:sum|cksum)[^\]]*\] /, (words) => {
    if (words.includes('bad')) packet.checksum = 'bad';
    return '';
  });
  if (packet.fragmentOffset) return laterFragment(packet, heading, text);
  if (source.port !== null && destination.port !== null) {
    packet.sourcePort = source.port;
    packet.destinationPort = destination.port;
    return readWithPorts(packet, heading, text, around);
  }
  return readWithoutPorts(packet, heading, text, around);
}

interface End {
  address: PacketDescription['source'];
  port: number | null;
}

/** `10.0.0.5.40000`, `2001:db8::5.40000`, or the address alone. */
function readEnd(text: string, family: 4 | 6): End | null {
  const dot = text.lastIndexOf('.');
  const whole = parseAddress(text);
  if (whole !== null && whole.family === family) return { address: whole.words, port: null };
  const address = dot < 0 ? null : parseAddress(text.slice(0, dot));
  const port = text.slice(dot + 1);
  if (address === null || address.family !== family || !/^\d{1,5}$/.test(port)) return null;
  return { address: address.words, port: Number(port) };
}

function copyHeading(heading: Heading, packet: PacketDescription): void {
  for (const key of ['tos', 'ttl', 'ipId', 'fragmentOffset', 'flowLabel'] as const) {
    if (heading[key] !== undefined) packet[key] = heading[key];
  }
  if (heading.moreFragments) packet.moreFragments = true;
  if (heading.dontFragment) packet.dontFragment = true;
  if (heading.ipOptions !== undefined) packet.ipOptions = heading.ipOptions;
  if (heading.badHeaderChecksum) packet.ipChecksum = 'bad';
}

/** Bytes of the IP payload, where -v printed the length; otherwise -1. */
function payloadLength(heading: Heading, packet: PacketDescription): number {
  if (heading.totalLength === null) return -1;
  const options = ((packet.ipOptions?.length ?? 0) + 3) & ~3;
  const extensions = (packet.extensions ?? []).reduce(
    (sum, { body }) => sum + 1 + body.length,
    heading.family === 6 && packet.fragmentOffset !== undefined ? 8 : 0,
  );
  return heading.totalLength - (heading.family === 4 ? 20 + options : 40 + extensions);
}

function laterFragment(packet: PacketDescription, heading: Heading, text: string): PacketDescription {
  const named = /^ ?ip-proto-(\d+)/.exec(text);
  if (packet.protocol < 0) packet.protocol = named === null ? Protocol.udp : Number(named[1]);
  packet.payload = new Uint8Array(Math.max(0, payloadLength(heading, packet)));
  return packet;
}

/** The protocol of a later IPv6 fragment is not printed: that of the first one with the same addresses. */
function lastFragmentProtocol(packet: PacketDescription, seen: readonly PacketDescription[]): number {
  const first = seen.findLast(
    (other) =>
      other.moreFragments === true &&
      other.source.every((word, i) => word === packet.source[i]) &&
      other.destination.every((word, i) => word === packet.destination[i]),
  );
  return first?.protocol ?? Protocol.udp;
}

function readWithPorts(
  packet: PacketDescription,
  heading: Heading,
  text: string,
  around: Surroundings,
): PacketDescription {
  if (/^sctp\b/i.test(text) || packet.protocol === Protocol.sctp) {
    packet.protocol = Protocol.sctp;
    packet.payload = sctpChunk(text);
    return packet;
  }
  const quiet = /^(tcp|UDP,? ?length|UDPv?) ?(\d+)?/.exec(text);
  if (text.startsWith('Flags [')) return readTcp(packet, text, around.sequence);
  if (quiet?.[1] === 'tcp') {
    // -q tells neither flags nor numbers: a segment without data is taken for a SYN, one with data for a push.
    const length = Number(quiet[2] ?? 0);
    return { ...packet, protocol: Protocol.tcp, payload: new Uint8Array(length), tcpFlags: length > 0 ? 0x18 : 2 };
  }
  packet.protocol = packet.protocol > 0 ? packet.protocol : Protocol.udp;
  const whole = payloadLength(heading, packet);
  const printed = /^(?:UDP, )?.*?\blength (\d+)/.exec(text) ?? /\((\d+)\)(?:\s|$)/.exec(text);
  packet.payload = new Uint8Array(whole >= 8 ? whole - 8 : printed === null ? 0 : Number(printed[1]));
  return packet;
}

function readTcp(packet: PacketDescription, text: string, sequence: SequenceNumbers): PacketDescription {
  packet.protocol = Protocol.tcp;
  const flags = /^Flags \[([^\]]*)\]/.exec(text)![1]!;
  packet.tcpFlags = flags === 'none' ? 0 : Math.max(0, parseTcpFlags(flags));
  const number = (name: string): number | undefined => {
    const match = new RegExp(`, ${name} (\\d+)`).exec(text);
    return match === null ? undefined : Number(match[1]);
  };
  const put = (key: 'sequence' | 'acknowledgement' | 'window' | 'urgent', value: number | undefined): void => {
    if (value !== undefined) packet[key] = value;
  };
  put('sequence', number('seq'));
  put('acknowledgement', number('ack'));
  put('window', number('win'));
  put('urgent', number('urg'));
  if (/cksum 0x[0-9a-f]+ \(incorrect/.test(text)) packet.checksum = 'bad';
  const options = /, options \[([^\]]*)\]/.exec(text);
  if (options !== null) packet.tcpOptions = Uint8Array.from(options[1]!.split(',').flatMap(tcpOption));
  packet.payload = new Uint8Array(number('length') ?? 0);
  sequence.restore(packet);
  sequence.follow(packet);
  return packet;
}

/** One option by tcpdump's words; unknown ones become padding. */
function tcpOption(text: string): number[] {
  const [name = '', ...values] = text.trim().split(' ');
  const none = [1];
  switch (name) {
    case 'mss':
    case 'wscale':
      return encodeTcpOption(name, values[0] ?? '') ?? none;
    case 'sackOK':
      return encodeTcpOption('sackok', '1') ?? none;
    case 'TS':
      return encodeTcpOption('ts', `${values[1] ?? ''}:${values[3] ?? ''}`) ?? none;
    case 'sack':
      return (
        encodeTcpOption(
          'sack',
          [...text.matchAll(/\{(\d+):(\d+)\}/g)].map((match) => `${match[1]}-${match[2]}`).join(','),
        ) ?? none
      );
    case 'eol':
      return [0];
    default:
      return none;
  }
}

/** The first chunk of an SCTP packet by its name, with the values that are printed. */
function sctpChunk(text: string): Uint8Array {
  const chunk =
    /\[(INIT|INIT ACK|DATA|SACK|COOKIE ECHO|COOKIE ACK|SHUTDOWN|SHUTDOWN ACK|SHUTDOWN COMPLETE|ABORT|HB REQ|HB ACK)\]/.exec(
      text,
    )?.[1];
  const value = (name: string): string => {
    const printed = new RegExp(`\\[${name}: (\\d+)\\]`).exec(text)?.[1] ?? '0';
    return Number(printed).toString(16).padStart(8, '0');
  };
  const [type, body] = CHUNKS[chunk ?? ''] ?? [0, ''];
  const details =
    chunk === 'INIT' || chunk === 'INIT ACK'
      ? `${value('init tag')}${value('rwnd')}${value('OS').slice(4)}${value('MIS').slice(4)}${value('init TSN')}`
      : body;
  const length = 4 + details.length / 2;
  return (
    fromHex(`${type.toString(16).padStart(2, '0')}00${length.toString(16).padStart(4, '0')}${details}`) ??
    new Uint8Array(0)
  );
}

const CHUNKS: Readonly<Record<string, readonly [number, string]>> = {
  DATA: [0, '00000001000000000000000000000000'],
  INIT: [1, ''],
  'INIT ACK': [2, ''],
  SACK: [3, '000000010000ffff00000000'],
  'HB REQ': [4, ''],
  'HB ACK': [5, ''],
  ABORT: [6, ''],
  SHUTDOWN: [7, '00000000'],
  'SHUTDOWN ACK': [8, ''],
  'COOKIE ECHO': [10, '00000000'],
  'COOKIE ACK': [11, ''],
  'SHUTDOWN COMPLETE': [14, ''],
};

/** Protocols that tcpdump prints in words unless it is a later fragment. */
const FRAGMENTED: ReadonlySet<number> = new Set([
  Protocol.tcp,
  Protocol.udp,
  Protocol.icmp,
  Protocol.icmpv6,
  Protocol.sctp,
]);

function readWithoutPorts(
  packet: PacketDescription,
  heading: Heading,
  text: string,
  around: Surroundings,
): PacketDescription | string {
  if (/^ICMP6?[ ,]/.test(text)) return readIcmp(packet, text, payloadLength(heading, packet), around);
  const numbered = /^ ?ip-proto-(\d+)(?: (\d+))?/.exec(text);
  const spi = /^(?:ESP|AH)\((?:[^)]*\),)?.*?spi=(0x[0-9a-f]+)/.exec(text);
  const whole = payloadLength(heading, packet);
  if (spi !== null) {
    packet.protocol = text.startsWith('ESP') ? Protocol.esp : Protocol.ah;
    packet.spi = Number(spi[1]);
    const header = packet.protocol === Protocol.esp ? 8 : 24;
    const printed = Number(/, length (\d+)/.exec(text)?.[1] ?? header);
    packet.payload = new Uint8Array(Math.max(0, (whole >= 0 ? whole : printed) - header));
    return packet;
  }
  if (numbered !== null) {
    packet.protocol = Number(numbered[1]);
    if (FRAGMENTED.has(packet.protocol)) return 'a later fragment, of which only tcpdump -v tells the offset';
  } else if (/^igmp /.test(text)) packet.protocol = Protocol.igmp;
  else if (/^GRE/.test(text)) packet.protocol = Protocol.gre;
  else if (/^IP6 /.test(text)) packet.protocol = Protocol.ipv6;
  else if (/^IP /.test(text)) packet.protocol = Protocol.ipip;
  else if (/^OSPF/.test(text)) packet.protocol = 89;
  else if (/^VRRP|^CARP/.test(text)) packet.protocol = 112;
  else if (/^PIM/.test(text)) packet.protocol = 103;
  if (packet.protocol < 0) return `the protocol cannot be told: ${text.slice(0, 60)}`;
  const printed = Number(numbered?.[2] ?? /, length (\d+)/.exec(text)?.[1] ?? 8);
  const length = whole >= 0 ? whole : printed;
  packet.payload = new Uint8Array(Math.max(0, length));
  return packet;
}
