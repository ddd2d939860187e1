import { parseAddress } from '../packet/address-text.ts';
import { buildPacket } from '../packet/notation/build.ts';
import type { PacketDescription } from '../packet/notation/description.ts';
import { Protocol } from '../packet/protocol.ts';
import type { Surroundings } from './tcpdump-transport.ts';

/** Messages by tcpdump's words: pattern, type, code. Groups: `about` the quoted destination, `proto`, `port`, `value`. */
type Message = readonly [RegExp, number, number];

const IPV4: readonly Message[] = [
  [/^echo request/, 8, 0],
  [/^echo reply/, 0, 0],
  [/^(?<about>\S+) (?<proto>udp|tcp) port (?<port>\d+) unreachable/, 3, 3],
  [/^(?<about>\S+) protocol (?<number>\d+) (?:port (?<port>\d+) )?unreachable/, 3, 2],
  [/^host (?<about>\S+) unreachable - admin prohibited filter/, 3, 13],
  [/^host (?<about>\S+) unreachable - admin prohibited/, 3, 10],
  [/^net (?<about>\S+) unreachable - admin prohibited/, 3, 9],
  [/^host (?<about>\S+) unreachable - host precedence/, 3, 14],
  [/^host (?<about>\S+) unreachable/, 3, 1],
  [/^net (?<about>\S+) unreachable/, 3, 0],
  [/^(?<about>\S+) unreachable - need to frag \(mtu (?<value>\d+)\)/, 3, 4],
  [/^(?<about>\S+) unreachable - need to frag/, 3, 4],
  [/^(?<about>\S+) unreachable - source route failed/, 3, 5],
  [/^time exceeded in-transit/, 11, 0],
  [/^ip reassembly time exceeded/, 11, 1],
  [/^redirect (?<about>\S+) to host (?<gateway>\S+?),/, 5, 1],
  [/^redirect (?<about>\S+) to net (?<gateway>\S+?),/, 5, 0],
  [/^source quench/, 4, 0],
  [/^parameter problem - octet (?<pointer>\d+)/, 12, 0],
  [/^time stamp query/, 13, 0],
  [/^time stamp reply/, 14, 0],
  [/^information request/, 15, 0],
  [/^information reply/, 16, 0],
  [/^address mask request/, 17, 0],
  [/^address mask is/, 18, 0],
  [/^router advertisement/, 9, 0],
  [/^router solicitation/, 10, 0],
  [/^type-#(?<type>\d+)/, -1, 0],
];

const IPV6: readonly Message[] = [
  [/^echo request/, 128, 0],
  [/^echo reply/, 129, 0],
  [/^destination unreachable, +unreachable port, (?<about>\S+) (?<proto>udp|tcp) port (?<port>\d+)/, 1, 4],
  [/^destination unreachable, +unreachable route (?<about>[^\s,]+)/, 1, 0],
  [/^destination unreachable, +unreachable prohibited (?<about>[^\s,]+)/, 1, 1],
  [/^destination unreachable, +beyond scope (?<about>[^\s,]+)/, 1, 2],
  [/^destination unreachable, +unreachable address (?<about>[^\s,]+)/, 1, 3],
  [/^packet too big, mtu (?<value>\d+)/, 2, 0],
  [/^time exceeded in-transit for (?<about>[^\s,]+)/, 3, 0],
  [/^ip reassembly time exceeded/, 3, 1],
  [/^parameter problem, \S+ - octet (?<pointer>\d+)/, 4, 0],
  [/^router solicitation/, 133, 0],
  [/^router advertisement/, 134, 0],
  [/^neighbor solicitation/, 135, 0],
  [/^neighbor advertisement/, 136, 0],
  [/^redirect/, 137, 0],
  [/^multicast listener query/, 130, 0],
  [/^multicast listener report/, 131, 0],
  [/^multicast listener done/, 132, 0],
];

/**
 * Reads an ICMP message. What an error quotes is taken from -v, else from the packet before that it is about.
 *
 * @param length of the message where -v printed the packet's length; otherwise -1
 */
export function readIcmp(
  packet: PacketDescription,
  text: string,
  length: number,
  around: Surroundings,
): PacketDescription | string {
  const is4 = packet.family === 4;
  packet.protocol = is4 ? Protocol.icmp : Protocol.icmpv6;
  const words = text.replace(/^ICMP6?,? /, '');
  for (const [pattern, type, code] of is4 ? IPV4 : IPV6) {
    const match = pattern.exec(words);
    if (match === null) continue;
    const groups: Record<string, string | undefined> = match.groups ?? {};
    packet.icmpType = type < 0 ? Number(groups.type) : type;
    packet.icmpCode = code;
    packet.icmpRest = restOf(words, groups, is4);
    const printed = Number(/, length (\d+)/.exec(words)?.[1] ?? 8);
    const size = Math.max(0, (length >= 0 ? length : printed) - 8);
    packet.payload = isError(packet) ? fitted(quoteOf(packet, groups, around), size) : new Uint8Array(size);
    return packet;
  }
  return `an ICMP message that is not known: ${words.slice(0, 60)}`;
}

function isError(packet: PacketDescription): boolean {
  const type = packet.icmpType!;
  return packet.family === 4 ? [3, 4, 5, 11, 12].includes(type) : type < 128;
}

function restOf(words: string, groups: Record<string, string | undefined>, is4: boolean): number {
  const id = /\bid (\d+)/.exec(words);
  const sequence = /\bseq (\d+)/.exec(words);
  if (id !== null || sequence !== null) return ((Number(id?.[1] ?? 0) << 16) | Number(sequence?.[1] ?? 0)) >>> 0;
  if (groups.value !== undefined) return Number(groups.value);
  if (groups.pointer !== undefined) return is4 ? (Number(groups.pointer) << 24) >>> 0 : Number(groups.pointer);
  return parseAddress(groups.gateway ?? '')?.words[0] ?? 0;
}

function quoteOf(
  packet: PacketDescription,
  groups: Record<string, string | undefined>,
  around: Surroundings,
): Uint8Array {
  if (around.inner !== null) return around.inner;
  const about = parseAddress(groups.about ?? '')?.words ?? null;
  const protocol =
    groups.proto === 'tcp' ? Protocol.tcp : groups.proto === 'udp' ? Protocol.udp : Number(groups.number ?? -1);
  const port = groups.port === undefined ? null : Number(groups.port);
  const same = (a: readonly number[], b: readonly number[]): boolean => a.every((word, i) => word === b[i]);
  const found = around.seen.findLast(
    (other) =>
      other.raw === undefined &&
      same(other.source, packet.destination) &&
      (about === null || same(other.destination, about)) &&
      (protocol < 0 || other.protocol === protocol) &&
      (port === null || other.destinationPort === port),
  );
  if (found !== undefined) return buildPacket(found);
  return buildPacket({
    family: packet.family,
    protocol: protocol < 0 ? Protocol.udp : protocol,
    source: packet.destination,
    destination: about ?? packet.source,
    sourcePort: 0,
    destinationPort: port ?? 0,
  });
}

/** As many bytes of the quoted packet as the message has; where fewer are known, what is known. */
function fitted(quoted: Uint8Array, size: number): Uint8Array {
  return size > 0 && size < quoted.length ? quoted.slice(0, size) : quoted;
}
