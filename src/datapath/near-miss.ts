import { formatAddress, formatMac } from '../packet/address-text.ts';
import { readUint16 } from '../packet/bytes.ts';
import { protocolWord } from '../packet/notation/protocols.ts';
import { formatTcpFlags } from '../packet/notation/tcp-flags.ts';
import { ConntrackInfo, type Packet } from '../packet/packet.ts';
import { hasPorts, Protocol } from '../packet/protocol.ts';
import { tosOf, ttlOf } from '../packet/rewrite.ts';
import type { HookState } from './hooks.ts';

const STATES: Readonly<Record<ConntrackInfo, string>> = {
  [ConntrackInfo.established]: 'ESTABLISHED',
  [ConntrackInfo.related]: 'RELATED',
  [ConntrackInfo.new]: 'NEW',
  [ConntrackInfo.establishedReply]: 'ESTABLISHED',
  [ConntrackInfo.relatedReply]: 'RELATED',
  [ConntrackInfo.untracked]: 'UNTRACKED',
};

/**
 * What the packet has where a part of a rule (`-s`, `-i`, `-m tcp`) did not fit, in a few words for people; null where the
 * packet alone does not tell (`-m limit`). Only asked for when somebody listens.
 */
export function packetHas(part: string, packet: Packet, at: HookState): string | null {
  switch (part) {
    case '-s':
      return `source ${formatAddress(packet.family, packet.src)}`;
    case '-d':
      return `destination ${formatAddress(packet.family, packet.dst)}`;
    case '-i':
      return `input interface ${at.inDevice?.name ?? 'none'}`;
    case '-o':
      return `output interface ${at.outDevice?.name ?? 'none'}`;
    case '-p':
      return packet.protocol < 0 ? null : `protocol ${protocolWord(packet.protocol)}`;
    case '-f':
      return packet.fragmentOffset === 0 ? 'no fragment, or the first' : `a fragment at ${packet.fragmentOffset}`;
    case '-m tcp':
    case '-m udp':
    case '-m udplite':
    case '-m sctp':
    case '-m dccp':
    case '-m multiport':
    case '-m icmp':
    case '-m icmp6':
      return transportText(packet);
    case '-m set':
    case '-m iprange':
    case '-m addrtype':
      return endsText(packet);
    case '-m conntrack':
    case '-m state':
      return `state ${stateText(packet)}`;
    case '-m mark':
      return `mark 0x${packet.mark.toString(16)}`;
    case '-m connmark':
      return packet.connection === null ? 'no connection' : `mark 0x${packet.connection.mark.toString(16)}`;
    case '-m mac':
      return packet.linkHeader === null ? 'no Ethernet header' : `source MAC ${formatMac(packet.linkHeader, 6)}`;
    case '-m physdev':
      return `bridge ports ${packet.physicalIn?.name ?? 'none'} in, ${packet.physicalOut?.name ?? 'none'} out`;
    case '-m length':
      return `${packet.bytes.length} bytes`;
    case '-m ttl':
    case '-m hl':
      return `${packet.family === 4 ? 'TTL' : 'hop limit'} ${ttlOf(packet)}`;
    case '-m tos':
    case '-m dscp':
      return `TOS 0x${tosOf(packet).toString(16)}`;
    default:
      return null;
  }
}

function stateText(packet: Packet): string {
  if (packet.conntrackInfo === ConntrackInfo.untracked) return 'UNTRACKED';
  return packet.connection === null ? 'INVALID' : STATES[packet.conntrackInfo];
}

/** Ports and flags, or type and code; null for later fragments and cut headers. */
function transportText(packet: Packet): string | null {
  const { bytes, transport, protocol } = packet;
  if (packet.fragmentOffset > 0) return 'a later fragment, without transport header';
  if (protocol === Protocol.icmp || protocol === Protocol.icmpv6) {
    return bytes.length < transport + 2 ? null : `type ${bytes[transport]}, code ${bytes[transport + 1]}`;
  }
  if (!hasPorts(protocol) || bytes.length < transport + 4) return null;
  const ports = `port ${readUint16(bytes, transport)} to port ${readUint16(bytes, transport + 2)}`;
  if (protocol !== Protocol.tcp || bytes.length < transport + 14) return ports;
  return `${ports}, flags ${formatTcpFlags(bytes[transport + 13]!)}`;
}

function endsText(packet: Packet): string {
  const ends = `${formatAddress(packet.family, packet.src)} to ${formatAddress(packet.family, packet.dst)}`;
  const transport = transportText(packet);
  return transport === null ? ends : `${ends}, ${transport}`;
}
