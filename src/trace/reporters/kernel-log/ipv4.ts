import { formatAddress4 } from '../../../packet/address-text.ts';
import { readUint16, readUint32, toHex } from '../../../packet/bytes.ts';
import type { Packet } from '../../../packet/packet.ts';
import { Protocol } from '../../../packet/protocol.ts';
import { LogFlag, ownerAndMark } from './style.ts';
import { incomplete, tcpText, udpText } from './transport.ts';

const HEADER = 20;
const AH_HEADER = 12;
const ESP_HEADER = 8;
const ICMP_HEADER = 8;
/** Bytes that an ICMP message of a type must have; a type that is not here may have any number. */
const ICMP_LENGTHS: Readonly<Record<number, number>> = {
  0: 4,
  3: 8 + HEADER,
  4: 8 + HEADER,
  5: 8 + HEADER,
  8: 4,
  11: 8 + HEADER,
  12: 8 + HEADER,
  13: 20,
  14: 20,
  17: 12,
  18: 12,
};

/** The part of a line about an IPv4 packet: of the packet itself, or of the one quoted at `offset` of an ICMP error. */
export function ipv4Text(packet: Packet, flags: number, offset = 0): string {
  const { bytes } = packet;
  if (offset + HEADER > bytes.length) return 'TRUNCATED';
  const tos = bytes[offset + 1]!;
  const fragment = readUint16(bytes, offset + 6);
  const byte = (value: number): string => `0x${value.toString(16).toUpperCase().padStart(2, '0')}`;
  let text = `SRC=${formatAddress4(readUint32(bytes, offset + 12))} DST=${formatAddress4(readUint32(bytes, offset + 16))} `;
  text += `LEN=${readUint16(bytes, offset + 2)} TOS=${byte(tos & 0x1e)} PREC=${byte(tos & 0xe0)} `;
  text += `TTL=${bytes[offset + 8]} ID=${readUint16(bytes, offset + 4)} `;
  if (fragment & 0x8000) text += 'CE ';
  if (fragment & 0x4000) text += 'DF ';
  if (fragment & 0x2000) text += 'MF ';
  if (fragment & 0x1fff) text += `FRAG:${fragment & 0x1fff} `;
  const transport = offset + (bytes[offset]! & 15) * 4;
  if (flags & LogFlag.ipOptions && transport > offset + HEADER) {
    if (transport > bytes.length) return `${text}TRUNCATED`;
    text += `OPT (${toHex(bytes, offset + HEADER, transport).toUpperCase()}) `;
  }
  const later = (fragment & 0x1fff) !== 0;
  const protocol = bytes[offset + 9]!;
  switch (protocol) {
    case Protocol.tcp:
    case Protocol.udp:
    case Protocol.udplite: {
      const part =
        protocol === Protocol.tcp
          ? tcpText(bytes, transport, later, flags)
          : udpText(bytes, transport, later, protocol);
      text += part.text;
      if (!part.complete) return text;
      break;
    }
    case Protocol.icmp:
      text += icmpText(packet, flags, offset, transport, later);
      break;
    case Protocol.ah:
      if (!later) text += `PROTO=AH ${spiText(bytes, transport, AH_HEADER, 4)}`;
      break;
    case Protocol.esp:
      text += `PROTO=ESP ${later ? '' : spiText(bytes, transport, ESP_HEADER, 0)}`;
      break;
    default:
      text += `PROTO=${protocol} `;
  }
  return offset === 0 ? text + ownerAndMark(packet, flags) : text;
}

function spiText(bytes: Uint8Array, offset: number, length: number, spi: number): string {
  return offset + length > bytes.length
    ? incomplete(bytes, offset)
    : `SPI=0x${readUint32(bytes, offset + spi).toString(16)} `;
}

function icmpText(packet: Packet, flags: number, ip: number, offset: number, later: boolean): string {
  const { bytes } = packet;
  let text = 'PROTO=ICMP ';
  if (later) return text;
  if (offset + ICMP_HEADER > bytes.length) return text + incomplete(bytes, offset);
  const type = bytes[offset]!;
  const code = bytes[offset + 1]!;
  text += `TYPE=${type} CODE=${code} `;
  if (bytes.length - offset < (ICMP_LENGTHS[type] ?? 0)) return text + incomplete(bytes, offset);
  switch (type) {
    case 0:
    case 8:
      return `${text}ID=${readUint16(bytes, offset + 4)} SEQ=${readUint16(bytes, offset + 6)} `;
    case 12:
      return `${text}PARAMETER=${bytes[offset + 4]} `;
    case 3:
    case 4:
    case 5:
    case 11:
      if (type === 5) text += `GATEWAY=${formatAddress4(readUint32(bytes, offset + 4))} `;
      if (ip === 0) text += `[${ipv4Text(packet, flags, offset + ICMP_HEADER)}] `;
      return type === 3 && code === 4 ? `${text}MTU=${readUint16(bytes, offset + 6)} ` : text;
    default:
      return text;
  }
}
