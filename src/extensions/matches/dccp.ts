import { readUint16 } from '../../packet/bytes.ts';
import type { Packet } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { defineMatch, UsageError } from '../contract.ts';
import { explainPorts, fitsPorts, listPorts, type PortTest, portText } from '../ports.ts';
import { not, rangeText } from '../words.ts';

/** `struct xt_dccp_info`: each part is null if it is not asked for. */
interface DccpMatch {
  source: PortTest | null;
  destination: PortTest | null;
  /** Bit N for packet type N. */
  types: { mask: number; invert: boolean } | null;
  option: { kind: number; invert: boolean } | null;
}

const TYPES: readonly string[] = [
  'REQUEST',
  'RESPONSE',
  'DATA',
  'ACK',
  'DATAACK',
  'CLOSEREQ',
  'CLOSE',
  'RESET',
  'SYNC',
  'SYNCACK',
  'INVALID',
];
const INVALID = 1 << 10;
/** INVALID stands for the types 11 to 15 too. */
const OTHER_INVALID = 0xf800;

function parseTypes(text: string): number {
  let mask = 0;
  for (const word of text.split(',')) {
    if (word === '') continue;
    const index = TYPES.indexOf(word.toUpperCase());
    if (index < 0) throw new UsageError(`Unknown DCCP type \`${word}'`);
    mask |= 1 << index;
  }
  return mask & INVALID ? mask | OTHER_INVALID : mask;
}

function typesText(mask: number, numeric: boolean): string {
  const words: (string | number)[] = [];
  for (let i = 0; i < 16; i++) {
    if ((mask & (1 << i)) === 0) continue;
    words.push(numeric ? i : TYPES[i]!);
    if (!numeric && 1 << i === INVALID) break;
  }
  return words.join(',');
}

/** Bytes of the header before the options, by packet type (`__dccp_hdr_len`). */
function headerLength(type: number, extended: boolean): number {
  const basic = extended ? 16 : 12;
  switch (type) {
    case 2:
      return basic;
    case 3:
    case 4:
    case 5:
    case 6:
    case 8:
    case 9:
      return basic + 8;
    case 0:
      return basic + 4;
    default:
      return basic + 12;
  }
}

function hasOption(packet: Packet, kind: number): boolean {
  const { bytes, transport } = packet;
  const start = headerLength((bytes[transport + 8]! >> 1) & 15, (bytes[transport + 8]! & 1) !== 0);
  const end = bytes[transport + 4]! * 4;
  if (end < start || transport + end > bytes.length) {
    if (end !== start) packet.hotdrop = true;
    return false;
  }
  for (let i = transport + start; i < transport + end; ) {
    const option = bytes[i]!;
    if (option === kind) return true;
    i += option < 2 ? 1 : (i + 1 < transport + end ? bytes[i + 1]! : 1) || 1;
  }
  return false;
}

function saveText({ source, destination, types, option }: DccpMatch, stored: boolean): string {
  let text = '';
  if (source) text += `${not(source.invert)} --sport ${rangeText(source.ports)}`;
  if (destination) text += `${not(destination.invert)} --dport ${rangeText(destination.ports)}`;
  if (types) text += `${not(types.invert)} --dccp-types ${typesText(types.mask, false) || (stored ? '""' : '')}`;
  if (option) text += `${not(option.invert)} --dccp-option ${option.kind}`;
  return text;
}

const HELP = `dccp match options
[!] --source-port port[:port]                          match source port(s)
 --sport ...
[!] --destination-port port[:port]                     match destination port(s)
 --dport ...
[!] --dccp-types type[,...]                            match when packet is one of the given types
[!] --dccp-option option                               match if option (by number!) is set
`;

export const dccp = defineMatch<DccpMatch>({
  name: 'dccp',
  families: [4, 6],
  options: [
    { name: 'source-port', type: 'port-range', invert: true },
    { name: 'sport', type: 'port-range', invert: true, synonymOf: 'source-port' },
    { name: 'destination-port', type: 'port-range', invert: true },
    { name: 'dport', type: 'port-range', invert: true, synonymOf: 'destination-port' },
    { name: 'dccp-types', type: 'string', invert: true },
    { name: 'dccp-option', type: 'uint8', invert: true, min: 1, max: 255 },
  ],
  init: () => ({ source: null, destination: null, types: null, option: null }),
  parse(data, option) {
    const { invert, numbers } = option;
    switch (option.name) {
      case 'source-port':
        data.source = { ports: [numbers[0]!, numbers[1] ?? numbers[0]!], invert };
        break;
      case 'destination-port':
        data.destination = { ports: [numbers[0]!, numbers[1] ?? numbers[0]!], invert };
        break;
      case 'dccp-types':
        data.types = { mask: parseTypes(option.text), invert };
        break;
      case 'dccp-option':
        data.option = { kind: option.number, invert };
        break;
    }
  },
  save: (data) => saveText(data, false),
  store: (data) => saveText(data, true),
  print({ source, destination, types, option }, { numeric, names }) {
    const port = (value: number) => portText(value, 'dccp', numeric, names);
    let text = ' dccp';
    if (source) text += listPorts('spt', source.ports, source.invert, port);
    if (destination) text += listPorts('dpt', destination.ports, destination.invert, port);
    if (types) text += `${not(types.invert)} ${typesText(types.mask, numeric)}`;
    if (option) text += ` option=${option.invert ? '!' : ''}${option.kind}`;
    return text;
  },
  help: () => HELP,
  check: (_data, { rule }) => (rule.protocol === Protocol.dccp && !rule.protocolInvert ? null : 'EINVAL'),
  explain({ source, destination, types, option }) {
    const parts: string[] = [];
    if (source) parts.push(`comes from ${explainPorts(source.ports, source.invert)}`);
    if (destination) parts.push(`goes to ${explainPorts(destination.ports, destination.invert)}`);
    if (types) parts.push(`is ${types.invert ? 'not ' : ''}of type ${typesText(types.mask, false)}`);
    if (option) parts.push(`has ${option.invert ? 'no' : 'the'} option ${option.kind}`);
    return `the DCCP packet ${parts.length > 0 ? parts.join(' and ') : 'has a whole header'}`;
  },
  pure: true,
  // `dccp_mt` (net/netfilter/xt_dccp.c)
  compile({ source, destination, types, option }) {
    return (packet) => {
      if (packet.fragmentOffset !== 0) return false;
      const { bytes, transport } = packet;
      if (transport + 12 > bytes.length) {
        packet.hotdrop = true;
        return false;
      }
      if (source !== null && !fitsPorts(readUint16(bytes, transport), source)) return false;
      if (destination !== null && !fitsPorts(readUint16(bytes, transport + 2), destination)) return false;
      if (types !== null) {
        const type = (bytes[transport + 8]! >> 1) & 15;
        if (((types.mask & (1 << type)) !== 0) === types.invert) return false;
      }
      return option === null || hasOption(packet, option.kind) !== option.invert;
    };
  },
});
