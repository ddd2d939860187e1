import { readUint16, readUint32, toHex } from '../../../packet/bytes.ts';
import { Protocol } from '../../../packet/protocol.ts';
import { LogFlag } from './style.ts';

/** A part of a line; `complete` is false where the kernel stops there. */
export interface LinePart {
  text: string;
  complete: boolean;
}

const TCP_HEADER = 20;
const UDP_HEADER = 8;
/** Bits of the flags octet, in the order in which they are printed. */
const TCP_FLAGS: readonly (readonly [string, number])[] = [
  ['CWR', 0x80],
  ['ECE', 0x40],
  ['URG', 0x20],
  ['ACK', 0x10],
  ['PSH', 0x08],
  ['RST', 0x04],
  ['SYN', 0x02],
  ['FIN', 0x01],
];

/** `INCOMPLETE [12 bytes] `: the header at `offset` does not fit. */
export function incomplete(bytes: Uint8Array, offset: number): string {
  // An unsigned difference: the header may begin behind the end.
  return `INCOMPLETE [${(bytes.length - offset) >>> 0} bytes] `;
}

export function tcpText(bytes: Uint8Array, offset: number, fragment: boolean, flags: number): LinePart {
  let text = 'PROTO=TCP ';
  if (fragment) return { text, complete: true };
  if (offset + TCP_HEADER > bytes.length) return { text: text + incomplete(bytes, offset), complete: false };
  text += `SPT=${readUint16(bytes, offset)} DPT=${readUint16(bytes, offset + 2)} `;
  if (flags & LogFlag.tcpSequence) text += `SEQ=${readUint32(bytes, offset + 4)} ACK=${readUint32(bytes, offset + 8)} `;
  text += `WINDOW=${readUint16(bytes, offset + 14)} `;
  const lengths = bytes[offset + 12]!;
  text += `RES=0x${((lengths & 0x0e) << 2).toString(16).padStart(2, '0')} `;
  if (lengths & 1) text += 'AE ';
  for (const [name, bit] of TCP_FLAGS) if (bytes[offset + 13]! & bit) text += `${name} `;
  text += `URGP=${readUint16(bytes, offset + 18)} `;
  const headerLength = (lengths >>> 4) * 4;
  if (flags & LogFlag.tcpOptions && headerLength > TCP_HEADER) {
    const end = offset + headerLength;
    if (end > bytes.length) return { text: `${text}OPT (TRUNCATED)`, complete: false };
    text += `OPT (${toHex(bytes, offset + TCP_HEADER, end).toUpperCase()}) `;
  }
  return { text, complete: true };
}

export function udpText(bytes: Uint8Array, offset: number, fragment: boolean, protocol: number): LinePart {
  let text = protocol === Protocol.udp ? 'PROTO=UDP ' : 'PROTO=UDPLITE ';
  if (fragment) return { text, complete: true };
  if (offset + UDP_HEADER > bytes.length) return { text: text + incomplete(bytes, offset), complete: false };
  text += `SPT=${readUint16(bytes, offset)} DPT=${readUint16(bytes, offset + 2)} LEN=${readUint16(bytes, offset + 4)} `;
  return { text, complete: true };
}
