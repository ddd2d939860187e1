import { formatAddress, formatMac } from '../address-text.ts';
import { toHex } from '../bytes.ts';
import type { AddressWords, Family } from '../family.ts';
import { hasPorts, Protocol } from '../protocol.ts';
import { DEFAULTS } from './build.ts';
import type { PacketDescription, WrongChecksum } from './description.ts';
import { icmpName, icmpRestKind } from './icmp-types.ts';
import { protocolWord } from './protocols.ts';
import { formatTcpFlags } from './tcp-flags.ts';
import { decodeTcpOptions } from './tcp-options.ts';
import { formatTime } from './time.ts';
import { quoteBytes } from './words.ts';

/** One line of the notation that `parsePacket` reads back to the same packet. Fields that have their default are left out. */
export function formatPacket(packet: PacketDescription): string {
  const words: string[] = [];
  if (packet.in !== undefined) words.push(`in=${packet.in}`);
  if (packet.out !== undefined) words.push(`out=${packet.out}`);
  if (packet.raw !== undefined) words.push('raw', toHex(packet.raw));
  else {
    words.push(protocolText(packet), end(packet, 'source'), '>', end(packet, 'destination'));
    headerWords(packet, words);
  }
  besides(packet, words);
  return words.join(' ');
}

/** ICMP is one word in both families, but each may be sent in the other. */
function protocolText(packet: PacketDescription): string {
  if (packet.protocol === Protocol.icmpv6 && packet.family === 6) return 'icmp';
  return packet.protocol === Protocol.icmp && packet.family === 6 ? '1' : protocolWord(packet.protocol);
}

function end(packet: PacketDescription, side: 'source' | 'destination'): string {
  const isUdp = packet.protocol === Protocol.udp || packet.protocol === Protocol.udplite;
  const standard =
    side === 'source' ? DEFAULTS.sourcePort : isUdp ? DEFAULTS.destinationPortUdp : DEFAULTS.destinationPort;
  const port = packet[`${side}Port`] ?? standard;
  const shown = hasPorts(packet.protocol) && !packet.fragmentOffset;
  return formatEnd(packet.family, packet[side], shown ? port : null);
}

/** `192.0.2.1:80`, `[2001:db8::1]:80`, or the address alone. */
export function formatEnd(family: Family, address: AddressWords, port: number | null): string {
  const text = formatAddress(family, address);
  if (port === null) return text;
  return family === 4 ? `${text}:${port}` : `[${text}]:${port}`;
}

function headerWords(packet: PacketDescription, words: string[]): void {
  const put = (key: string, value: number | undefined, standard?: number): void => {
    if (value !== undefined && value !== standard) words.push(`${key}=${value}`);
  };
  const isFragment = Boolean(packet.fragmentOffset);
  if (packet.protocol === Protocol.tcp && !isFragment) {
    words.push(
      formatTcpFlags(packet.tcpFlags ?? DEFAULTS.tcpFlags) === 'none'
        ? 'flags=none'
        : formatTcpFlags(packet.tcpFlags ?? DEFAULTS.tcpFlags),
    );
    put('seq', packet.sequence, DEFAULTS.sequence);
    put('ack', packet.acknowledgement, (packet.tcpFlags ?? DEFAULTS.tcpFlags) & 16 ? 1 : 0);
    put('win', packet.window, DEFAULTS.window);
    put('urg', packet.urgent, 0);
    if (packet.tcpOptions !== undefined) words.push(...tcpOptionWords(packet.tcpOptions));
    put('doff', packet.dataOffset);
  }
  if ((packet.protocol === Protocol.icmp || packet.protocol === Protocol.icmpv6) && !isFragment)
    icmpWords(packet, words);
  put('udplen', packet.udpLength);
  put('vtag', packet.verificationTag, 0);
  put('spi', packet.spi, DEFAULTS.spi);
  put('ttl', packet.ttl, DEFAULTS.ttl);
  if (packet.tos) words.push(`tos=0x${packet.tos.toString(16)}`);
  if (packet.extensions !== undefined) {
    words.push(`ext=${packet.extensions.map(({ kind, body }) => `${kind}:${toHex(body)}`).join(',')}`);
  }
  if (packet.family === 6) put('ipid', packet.ipId);
  else put('ipid', packet.ipId, 0);
  if (packet.dontFragment) words.push('df=1');
  if (packet.moreFragments) words.push('mf=1');
  if (packet.family === 6) put('frag', packet.fragmentOffset);
  else put('frag', packet.fragmentOffset, 0);
  if (packet.family === 6 && packet.moreFragments === false && packet.fragmentOffset === undefined) words.push('mf=0');
  put('flow', packet.flowLabel, 0);
  if (packet.ipOptions?.length) words.push(`options=${toHex(packet.ipOptions)}`);
  put('version', packet.version);
  put('ihl', packet.headerWords);
  put('totlen', packet.totalLength);
  if (packet.ipChecksum !== undefined) words.push(`ipchecksum=${checksumText(packet.ipChecksum)}`);
  if (packet.checksum !== undefined) words.push(`checksum=${checksumText(packet.checksum)}`);
  if (packet.payload?.length) words.push(payloadWord(packet.payload));
}

