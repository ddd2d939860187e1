import { defineTarget } from '../contract.ts';
import { addressTranslation } from './address-translation.ts';
import { type NatTarget, readDestination, readFlag } from './nat-range.ts';
import { DESTINATION_NAT } from './placement.ts';

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
  ...addressTranslation('destination', DESTINATION_NAT),
  parse(data, { name, text }, context) {
    if (name === 'to-destination') readDestination(data, text, context);
    else readFlag(data, name);
  },
  help: () => HELP,
});
