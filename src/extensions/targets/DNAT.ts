import { defineTarget } from '../contract.ts';
import {
  explainFlags,
  explainRange,
  type NatTarget,
  natRange,
  natTexts,
  newNatTarget,
  readDestination,
  readFlag,
} from './nat-range.ts';
import { DESTINATION_NAT, refusePlacement } from './placement.ts';

const HELP = `DNAT target options:
 --to-destination [<ipaddr>[-<ipaddr>]][:port[-port[/port]]]
				Address to map destination to.
[--random] [--persistent]
`;

export const DNAT = defineTarget<NatTarget>({
  name: 'DNAT',
  families: [4, 6],
  options: [
    { name: 'to-destination', type: 'string', mandatory: true },
    { name: 'random', type: 'none' },
    { name: 'persistent', type: 'none' },
  ],
  init: newNatTarget,
  parse(data, { name, text }, context) {
    if (name === 'to-destination') readDestination(data, text, context);
    else readFlag(data, name);
  },
  save: (data, { family }) => natTexts(data, family, { option: '--to-destination ', flags: '--', bare: false }),
  print: (data, { family }) => natTexts(data, family, { option: 'to:', flags: '', bare: false }),
  help: () => HELP,
  check: (_, site) => refusePlacement(site, DESTINATION_NAT),
  explain: (data, { family }) =>
    `the connection's destination becomes ${explainRange(data, family)}${explainFlags(data)}`,
  compile(data, { machine: { nat } }) {
    const range = natRange(data);
    return (packet, at) => nat.setup(packet, at, range, 'destination');
  },
});