function icmpWords(packet: PacketDescription, words: string[]): void {
  const family: Family = packet.protocol === Protocol.icmp ? 4 : 6;
  const type = packet.icmpType ?? (family === 4 ? 8 : 128);
  const code = packet.icmpCode ?? 0;
  words.push(icmpName(family, type, code) ?? `${type}/${code}`);
  const rest = packet.icmpRest ?? 0;
  if (rest === 0) return;
  switch (icmpRestKind(family, type, code)) {
    case 'echo':
      if (family === packet.family) words.push(`id=${rest >>> 16}`, `seq=${rest & 0xffff}`);
      else words.push(`rest=${rest}`);
      break;
    case 'mtu':
      words.push(`mtu=${rest}`);
      break;
    case 'gateway':
      words.push(`gateway=${formatAddress(4, [rest, 0, 0, 0])}`);
      break;
    default:
      words.push(`rest=${rest}`);
  }
}

function tcpOptionWords(options: Uint8Array): string[] {
  if (options.length === 0) return [];
  const decoded = decodeTcpOptions(options);
  return decoded === null ? [`tcpoptions=${toHex(options)}`] : decoded.map(({ key, value }) => `${key}=${value}`);
}

function checksumText(checksum: WrongChecksum): string {
  return checksum === 'bad' ? 'bad' : `0x${checksum.toString(16)}`;
}

function payloadWord(payload: Uint8Array): string {
  if (payload.every((byte) => byte === 0)) return `len=${payload.length}`;
  const isText = payload.every((byte) => (byte >= 32 && byte < 127) || byte === 10 || byte === 13 || byte === 9);
  return isText ? `data=${quoteBytes(payload)}` : `hex=${toHex(payload)}`;
}

/** What goes along with a packet besides its bytes. */
function besides(packet: PacketDescription, words: string[]): void {
  if (packet.sourceMac !== undefined) words.push(`srcmac=${formatMac(packet.sourceMac)}`);
  if (packet.destinationMac !== undefined) words.push(`dstmac=${formatMac(packet.destinationMac)}`);
  if (packet.packetType !== undefined) words.push(`pkttype=${packet.packetType}`);
  for (const key of ['mark', 'uid', 'gid', 'pid'] as const) {
    if (packet[key] !== undefined) words.push(`${key}=${packet[key]}`);
  }
  if (packet.cgroup !== undefined) words.push(`cgroup=${word(packet.cgroup)}`);
  if (packet.groups !== undefined) words.push(`groups=${packet.groups.join(',')}`);
  if (packet.classId !== undefined) words.push(`classid=${packet.classId}`);
  for (const [key, value] of Object.entries(packet.described ?? {})) words.push(`${key}=${word(value)}`);
  if (packet.time !== undefined) words.push(`time=${formatTime(packet.time)}`);
}

function word(text: string): string {
  return /^[\w./:,-]+$/.test(text) ? text : quoteBytes(new TextEncoder().encode(text));
}
