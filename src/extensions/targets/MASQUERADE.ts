import { Direction } from '../../conntrack/connection.ts';
import { Hook } from '../../datapath/hooks.ts';
import { Verdict } from '../../datapath/verdicts.ts';
import type { AddressWords } from '../../packet/family.ts';
import { defineTarget } from '../contract.ts';
import { rangeWords } from '../words.ts';
import { explainFlags, type NatTarget, natRange, natTexts, newNatTarget, readFlag, readPorts } from './nat-range.ts';
import { type Placement, refusePlacement } from './placement.ts';

const HELP = `MASQUERADE target options:
 --to-ports <port>[-<port>]
				Port (range) to map to.
 --random
				Randomize source port.
 --random-fully
				Fully randomize source port.
`;

const PLACEMENT: Placement = { table: 'nat', hooks: [Hook.postrouting] };

export const MASQUERADE = defineTarget<NatTarget>({
  name: 'MASQUERADE',
  families: [4, 6],
  options: [
    { name: 'to-ports', type: 'string' },
    { name: 'random', type: 'none' },
    { name: 'random-fully', type: 'none' },
  ],
  init: newNatTarget,
  parse(data, { name, text }, context) {
    if (name !== 'to-ports') {
      readFlag(data, name);
      return;
    }
    readPorts(data, text, context);
    // The structure of this target has no room for a base port, only for the flag.
    if (data.basePort !== null) data.basePort = 0;
  },
  save: (data, { family }) => natTexts(data, family, { option: '--to-ports ', flags: '--', bare: true }),
  print: (data, { family }) => natTexts(data, family, { option: 'masq ports: ', flags: '', bare: true }),
  help: () => HELP,
  check: (_, site) => refusePlacement(site, PLACEMENT),
  explain(data) {
    const port = data.ports === null ? '' : ` with port ${rangeWords(data.ports)}`;
    return `the connection's source becomes the address of the interface it leaves by${port}${explainFlags(data)}`;
  },
  compile(data, { family, machine: { nat, host } }) {
    const range = natRange(data);
    return (packet, at) => {
      const { connection } = packet;
      const device = at.outDevice;
      if (connection === null || device === null) return Verdict.accept;
      let towards: AddressWords = [packet.dst[0]!, packet.dst[1]!, packet.dst[2]!, packet.dst[3]!];
      if (family === 4) {
        // Not yet an address of its own: DHCP and the like.
        if (connection.tuple(Direction.original).source[0] === 0) return Verdict.accept;
        towards = packet.route?.gateway ?? towards;
      }
      const address = host.sourceAddress(family, device, towards);
      if (address === null) return Verdict.drop;
      nat.setMasqueradeDevice(connection, device);
      return nat.setup(packet, at, { ...range, minAddress: address, maxAddress: address }, 'source');
    };
  },
});
