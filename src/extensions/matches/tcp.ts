import { readUint16 } from '../../packet/bytes.ts';
import type { Packet } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { parseUnsigned } from '../../syntax/numbers.ts';
import { defineMatch, type FieldTest, type MatchFunction, UsageError } from '../contract.ts';
import { explainPorts, listPorts, parsePortRange, portText, savePorts } from '../ports.ts';

/** `struct xt_tcp`. */
export interface TcpMatch {
  sourcePorts: [number, number];
  destinationPorts: [number, number];
  /** TCP option kind; 0: not tested. */
  option: number;
  flagMask: number;
  flagCompare: number;
  invertSource: boolean;
  invertDestination: boolean;
  invertFlags: boolean;
  invertOption: boolean;
}

const FLAGS: readonly [string, number][] = [
  ['FIN', 0x01],
  ['SYN', 0x02],
  ['RST', 0x04],
  ['PSH', 0x08],
  ['ACK', 0x10],
  ['URG', 0x20],
];
const FLAG_WORDS: ReadonlyMap<string, number> = new Map([...FLAGS, ['ALL', 0x3f], ['NONE', 0]]);

function parseFlags(text: string): number {
  let flags = 0;
  for (const word of text.split(',')) {
    if (word === '') continue;
    const flag = FLAG_WORDS.get(word.toUpperCase());
    if (flag === undefined) throw new UsageError(`Unknown TCP flag \`${word}'`);
    flags |= flag;
  }
  return flags;
}

function flagsText(flags: number): string {
  const words = FLAGS.filter(([, bit]) => flags & bit).map(([name]) => name);
  return words.length > 0 ? words.join(',') : 'NONE';
}

function once(seen: boolean, message: string): void {
  if (seen) throw new UsageError(message);
}

/** Whether nothing at all is asked for: only then nft keeps `-m tcp` as it is. */
export function tcpIsEmpty(data: TcpMatch): boolean {
  return (
    data.option === 0 &&
    data.flagMask === 0 &&
    data.flagCompare === 0 &&
    !(data.invertSource || data.invertDestination || data.invertFlags || data.invertOption) &&
    isAnyPort(data.sourcePorts) &&
    isAnyPort(data.destinationPorts)
  );
}

/** Whether iptables-nft writes this use as native expressions instead of the xt match. */
export function tcpIsNative(data: TcpMatch): boolean {
  return data.option === 0 && !data.invertOption && !tcpIsEmpty(data);
}

export function isAnyPort([min, max]: readonly [number, number]): boolean {
  return min === 0 && max === 0xffff;
}

const HELP = `tcp match options:
[!] --tcp-flags mask comp	match when TCP flags & mask == comp
				(Flags: SYN ACK FIN RST URG PSH ALL NONE)
[!] --syn			match when only SYN flag set
				(equivalent to --tcp-flags SYN,RST,ACK,FIN SYN)
[!] --source-port port[:port]
 --sport ...
				match source port(s)
[!] --destination-port port[:port]
 --dport ...
				match destination port(s)
[!] --tcp-option number        match if TCP option set
`;

