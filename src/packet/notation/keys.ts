import { parseAddress } from '../address-text.ts';
import { fromHex } from '../bytes.ts';
import { Protocol } from '../protocol.ts';
import type { ExtensionHeader } from './description.ts';
import { icmpRestKind } from './icmp-types.ts';
import {
  checksumKey,
  described,
  flag,
  hexKey,
  icmpRest,
  type Key,
  macKey,
  numeric,
  parseNumber,
  tcpOption,
} from './key.ts';
import { parseTcpFlags } from './tcp-flags.ts';
import { parseTime } from './time.ts';
import { textBytes } from './words.ts';

/** Names of DSCP code points (IANA registry; RFC 2474, 2597, 3246, 5865, 8622). */
const DSCP: Readonly<Record<string, number>> = { be: 0, ef: 46, va: 44, 'voice-admit': 44, le: 1 };

function parseDscp(text: string): number {
  const name = text.toLowerCase();
  if (Object.hasOwn(DSCP, name)) return DSCP[name]!;
  const selector = /^cs([0-7])$/.exec(name);
  if (selector !== null) return Number(selector[1]) * 8;
  const assured = /^af([1-4])([1-3])$/.exec(name);
  if (assured !== null) return Number(assured[1]) * 8 + Number(assured[2]) * 2;
  return parseNumber(text, 63);
}

const ECN: Readonly<Record<string, number>> = { 'not-ect': 0, 'ect(1)': 1, ect1: 1, 'ect(0)': 2, ect0: 2, ce: 3 };

const EXTENSIONS: Readonly<Record<string, number>> = {
  hopopts: Protocol.hopByHop,
  hop: Protocol.hopByHop,
  routing: Protocol.routing,
  rt: Protocol.routing,
  frag: Protocol.fragment,
  ah: Protocol.ah,
  dstopts: Protocol.destinationOptions,
  dst: Protocol.destinationOptions,
};

/** Extension headers: names with, after a colon, the bytes behind the next-header byte; without them harmless padding. */
function parseExtensions(text: string): ExtensionHeader[] | null {
  const headers: ExtensionHeader[] = [];
  for (const part of text.split(',')) {
    const [name = '', hex] = part.split(':', 2);
    const kind = Object.hasOwn(EXTENSIONS, name) ? EXTENSIONS[name]! : parseNumber(name, 255);
    if (kind < 0) return null;
    const body = hex === undefined ? defaultExtension(kind) : fromHex(hex);
    if (body === null || (body.length + 1) % (kind === Protocol.ah ? 4 : 8) !== 0) return null;
    headers.push({ kind, body });
  }
  return headers;
}

function defaultExtension(kind: number): Uint8Array {
  // A fragment header is filled in from frag, mf and id.
  if (kind === Protocol.fragment) return new Uint8Array(7);
  if (kind === Protocol.ah)
    return Uint8Array.from([4, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, ...new Array<number>(11).fill(0)]);
  // Routing type 4 (segment routing) with nothing left to visit, or PadN.
  return kind === Protocol.routing ? Uint8Array.from([0, 4, 0, 0, 0, 0, 0]) : Uint8Array.from([0, 1, 4, 0, 0, 0, 0]);
}
const TCP = [Protocol.tcp];
const ICMP: readonly number[] = [Protocol.icmp, Protocol.icmpv6];
const WITH_PORTS: readonly number[] = [Protocol.tcp, Protocol.udp, Protocol.udplite, Protocol.sctp, Protocol.dccp];

