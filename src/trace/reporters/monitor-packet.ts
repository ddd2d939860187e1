import type { HookState } from '../../datapath/hooks.ts';
import { formatAddress4, formatAddress6 } from '../../packet/address-text.ts';
import { readUint16, readUint32, toHex } from '../../packet/bytes.ts';
import type { Packet } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';

/** In the order in which they are printed; ECE and CWR are not. */
const FLAGS: readonly (readonly [number, string])[] = [
  [2, 'SYN '],
  [16, 'ACK '],
  [1, 'FIN '],
  [4, 'RST '],
  [8, 'PSH '],
  [32, 'URG '],
];
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const TCP_HEADER = 20;

/** A packet as `xtables-monitor --trace` prints it behind `PACKET: FAMILY ID`; it ends with a blank. */
export function monitoredPacket(packet: Packet, { inDevice, outDevice }: HookState): string {
  let text = '';
  if (inDevice !== null) text += `IN=${inDevice.name} `;
  if (outDevice !== null) text += `OUT=${outDevice.name} `;
  if (inDevice?.kind === 'loopback') text += 'LOOPBACK ';
  else if (inDevice !== null && packet.linkHeader !== null) text += linkText(packet.linkHeader);
  text += packet.family === 4 ? ipv4Text(packet) : ipv6Text(packet);
  return packet.mark === 0 ? text : `${text}MARK=0x${packet.mark.toString(16)} `;
}

function linkText(header: Uint8Array): string {
  const mac = (at: number): string => Array.from(header.subarray(at, at + 6), (byte) => byte.toString(16)).join(':');
  return `MACSRC=${mac(6)} MACDST=${mac(0)} MACPROTO=${toHex(header, 12, 14)} `;
}

function ipv4Text({ bytes }: Packet): string {
  const fragment = readUint16(bytes, 6);
  const header = (bytes[0]! & 15) * 4;
  let text = `SRC=${formatAddress4(readUint32(bytes, 12))} DST=${formatAddress4(readUint32(bytes, 16))} `;
  text += `LEN=${readUint16(bytes, 2)} TOS=0x${bytes[1]!.toString(16)} TTL=${bytes[8]} ID=${readUint16(bytes, 4)} `;
  if (fragment & 0x8000) text += 'CE ';
  if (fragment & 0x4000) text += 'DF ';
  if (fragment & 0x2000) text += 'MF ';
  if (fragment & 0x1fff) text += `FRAG:${fragment & 0x1fff} `;
  if (header > IPV4_HEADER) text += `OPT (${toHex(bytes, IPV4_HEADER, header).toUpperCase()}) `;
  return text + transportText(bytes, header, bytes[9]!);
}

/** Extension headers are not followed; the tool adds the length of an IPv4 header to that of the payload. */
function ipv6Text({ bytes, src, dst }: Packet): string {
  const first = readUint32(bytes, 0);
  const header = `SRC=${formatAddress6(src)} DST=${formatAddress6(dst)} LEN=${readUint16(bytes, 4) + IPV4_HEADER} TC=${(first >>> 20) & 0xff} `;
  const text = `${header}HOPLIMIT=${bytes[7]} FLOWLBL=${first & 0xfffff} `;
  return text + transportText(bytes, IPV6_HEADER, bytes[6]!);
}

/** Ports, also where a later fragment has other bytes in their place. */
function transportText(bytes: Uint8Array, at: number, protocol: number): string {
  const room = bytes.length - at;
  switch (protocol) {
    case Protocol.udp:
    case Protocol.udplite:
    case Protocol.sctp:
    case Protocol.dccp:
      return room < 4 ? '' : portsText(bytes, at);
    case Protocol.tcp: {
      if (room < TCP_HEADER) return '';
      const flags = FLAGS.map(([bit, name]) => (bytes[at + 13]! & bit ? name : ''));
      return portsText(bytes, at) + flags.join('');
    }
    default:
      return '';
  }
}

function portsText(bytes: Uint8Array, at: number): string {
  return `SPORT=${readUint16(bytes, at)} DPORT=${readUint16(bytes, at + 2)} `;
}