export const tcp = defineMatch<TcpMatch>({
  name: 'tcp',
  families: [4, 6],
  style: 'classic',
  options: [
    { name: 'source-port', type: 'string', invert: true },
    { name: 'sport', type: 'string', invert: true, synonymOf: 'source-port' },
    { name: 'destination-port', type: 'string', invert: true },
    { name: 'dport', type: 'string', invert: true, synonymOf: 'destination-port' },
    { name: 'syn', type: 'none', invert: true },
    { name: 'tcp-flags', type: 'string', invert: true, second: true },
    { name: 'tcp-option', type: 'string', invert: true },
  ],
  init: () => ({
    sourcePorts: [0, 0xffff],
    destinationPorts: [0, 0xffff],
    option: 0,
    flagMask: 0,
    flagCompare: 0,
    invertSource: false,
    invertDestination: false,
    invertFlags: false,
    invertOption: false,
  }),
  parse(data, option, context) {
    const { seen } = context;
    switch (option.name) {
      case 'source-port':
        once(seen.has('source-port'), "Only one `--source-port' allowed");
        data.sourcePorts = parsePortRange(option.text, 'tcp', context.names);
        data.invertSource = option.invert;
        break;
      case 'destination-port':
        once(seen.has('destination-port'), "Only one `--destination-port' allowed");
        data.destinationPorts = parsePortRange(option.text, 'tcp', context.names);
        data.invertDestination = option.invert;
        break;
      case 'syn':
      case 'tcp-flags': {
        once(seen.has('syn') || seen.has('tcp-flags'), "Only one of `--syn' or `--tcp-flags'  allowed");
        if (option.name === 'syn') {
          data.flagMask = 0x17;
          data.flagCompare = 0x02;
        } else {
          if (typeof option.second !== 'string') throw new UsageError('--tcp-flags requires two args.');
          data.flagMask = parseFlags(option.text);
          data.flagCompare = parseFlags(option.second);
        }
        data.invertFlags = option.invert;
        break;
      }
      case 'tcp-option': {
        once(seen.has('tcp-option'), "Only one `--tcp-option' allowed");
        const kind = parseUnsigned(option.text, 1, 0xff);
        if (kind === null) throw new UsageError(`Bad TCP option "${option.text}"`);
        data.option = kind;
        data.invertOption = option.invert;
        break;
      }
    }
  },
  save(data) {
    const option = data.option !== 0 || data.invertOption;
    const flags = data.flagMask !== 0 || data.invertFlags;
    return (
      savePorts('sport', data.sourcePorts, data.invertSource) +
      savePorts('dport', data.destinationPorts, data.invertDestination) +
      (option ? `${data.invertOption ? ' !' : ''} --tcp-option ${data.option}` : '') +
      (flags
        ? `${data.invertFlags ? ' !' : ''} --tcp-flags ${flagsText(data.flagMask)} ${flagsText(data.flagCompare)}`
        : '')
    );
  },
  print(data, { numeric, names }) {
    const port = (value: number) => portText(value, 'tcp', numeric, names);
    let text = ' tcp';
    text += listPorts('spt', data.sourcePorts, data.invertSource, port);
    text += listPorts('dpt', data.destinationPorts, data.invertDestination, port);
    if (data.option !== 0 || data.invertOption) text += ` option=${data.invertOption ? '!' : ''}${data.option}`;
    if (data.flagMask !== 0 || data.invertFlags) {
      text += ` flags:${data.invertFlags ? '!' : ''}`;
      text += numeric
        ? `0x${hex2(data.flagMask)}/0x${hex2(data.flagCompare)}`
        : `${flagsText(data.flagMask)}/${flagsText(data.flagCompare)}`;
    }
    return text;
  },
  help: () => HELP,
  check(data, { rule, variant }) {
    if (variant === 'nft' && tcpIsNative(data)) return null;
    return rule.protocol === Protocol.tcp && !rule.protocolInvert ? null : 'EINVAL';
  },
  explain(data) {
    const parts: string[] = [];
    if (!isAnyPort(data.sourcePorts)) parts.push(`comes from ${explainPorts(data.sourcePorts, data.invertSource)}`);
    if (!isAnyPort(data.destinationPorts))
      parts.push(`goes to ${explainPorts(data.destinationPorts, data.invertDestination)}`);
    if (data.flagMask !== 0 || data.invertFlags) {
      const set = flagsText(data.flagCompare);
      const which = set === 'NONE' ? 'none' : `exactly ${set}`;
      parts.push(`of the flags ${flagsText(data.flagMask)} it has ${data.invertFlags ? 'not ' : ''}${which} set`);
    }
    if (data.option !== 0) parts.push(`it has ${data.invertOption ? 'no' : 'the'} TCP option ${data.option}`);
    return parts.length > 0 ? `the TCP segment ${parts.join(' and ')}` : 'the packet is TCP with a whole header';
  },
  pure: true,
  // A TCP option may be cut off: hotdrop.
  fields: (data) => (data.option === 0 ? portTests(data) : null),
  compile: (data, environment) =>
    environment.variant === 'nft' && tcpIsNative(data) ? compileNative(data) : compileMatch(data),
});

/** The port tests of a use that is not inverted, for the classifier. */
export function portTests(
  data: Pick<TcpMatch, 'sourcePorts' | 'destinationPorts' | 'invertSource' | 'invertDestination'>,
): FieldTest[] {
  const tests: FieldTest[] = [];
  if (!data.invertSource && !isAnyPort(data.sourcePorts))
    tests.push({ field: 'source-port', ranges: [data.sourcePorts] });
  if (!data.invertDestination && !isAnyPort(data.destinationPorts))
    tests.push({ field: 'destination-port', ranges: [data.destinationPorts] });
  return tests;
}

function hex2(value: number): string {
  return value.toString(16).toUpperCase().padStart(2, '0');
}