/** All keys, in the order in which the documentation and the printer have them. */
export const KEYS: readonly Key[] = [
  {
    name: 'in',
    value: 'the name of an interface, or "local"',
    meaning: 'Interface where the packet arrives; `local`: the machine sends it.',
    read(value, packet) {
      packet.in = value;
      return /^\S{1,15}$/.test(value);
    },
  },
  {
    name: 'out',
    value: 'the name of an interface',
    meaning: 'Interface by which it is to leave; alone: the machine sends it.',
    read(value, packet) {
      packet.out = value;
      return /^\S{1,15}$/.test(value);
    },
  },
  {
    name: 'time',
    value: 'seconds since the epoch, a date like 2026-01-31T08:00:00, or +30s after the packet before',
    meaning: 'When it comes: seconds since the epoch, a UTC date, or `+30s`, `+500ms`, `+2h` after the one before.',
    read(value, packet) {
      const time = parseTime(value);
      if (time !== null) packet.time = time;
      return time !== null;
    },
  },
  numeric('ttl', 'ttl', 255, 'Time to live, hop limit (64).', { aliases: ['hl', 'hoplimit'] }),
  numeric('tos', 'tos', 255, 'TOS octet, traffic class (0).', { aliases: ['tc', 'tclass'] }),
  {
    name: 'dscp',
    value: 'a number from 0 to 63 or a class like ef, af21, cs3',
    meaning: 'DSCP, the upper six bits of the TOS octet.',
    read(value, packet) {
      const dscp = parseDscp(value);
      packet.tos = ((packet.tos ?? 0) & 3) | (dscp << 2);
      return dscp >= 0;
    },
  },
  {
    name: 'ecn',
    value: 'a number from 0 to 3, or ect0, ect1, ce',
    meaning: 'ECN, the lower two bits of the TOS octet.',
    read(value, packet) {
      const name = value.toLowerCase();
      const ecn = Object.hasOwn(ECN, name) ? ECN[name]! : parseNumber(value, 3);
      packet.tos = ((packet.tos ?? 0) & 0xfc) | ecn;
      return ecn >= 0;
    },
  },
  numeric('ipid', 'ipId', 0xffffffff, 'Identification of IPv4, or of the IPv6 fragment header (0).'),
  flag('df', 'dontFragment', 'Do not fragment (0).'),
  flag('mf', 'moreFragments', 'More fragments follow (0).'),
  {
    name: 'frag',
    value: 'an offset in bytes, a multiple of 8, to 65528',
    meaning: 'Fragment offset in bytes; what follows the IP header is then only payload.',
    read(value, packet) {
      const offset = parseNumber(value, 65528);
      packet.fragmentOffset = offset;
      return offset >= 0 && offset % 8 === 0;
    },
  },
  numeric('flow', 'flowLabel', 0xfffff, 'Flow label (0).', { family: 6 }),
  {
    name: 'ext',
    value: 'names like hopopts,dstopts,routing,frag,ah, each with :HEX if wanted (the header behind its first byte)',
    meaning: 'Extension headers in order, e.g. `ext=hopopts,dstopts:000104000000`.',
    family: 6,
    read(value, packet) {
      const headers = parseExtensions(value);
      if (headers !== null) packet.extensions = headers;
      return headers !== null;
    },
  },
  hexKey('options', 'ipOptions', 'IP options, padded to whole words.', { family: 4 }),
  numeric('version', 'version', 15, 'Version field, if not the right one.'),
  numeric('ihl', 'headerWords', 15, 'Header length field in words, if not the right one.', { family: 4 }),
  numeric('totlen', 'totalLength', 0xffff, 'Total length (IPv6: payload length) field, if not the right one.'),
  checksumKey('ipchecksum', 'ipChecksum', 'IP header checksum, if not the right one.', { family: 4 }),

  numeric('sport', 'sourcePort', 0xffff, 'Source port (40000).', { protocols: WITH_PORTS }),
  numeric('dport', 'destinationPort', 0xffff, 'Destination port (80; UDP 53).', { protocols: WITH_PORTS }),
  {
    name: 'flags',
    value: 'letters of FSRPAUEC, names like SYN,ACK, a number, or none',
    meaning: 'TCP flags (S); most simply as a word after the addresses.',
    protocols: TCP,
    read(value, packet) {
      const flags = parseTcpFlags(value);
      packet.tcpFlags = flags;
      return flags >= 0;
    },
  },
  numeric('seq', 'sequence', 0xffffffff, 'TCP sequence number (1); ICMP: sequence number of an echo (0 to 65535).', {
    protocols: [Protocol.tcp, Protocol.icmp, Protocol.icmpv6],
    read(value, packet) {
      const number = parseNumber(value, packet.protocol === Protocol.tcp ? 0xffffffff : 0xffff);
      if (packet.protocol === Protocol.tcp) packet.sequence = number;
      else packet.icmpRest = (((packet.icmpRest ?? 0) & 0xffff0000) | number) >>> 0;
      return number >= 0;
    },
  }),
  numeric('ack', 'acknowledgement', 0xffffffff, 'Acknowledgement number (1 with the ACK flag, else 0).', {
    protocols: TCP,
  }),
  numeric('win', 'window', 0xffff, 'Window (64240).', { aliases: ['window'], protocols: TCP }),
  numeric('urg', 'urgent', 0xffff, 'Urgent pointer (0).', { protocols: TCP }),
  tcpOption('mss', 'a number from 0 to 65535', 'TCP option: maximum segment size.'),
  tcpOption('wscale', 'a number from 0 to 255', 'TCP option: window scale.'),
  tcpOption('sackok', '1', 'TCP option: selective acknowledgement permitted.'),
  tcpOption('sack', 'blocks like 100-200,300-400', 'TCP option: selective acknowledgement.'),
  tcpOption('ts', 'two numbers like 100:0', 'TCP option: timestamp and its echo.'),
  tcpOption('nop', 'how many', 'TCP option: padding.'),
  hexKey('tcpoptions', 'tcpOptions', 'TCP options in bytes.', { protocols: TCP }),
  numeric('doff', 'dataOffset', 15, 'Data offset field in words, if not the right one.', { protocols: TCP }),
  numeric('udplen', 'udpLength', 0xffff, 'Length field, if not the right one (UDPlite: coverage).', {
    protocols: [Protocol.udp, Protocol.udplite],
  }),
  numeric('type', 'icmpType', 255, 'ICMP type (echo request); most simply as a word: `port-unreachable`, `3/3`.', {
    protocols: ICMP,
  }),
  numeric('code', 'icmpCode', 255, 'ICMP code (0).', { protocols: ICMP }),
  {
    name: 'id',
    value: 'a number from 0 to 65535',
    meaning: 'Identifier of an ICMP echo; for all else that of the IP header (0).',
    read(value, packet) {
      const isEcho =
        ICMP.includes(packet.protocol) &&
        icmpRestKind(packet.family, packet.icmpType ?? (packet.family === 4 ? 8 : 128), packet.icmpCode ?? 0) ===
          'echo';
      const number = parseNumber(value, isEcho || packet.family === 4 ? 0xffff : 0xffffffff);
      if (isEcho) packet.icmpRest = (((packet.icmpRest ?? 0) & 0xffff) | (number << 16)) >>> 0;
      else packet.ipId = number;
      return number >= 0;
    },
  },
  icmpRest('mtu', 'MTU of "fragmentation needed" and "packet too big".', (value) => value),
  icmpRest('pointer', 'Pointer of "parameter problem".', (value, packet) =>
    packet.family === 4 ? value << 24 : value,
  ),
  {
    name: 'gateway',
    value: 'an IPv4 address',
    meaning: 'Gateway of an ICMP redirect.',
    protocols: [Protocol.icmp],
    read(value, packet) {
      const address = parseAddress(value);
      if (address?.family !== 4) return false;
      packet.icmpRest = address.words[0];
      return true;
    },
  },
  numeric('rest', 'icmpRest', 0xffffffff, 'The four bytes after the ICMP checksum.', { protocols: ICMP }),
  numeric('vtag', 'verificationTag', 0xffffffff, 'SCTP verification tag (0).', { protocols: [Protocol.sctp] }),
  numeric('spi', 'spi', 0xffffffff, 'SPI of ESP and AH (256).', { protocols: [Protocol.esp, Protocol.ah] }),
  checksumKey('checksum', 'checksum', "The transport's checksum, if not the right one.", { aliases: ['cksum'] }),
  {
    name: 'data',
    value: 'text, in double quotes if it has blanks',
    meaning: 'Payload as text: `data="GET / HTTP/1.0\\r\\n"`; `\\xHH` for any byte.',
    read(value, packet) {
      packet.payload = textBytes(value);
      return true;
    },
  },
  hexKey('hex', 'payload', 'Payload in hexadecimal.'),
  {
    name: 'len',
    value: 'a number of bytes to 65495',
    meaning: 'Length of the payload: zeros, or what `data` or `hex` before it gave, cut or filled up.',
    read(value, packet) {
      const length = parseNumber(value, 65495);
      if (length < 0) return false;
      const payload = new Uint8Array(length);
      payload.set((packet.payload ?? payload).subarray(0, length));
      packet.payload = payload;
      return true;
    },
  },

  macKey('srcmac', 'sourceMac', "The sender's MAC address."),
  macKey('dstmac', 'destinationMac', "The receiver's MAC address."),
  {
    name: 'pkttype',
    value: 'host, broadcast, multicast or otherhost',
    meaning: 'Whom the frame is for: gives it a destination MAC of that kind.',
    read(value, packet) {
      const types = ['host', 'broadcast', 'multicast', 'otherhost'] as const;
      const type = types.find((name) => name === value.toLowerCase() || (value === 'unicast' && name === 'host'));
      if (type !== undefined) packet.packetType = type;
      return type !== undefined;
    },
  },
  numeric('mark', 'mark', 0xffffffff, 'Packet mark when the machine sends it (SO_MARK).'),
  numeric('uid', 'uid', 0xffffffff, 'User of the sending process (0).'),
  numeric('gid', 'gid', 0xffffffff, 'Group of the sending process (0).'),
  numeric('pid', 'pid', 0x7fffffff, 'Number of the sending process.'),
  {
    name: 'cgroup',
    value: 'a path',
    meaning: 'Control group of the sending process.',
    read(value, packet) {
      packet.cgroup = value;
      return value !== '';
    },
  },
  {
    name: 'groups',
    value: 'numbers like 100,101',
    meaning: 'Supplementary groups of the sending process.',
    read(value, packet) {
      packet.groups = value.split(',').map((part) => parseNumber(part, 0xffffffff));
      return !packet.groups.includes(-1);
    },
  },
  numeric('classid', 'classId', 0xffffffff, 'net_cls class of the sending process (`-m cgroup --cgroup`).'),
  {
    name: 'cpu',
    value: 'a number from 0 to 8191',
    meaning: 'Processor that handles it (`-m cpu`); 0.',
    read(value, packet) {
      packet.described = { ...packet.described, cpu: value };
      return /^\d{1,4}$/.test(value) && Number(value) <= 8191;
    },
  },
  described(
    'policy',
    'IPsec policy that it comes or goes by (`-m policy`): PROTO/MODE/SRC/DST/REQID/SPI, several with commas.',
  ),
  described('ipvs', '1: it belongs to a virtual server (`-m ipvs`); with `vaddr`, `vport`, `vportctl`, `vmethod`.'),
  described('vaddr', 'Address of the virtual server.'),
  described('vport', 'Port of the virtual server.'),
  described('vportctl', 'Port of its controlling connection.'),
  described('vmethod', 'How it forwards: GATE, IPIP or MASQ (MASQ).'),
];
