import { defineTarget } from '../contract.ts';
import { addressTranslation } from './address-translation.ts';
import { type NatTarget, natTexts, readDestination, readFlag } from './nat-range.ts';
import { SOURCE_NAT } from './placement.ts';

const HELP = `SNAT target options:
 --to-source [<ipaddr>[-<ipaddr>]][:port[-port]]
				Address to map source to.
[--random] [--random-fully] [--persistent]
`;

export const SNAT = defineTarget<NatTarget>({
  name: 'SNAT',
  families: [4, 6],
  options: [
    { name: 'to-source', type: 'string', mandatory: true },
    { name: 'random', type: 'none' },
    { name: 'random-fully', type: 'none' },
    { name: 'persistent', type: 'none' },
  ],
  ...addressTranslation('source', SOURCE_NAT),
  parse(data, { name, text }, context) {
    if (name !== 'to-source') {
      readFlag(data, name);
      return;
    }
    readDestination(data, text, context);
    // The structure of this target has no room for a base port, only for the flag.
    if (data.basePort !== null) data.basePort = 0;
  },
  // Nobody reads a base port of 0 back; it stands for any.
  store: (data, { family }) =>
    natTexts(data.basePort === null ? data : { ...data, basePort: 1 }, family, {
      option: '--to-source ',
      flags: '--',
      bare: false,
    }),
  help: () => HELP,
});
