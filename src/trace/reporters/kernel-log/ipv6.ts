import { readUint16, readUint32 } from '../../../packet/bytes.ts';
import { extensionHeaderLength, isExtensionHeader } from '../../../packet/decode.ts';
import type { Packet } from '../../../packet/packet.ts';
import { Protocol } from '../../../packet/protocol.ts';
import { LogFlag, ownerAndMark } from './style.ts';
import { incomplete, type LinePart, tcpText, udpText } from './transport.ts';

const HEADER = 40;
const FRAGMENT_HEADER = 8;
const AH_HEADER = 12;
const ESP_HEADER = 8;
const ICMPV6_HEADER = 8;

/** All eight groups with all their digits. */
function address(bytes: Uint8Array, offset: number): string {
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2)
    groups.push(
      readUint16(bytes, offset + i)
        .toString(16)
        .padStart(4, '0'),
    );
  return groups.join(':');
}

/** The part of a line about an IPv6 packet: of the packet itself, or of the one quoted at `offset` of an ICMPv6 error. */
export function ipv6Text(packet: Packet, flags: number, offset = 0): string {
  const { bytes } = packet;
  if (offset + HEADER > bytes.length) return 'TRUNCATED';
  const first = readUint32(bytes, offset);
  let text = `SRC=${address(bytes, offset + 8)} DST=${address(bytes, offset + 24)} `;
  text += `LEN=${readUint16(bytes, offset + 4) + HEADER} TC=${(first >>> 20) & 0xff} `;
  text += `HOPLIMIT=${bytes[offset + 7]} FLOWLBL=${first & 0xfffff} `;
  const chain = extensionHeaders(bytes, offset, flags);
  text += chain.text;
  if (!chain.complete) return text;
  const { protocol, transport, later } = chain;
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
    case Protocol.icmpv6: {
      const part = icmpv6Text(packet, flags, offset, transport, later);
      text += part.text;
      if (!part.complete) return text;
      break;
    }
    default:
      text += `PROTO=${protocol} `;
  }
  return offset === 0 ? text + ownerAndMark(packet, flags) : text;
}

interface Chain extends LinePart {
  protocol: number;
  transport: number;
  /** Behind a fragment header with an offset: no transport header follows. */
  later: boolean;
}

function extensionHeaders(bytes: Uint8Array, ip: number, flags: number): Chain {
  const shown = (flags & LogFlag.ipOptions) !== 0;
  const chain: Chain = { text: '', complete: true, protocol: bytes[ip + 6]!, transport: ip + HEADER, later: false };
  const stop = (text: string): Chain => ({ ...chain, text: chain.text + text, complete: false });
  while (
    chain.protocol !== Protocol.noNextHeader &&
    (isExtensionHeader(chain.protocol) || chain.protocol === Protocol.esp)
  ) {
    const { protocol, transport } = chain;
    const room = bytes.length - transport;
    if (room < 2) return stop('TRUNCATED');
    if (shown) chain.text += 'OPT ( ';
    switch (protocol) {
      case Protocol.fragment: {
        if (room < FRAGMENT_HEADER) return stop('FRAG:TRUNCATED ');
        const field = readUint16(bytes, transport + 2);
        const id = readUint32(bytes, transport + 4)
          .toString(16)
          .padStart(8, '0');
        chain.text += `FRAG:${field & 0xfff8} ${field & 1 ? 'INCOMPLETE ' : ''}ID:${id} `;
        if (field & 0xfff8) chain.later = true;
        break;
      }
      case Protocol.ah:
        if (!shown) break;
        chain.text += 'AH ';
        if (chain.later) return stop(')');
        if (room < AH_HEADER) return stop(`${incomplete(bytes, transport)})`);
        chain.text += `SPI=0x${readUint32(bytes, transport + 4).toString(16)} `;
        break;
      case Protocol.esp:
        if (!shown) return stop('');
        if (chain.later) return stop('ESP )');
        if (room < ESP_HEADER) return stop(`ESP ${incomplete(bytes, transport)})`);
        return stop(`ESP SPI=0x${readUint32(bytes, transport).toString(16)} )`);
      default:
        if (chain.later) return stop(shown ? ')' : '');
    }
    if (shown) chain.text += ') ';
    chain.protocol = bytes[transport]!;
    chain.transport = transport + extensionHeaderLength(bytes, transport, protocol);
  }
  return chain;
}

function icmpv6Text(packet: Packet, flags: number, ip: number, offset: number, later: boolean): LinePart {
  const { bytes } = packet;
  let text = 'PROTO=ICMPv6 ';
  if (later) return { text, complete: true };
  if (offset + ICMPV6_HEADER > bytes.length) return { text: text + incomplete(bytes, offset), complete: false };
  const type = bytes[offset]!;
  text += `TYPE=${type} CODE=${bytes[offset + 1]} `;
  switch (type) {
    case 128:
    case 129:
      text += `ID=${readUint16(bytes, offset + 4)} SEQ=${readUint16(bytes, offset + 6)} `;
      break;
    case 1:
    case 2:
    case 3:
    case 4:
      if (type === 4)
        text += `POINTER=${readUint32(bytes, offset + 4)
          .toString(16)
          .padStart(8, '0')} `;
      if (ip === 0) text += `[${ipv6Text(packet, flags, offset + ICMPV6_HEADER)}] `;
      if (type === 2) text += `MTU=${readUint32(bytes, offset + 4)} `;
      break;
  }
  return { text, complete: true };
}