/** `tcp_mt` (net/netfilter/xt_tcpudp.c). */
function compileMatch(data: TcpMatch): MatchFunction {
  const [sourceMin, sourceMax] = data.sourcePorts;
  const [destinationMin, destinationMax] = data.destinationPorts;
  const { invertSource, invertDestination, invertFlags, invertOption, flagMask, flagCompare, option } = data;
  return (packet) => {
    if (packet.fragmentOffset !== 0) {
      // A fragment that begins 8 bytes in could overwrite the flags: dropped.
      // Of IPv6 the kernel compares bytes with units of eight, and finds none.
      if (packet.fragmentOffset === 8 && packet.family === 4) packet.hotdrop = true;
      return false;
    }
    const { bytes, transport } = packet;
    if (transport + 20 > bytes.length) {
      packet.hotdrop = true;
      return false;
    }
    const source = readUint16(bytes, transport);
    if ((source >= sourceMin && source <= sourceMax) === invertSource) return false;
    const destination = readUint16(bytes, transport + 2);
    if ((destination >= destinationMin && destination <= destinationMax) === invertDestination) return false;
    if (((bytes[transport + 13]! & flagMask) === flagCompare) === invertFlags) return false;
    if (option === 0) return true;
    const headerLength = (bytes[transport + 12]! >> 4) * 4;
    if (headerLength < 20 || transport + headerLength > bytes.length) {
      packet.hotdrop = true;
      return false;
    }
    return hasOption(bytes, transport + 20, transport + headerLength, option) !== invertOption;
  };
}

function hasOption(bytes: Uint8Array, start: number, end: number, option: number): boolean {
  for (let i = start; i < end; ) {
    const kind = bytes[i]!;
    if (kind === option) return true;
    // A length byte beyond the header is read as 0 by the kernel's zeroed copy only by chance; it ends the search here as there.
    i += kind < 2 ? 1 : (i + 1 < end ? bytes[i + 1]! : 1) || 1;
  }
  return false;
}

/**
 * What iptables-nft makes of it: payload loads that fail, without dropping, where the bytes are not there. The load of up to four
 * bytes (`nft_payload_fast_eval`) does not ask whether the packet is a later fragment: it reads what lies in the place of
 * a header (measured on Linux 6.18).
 */
function compileNative(data: TcpMatch): MatchFunction {
  const ports = compileNativePorts(data);
  const { flagMask, flagCompare, invertFlags } = data;
  return (packet, at) => {
    if (flagMask !== 0) {
      const offset = nativeOffset(packet) + 13;
      if (offset >= packet.bytes.length) return false;
      if (((packet.bytes[offset]! & flagMask) === flagCompare) === invertFlags) return false;
    }
    return ports(packet, at);
  };
}

/** Where nft takes the transport header to be: for later fragments of IPv6 no offset is set, so that loads read the IP header. */
function nativeOffset(packet: Packet): number {
  return packet.family === 6 && packet.fragmentOffset !== 0 ? 0 : packet.transport;
}

/** The port part of a native tcp or udp rule (`add_nft_tcpudp` in iptables' nft.c). */
export function compileNativePorts(
  data: Pick<TcpMatch, 'sourcePorts' | 'destinationPorts' | 'invertSource' | 'invertDestination'>,
): MatchFunction {
  const [sourceMin, sourceMax] = data.sourcePorts;
  const [destinationMin, destinationMax] = data.destinationPorts;
  const { invertSource, invertDestination } = data;
  const testSource = sourceMin !== 0 || sourceMax < 0xffff;
  const testDestination = destinationMin !== 0 || destinationMax < 0xffff;
  const single =
    sourceMin !== 0 &&
    sourceMin === sourceMax &&
    destinationMin !== 0 &&
    destinationMin === destinationMax &&
    invertSource === invertDestination;
  if (single) {
    // Both ports are compared as one 32-bit word: inverted, one differing port is enough.
    return (packet) => {
      const { bytes } = packet;
      const offset = nativeOffset(packet);
      if (offset + 4 > bytes.length) return false;
      const equal = readUint16(bytes, offset) === sourceMin && readUint16(bytes, offset + 2) === destinationMin;
      return equal !== invertSource;
    };
  }
  return (packet) => {
    const { bytes } = packet;
    const offset = nativeOffset(packet);
    if (testSource) {
      if (offset + 2 > bytes.length) return false;
      const port = readUint16(bytes, offset);
      if ((port >= sourceMin && port <= sourceMax) === invertSource) return false;
    }
    if (testDestination) {
      if (offset + 4 > bytes.length) return false;
      const port = readUint16(bytes, offset + 2);
      if ((port >= destinationMin && port <= destinationMax) === invertDestination) return false;
    }
    return true;
  };
}
