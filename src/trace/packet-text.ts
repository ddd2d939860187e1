import { readUint16 } from '../packet/bytes.ts';
import { decode } from '../packet/decode.ts';
import type { Family } from '../packet/family.ts';
import { formatEnd } from '../packet/notation/format.ts';
import { icmpName } from '../packet/notation/icmp-types.ts';
import { protocolWord } from '../packet/notation/protocols.ts';
import { formatTcpFlags } from '../packet/notation/tcp-flags.ts';
import { Packet } from '../packet/packet.ts';
import { hasPorts, Protocol } from '../packet/protocol.ts';
import { tosOf, ttlOf } from '../packet/rewrite.ts';

/** A packet in a few words: `tcp 10.0.0.5:40000 > 203.0.113.10:80 S, ttl 64, 60 bytes`. */
export function packetText(bytes: Uint8Array): string {
  const version = (bytes[0] ?? 0) >> 4;
  if ((version !== 4 && version !== 6) || bytes.length < (version === 4 ? 20 : 40)) {
    return `${bytes.length} bytes that are no IP packet`;
  }
  const family: Family = version;
  const packet = new Packet(family, bytes);
  decode(packet);
  const { protocol, transport, fragmentOffset } = packet;
  const whole = fragmentOffset === 0;
  const ports = whole && hasPorts(protocol) && bytes.length >= transport + 4;
  const address = (words: Uint32Array, at: number): string =>
    formatEnd(family, [words[0]!, words[1]!, words[2]!, words[3]!], ports ? readUint16(bytes, at) : null);
  let text = `${protocol < 0 ? 'IPv6' : protocolWord(protocol)} ${address(packet.src, transport)} > ${address(packet.dst, transport + 2)}`;
  if (whole && protocol === Protocol.tcp && bytes.length >= transport + 14) {
    text += ` ${formatTcpFlags(bytes[transport + 13]!)}`;
  } else if (whole && (protocol === Protocol.icmp || protocol === Protocol.icmpv6) && bytes.length >= transport + 2) {
    const [type, code] = [bytes[transport]!, bytes[transport + 1]!];
    text += ` ${icmpName(protocol === Protocol.icmp ? 4 : 6, type, code) ?? `${type}/${code}`}`;
  }
  if (!whole || packet.moreFragments) text += ` fragment at ${fragmentOffset}${packet.moreFragments ? '+' : ''}`;
  const tos = tosOf(packet);
  return `${text}, ttl ${ttlOf(packet)}${tos === 0 ? '' : `, tos 0x${tos.toString(16)}`}, ${bytes.length} bytes`;
}
