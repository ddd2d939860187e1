import { PacketType } from '../../packet/packet.ts';
import { defineMatch, UsageError } from '../contract.ts';
import { not } from '../words.ts';

interface PkttypeMatch {
  type: number;
  invert: boolean;
}

/** Names; of several for one type the first is printed. */
const TYPES: readonly [string, number][] = [
  ['unicast', PacketType.host],
  ['broadcast', PacketType.broadcast],
  ['multicast', PacketType.multicast],
  ['otherhost', PacketType.otherHost],
  ['bcast', PacketType.broadcast],
  ['mcast', PacketType.multicast],
  ['host', PacketType.host],
];

const nameOf = (wanted: number): string => TYPES.find(([, type]) => type === wanted)?.[0] ?? String(wanted);

const HELP = `pkttype match options:
[!] --pkt-type packettype    match packet type
Valid packet types:
	unicast       		to us
	broadcast     		to all
	multicast     		to group
	otherhost     		to someone else

`;

export const pkttype = defineMatch<PkttypeMatch>({
  name: 'pkttype',
  families: [4, 6],
  options: [{ name: 'pkt-type', type: 'string', invert: true, mandatory: true }],
  init: () => ({ type: PacketType.host, invert: false }),
  parse(data, option) {
    const found = TYPES.find(([name]) => name === option.text.toLowerCase());
    if (found === undefined) throw new UsageError(`Bad packet type '${option.text}'`);
    data.type = found[1];
    data.invert = option.invert;
  },
  save: (data) => `${not(data.invert)} --pkt-type ${nameOf(data.type)}`,
  print: (data) => ` PKTTYPE ${data.invert ? '!' : ''}= ${nameOf(data.type)}`,
  help: () => HELP,
  explain: (data) => `on the link the packet is ${data.invert ? 'not ' : ''}${nameOf(data.type)}`,
  pure: true,
  fields: () => [],
  // `pkttype_mt` (net/netfilter/xt_pkttype.c): what the machine loops back to itself counts as multicast or broadcast.
  compile({ type, invert }, { family }) {
    return (packet) => {
      let own: number = packet.packetType;
      if (own === PacketType.loopback)
        own = family === 6 || packet.dst[0]! >>> 28 === 0xe ? PacketType.multicast : PacketType.broadcast;
      return (own === type) !== invert;
    };
  },
});
