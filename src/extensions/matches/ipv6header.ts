import { Protocol } from '../../packet/protocol.ts';
import { defineMatch, type NameServices, UsageError } from '../contract.ts';
import { not } from '../words.ts';

/** `struct ip6t_ipv6header_info`. */
interface Ipv6headerMatch {
  /** Bits of `HEADERS`. */
  headers: number;
  invert: boolean;
  /** The headers must be there, others may be too. */
  soft: boolean;
}

const RAW = 255;

/** Bits of the headers (MASK_*), in the order in which they are listed. */
const HEADERS: readonly [protocol: number, bit: number][] = [
  [Protocol.hopByHop, 128],
  [Protocol.destinationOptions, 64],
  [Protocol.routing, 32],
  [Protocol.fragment, 16],
  [Protocol.ah, 8],
  [Protocol.esp, 4],
  [Protocol.noNextHeader, 2],
  [RAW, 1],
];
const NO_NEXT_HEADER = 2;
const UPPER_LAYER = 1;

/** Names besides those of /etc/protocols; of several the first is printed. */
const NAMES: readonly [name: string, protocol: number][] = [
  ['hop-by-hop', Protocol.hopByHop],
  ['protocol', RAW],
  ['hop', Protocol.hopByHop],
  ['dst', Protocol.destinationOptions],
  ['route', Protocol.routing],
  ['frag', Protocol.fragment],
  ['auth', Protocol.ah],
  ['esp', Protocol.esp],
  ['none', Protocol.noNextHeader],
  ['prot', RAW],
  ['0', Protocol.hopByHop],
  ['60', Protocol.destinationOptions],
  ['43', Protocol.routing],
  ['44', Protocol.fragment],
  ['51', Protocol.ah],
  ['50', Protocol.esp],
  ['59', Protocol.noNextHeader],
  ['255', RAW],
];

function parseHeaders(text: string, names: NameServices): number {
  let headers = 0;
  for (const word of text.split(',')) {
    if (word === '') continue;
    const protocol = names.protocolByName(word) ?? NAMES.find(([name]) => name === word)?.[1];
    if (protocol === undefined) throw new UsageError(`unknown header \`${word}' specified`);
    const header = HEADERS.find(([known]) => known === protocol);
    if (header === undefined) throw new UsageError(`unknown header \`${protocol}' specified`);
    headers |= header[1];
  }
  if (headers === 0) throw new UsageError('ip6t_ipv6header: cannot parse header names');
  return headers;
}

function headersText(headers: number, names: NameServices): string {
  const words = HEADERS.filter(([, bit]) => headers & bit).map(
    ([protocol]) =>
      (protocol === 0 ? null : names.protocolByNumber(protocol)) ?? NAMES.find(([, known]) => known === protocol)![0],
  );
  return words.length > 0 ? words.join(',') : 'NONE';
}

const HELP = `ipv6header match options:
[!] --header headers     Type of header to match, by name
                         names: hop,dst,route,frag,auth,esp,none,prot
                    long names: hop-by-hop,ipv6-opts,ipv6-route,
                                ipv6-frag,ah,esp,ipv6-nonxt,protocol
                       numbers: 0,60,43,44,51,50,59
--soft                    The header CONTAINS the specified extensions
`;

export const ipv6header = defineMatch<Ipv6headerMatch>({
  name: 'ipv6header',
  families: [6],
  options: [
    { name: 'header', type: 'string', invert: true, mandatory: true },
    { name: 'soft', type: 'none' },
  ],
  init: () => ({ headers: 0, invert: false, soft: false }),
  parse(data, option, { names }) {
    if (option.name === 'soft') {
      data.soft = true;
      return;
    }
    data.headers = parseHeaders(option.text, names);
    if (option.invert) data.invert = true;
  },
  save: (data, { names }) =>
    `${not(data.invert)} --header ${headersText(data.headers, names)}${data.soft ? ' --soft' : ''}`,
  print(data, { names, numeric }) {
    let text = ' ipv6header';
    if (data.headers !== 0 || data.invert) {
      text += ` flags:${data.invert ? '!' : ''}`;
      text += numeric
        ? `0x${data.headers.toString(16).toUpperCase().padStart(2, '0')}`
        : headersText(data.headers, names);
    }
    return data.soft ? `${text} soft` : text;
  },
  help: () => HELP,
  explain: (data, { names }) =>
    `the packet's headers are ${data.invert ? 'not ' : ''}${data.soft ? 'among others' : 'exactly'} ${headersText(data.headers, names)}`,
  pure: true,
  // `ipv6header_mt6` (net/ipv6/netfilter/ip6t_ipv6header.c)
  compile({ headers, invert, soft }) {
    return ({ bytes }) => {
      const found = headersOf(bytes);
      if (found < 0) return false;
      if (soft) return ((found ^ headers ^ (invert ? 0xff : 0)) & headers) === 0;
      return (found === headers) !== invert;
    };
  },
});

/** The bits of a packet's headers; -1 where the chain is cut off. */
function headersOf(bytes: Uint8Array): number {
  let next = bytes[6]!;
  let at = 40;
  let found = 0;
  for (;;) {
    const header = HEADERS.find(([protocol]) => protocol === next);
    if (header === undefined || next === RAW) break;
    if (next === Protocol.noNextHeader) return found | NO_NEXT_HEADER;
    if (bytes.length - at < 2) return -1;
    found |= header[1];
    if (next === Protocol.esp) return found;
    const length =
      next === Protocol.fragment ? 8 : next === Protocol.ah ? (bytes[at + 1]! + 2) * 4 : (bytes[at + 1]! + 1) * 8;
    next = bytes[at]!;
    at += length;
    if (at > bytes.length) {
      if (next === Protocol.noNextHeader || next === Protocol.esp) return found;
      break;
    }
  }
  return found | UPPER_LAYER;
}
