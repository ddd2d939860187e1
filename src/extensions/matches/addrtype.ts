import type { AddressType } from '../../datapath/environment.ts';
import { Hook } from '../../datapath/hooks.ts';
import type { AddressWords } from '../../packet/family.ts';
import { defineMatch, UsageError } from '../contract.ts';
import { listWords, not } from '../words.ts';

/** `struct xt_addrtype_info_v1`; the masks have bit N for type N, 0 if that side is not asked for. */
interface AddrtypeMatch {
  source: number;
  destination: number;
  invertSource: boolean;
  invertDestination: boolean;
  limitIn: boolean;
  limitOut: boolean;
}

/** In the order of `enum rtattr_type_t` (RTN_*). */
const TYPES: readonly AddressType[] = [
  'UNSPEC',
  'UNICAST',
  'LOCAL',
  'BROADCAST',
  'ANYCAST',
  'MULTICAST',
  'BLACKHOLE',
  'UNREACHABLE',
  'PROHIBIT',
  'THROW',
  'NAT',
  'XRESOLVE',
];
const bit = (type: AddressType): number => 1 << TYPES.indexOf(type);
/** What ip6tables cannot test. */
const NOT_IN_IPV6 = bit('BROADCAST') | bit('BLACKHOLE') | bit('PROHIBIT') | bit('THROW') | bit('NAT') | bit('XRESOLVE');

function parseTypes(text: string): number {
  let mask = 0;
  let rest = text;
  for (;;) {
    const comma = rest.indexOf(',');
    const word = comma < 0 ? rest : rest.slice(0, comma);
    const index = word === '' ? -1 : TYPES.findIndex((name) => name.startsWith(word.toUpperCase()));
    if (index < 0) throw new UsageError(`addrtype: bad type ${comma < 0 ? `"${rest}"` : `\`${rest}'`}`);
    mask |= 1 << index;
    if (comma < 0) return mask;
    rest = rest.slice(comma + 1);
  }
}

function typesOf(mask: number): AddressType[] {
  return TYPES.filter((_name, i) => mask & (1 << i));
}

function typesText(mask: number): string {
  return typesOf(mask).join(',');
}

const HELP = `Address type match options:
 [!] --src-type type[,...]      Match source address type
 [!] --dst-type type[,...]      Match destination address type
     --limit-iface-in           Match only on the packet's incoming device
     --limit-iface-out          Match only on the packet's outgoing device

Valid types:           
                                UNSPEC
                                UNICAST
                                LOCAL
                                BROADCAST
                                ANYCAST
                                MULTICAST
                                BLACKHOLE
                                UNREACHABLE
                                PROHIBIT
                                THROW
                                NAT
                                XRESOLVE
`;

export const addrtype = defineMatch<AddrtypeMatch>({
  name: 'addrtype',
  families: [4, 6],
  options: [
    { name: 'src-type', type: 'string', invert: true },
    { name: 'dst-type', type: 'string', invert: true },
    { name: 'limit-iface-in', type: 'none', excludes: ['limit-iface-out'] },
    { name: 'limit-iface-out', type: 'none', excludes: ['limit-iface-in'] },
  ],
  init: () => ({
    source: 0,
    destination: 0,
    invertSource: false,
    invertDestination: false,
    limitIn: false,
    limitOut: false,
  }),
  parse(data, option) {
    switch (option.name) {
      case 'src-type':
        data.source = parseTypes(option.text);
        data.invertSource = option.invert;
        break;
      case 'dst-type':
        data.destination = parseTypes(option.text);
        data.invertDestination = option.invert;
        break;
      case 'limit-iface-in':
        data.limitIn = true;
        break;
      case 'limit-iface-out':
        data.limitOut = true;
        break;
    }
  },
  finish(_data, { seen }) {
    if (!seen.has('src-type') && !seen.has('dst-type'))
      throw new UsageError('addrtype: you must specify --src-type or --dst-type');
  },
  save(data) {
    let text = '';
    if (data.source) text += `${not(data.invertSource)} --src-type ${typesText(data.source)}`;
    if (data.destination) text += `${not(data.invertDestination)} --dst-type ${typesText(data.destination)}`;
    if (data.limitIn) text += ' --limit-iface-in';
    if (data.limitOut) text += ' --limit-iface-out';
    return text;
  },
  print(data) {
    let text = ' ADDRTYPE match';
    if (data.source) text += ` src-type ${data.invertSource ? '!' : ''}${typesText(data.source)}`;
    if (data.destination) text += ` dst-type ${data.invertDestination ? '!' : ''}${typesText(data.destination)}`;
    if (data.limitIn) text += ' limit-in';
    if (data.limitOut) text += ' limit-out';
    return text;
  },
  help: () => HELP,
  check(data, { family, hooks }) {
    if (data.limitIn && data.limitOut) return 'EINVAL';
    if (data.limitOut && (hooks.has(Hook.prerouting) || hooks.has(Hook.input))) return 'EINVAL';
    if (data.limitIn && (hooks.has(Hook.postrouting) || hooks.has(Hook.output))) return 'EINVAL';
    return family === 6 && (data.source | data.destination) & NOT_IN_IPV6 ? 'EINVAL' : null;
  },
  explain(data) {
    const on = data.limitIn ? ' on the input interface' : data.limitOut ? ' on the output interface' : '';
    const part = (side: string, mask: number, invert: boolean) =>
      `the ${side} address is ${invert ? 'not ' : ''}${listWords(typesOf(mask), 'or')}${on}`;
    const parts: string[] = [];
    if (data.source) parts.push(part('source', data.source, data.invertSource));
    if (data.destination) parts.push(part('destination', data.destination, data.invertDestination));
    return parts.join(' and ');
  },
  pure: true,
  fields: () => [],
  compile(data, { family, machine: { host } }) {
    const { invertSource, invertDestination, limitIn, limitOut } = data;
    const source = data.source ? typesOf(data.source) : null;
    const destination = data.destination ? typesOf(data.destination) : null;
    return (packet, at) => {
      const device = limitIn ? at.inDevice : limitOut ? at.outDevice : null;
      if (source !== null && host.addressMatches(family, words(packet.src), source, device) === invertSource)
        return false;
      if (destination === null) return true;
      return host.addressMatches(family, words(packet.dst), destination, device) !== invertDestination;
    };
  },
});

/** A packet's address as the host asks for it: read at once, never kept. */
function words(address: Uint32Array): AddressWords {
  return address as unknown as AddressWords;
}
