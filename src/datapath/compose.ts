import { readUint16, writeUint16 } from '../packet/bytes.ts';
import { internetChecksum, transportChecksum } from '../packet/checksum.ts';
import { decode } from '../packet/decode.ts';
import type { Family } from '../packet/family.ts';
import { buildIpv4 } from '../packet/ipv4.ts';
import { buildIpv6 } from '../packet/ipv6.ts';
import { Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';
import { buildTcp, type TcpHeader } from '../packet/tcp.ts';

/** Header fields of a packet that the machine makes; what is left out has the value that Linux gives its own answers. */
export interface HeaderFields {
  source: ArrayLike<number>;
  destination: ArrayLike<number>;
  protocol: number;
  tos?: number;
  /** Default 64. */
  ttl?: number;
  /** IPv4. */
  identification?: number;
  dontFragment?: boolean;
  /** IPv4 options, padded to a multiple of four bytes. */
  options?: Uint8Array;
}

/** A packet of the machine itself: header, `payload` behind it, checksums set (TCP, UDP, ICMP, ICMPv6). */
export function compose(family: Family, header: HeaderFields, payload: Uint8Array): Packet {
  const { source, destination, protocol } = header;
  const bytes =
    family === 4
      ? buildIpv4({ ...header, source: source[0]!, destination: destination[0]! }, payload)
      : buildIpv6(
          { source, destination, nextHeader: protocol, trafficClass: header.tos, hopLimit: header.ttl },
          payload,
        );
  const start = bytes.length - payload.length;
  const at = start + checksumAt(protocol);
  if (at > start) {
    writeUint16(bytes, at, 0);
    const sum =
      protocol === Protocol.icmp
        ? internetChecksum(bytes, start, bytes.length)
        : transportChecksum(
            bytes,
            start,
            bytes.length,
            wordsOf(family, source),
            wordsOf(family, destination),
            protocol,
          );
    writeUint16(bytes, at, sum);
  }
  const packet = new Packet(family, bytes);
  decode(packet);
  packet.local = true;
  packet.kernelMade = true;
  return packet;
}

/** A TCP segment back to where `cause` came from; `header`: what is not Linux's usual choice. */
export function composeTcpAnswer(
  { family, bytes, transport, src, dst }: Packet,
  segment: Omit<TcpHeader, 'sourcePort' | 'destinationPort'>,
  header: Pick<HeaderFields, 'tos' | 'options'> = {},
): Packet {
  return compose(
    family,
    { source: dst.slice(), destination: src.slice(), protocol: Protocol.tcp, dontFragment: true, ...header },
    buildTcp({
      sourcePort: readUint16(bytes, transport + 2),
      destinationPort: readUint16(bytes, transport),
      ...segment,
    }),
  );
}

function checksumAt(protocol: number): number {
  switch (protocol) {
    case Protocol.tcp:
      return 16;
    case Protocol.udp:
      return 6;
    case Protocol.icmp:
    case Protocol.icmpv6:
      return 2;
    default:
      return 0;
  }
}

function wordsOf(family: Family, address: ArrayLike<number>): ArrayLike<number> {
  return family === 4 ? [address[0]!, 0, 0, 0] : address;
}
