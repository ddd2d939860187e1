import { Verdict } from '../../datapath/verdicts.ts';
import { formatAddress } from '../../packet/address-text.ts';
import type { AddressWords } from '../../packet/family.ts';
import { defineTarget } from '../contract.ts';
import { saveBareString } from '../words.ts';

/** `struct xt_tee_tginfo`. */
interface TeeTarget {
  gateway: AddressWords;
  /** '': any. */
  device: string;
}

const HELP = `TEE target options:
  --gateway IPADDR    Route packet via the gateway given by address
  --oif NAME          Include oif in route calculation

`;

const LONGEST_DEVICE = 15;

export const TEE = defineTarget<TeeTarget>({
  name: 'TEE',
  families: [4, 6],
  options: [
    { name: 'gateway', type: 'host', mandatory: true },
    { name: 'oif', type: 'string' },
  ],
  init: () => ({ gateway: [0, 0, 0, 0], device: '' }),
  parse(data, { name, address, text }) {
    if (name === 'gateway') data.gateway = address;
    else data.device = text.slice(0, LONGEST_DEVICE);
  },
  save: ({ gateway, device }, { family }) =>
    ` --gateway ${formatAddress(family, gateway)}${device === '' ? '' : ` --oif${saveBareString(device)}`}`,
  print({ gateway, device }, { family, numeric, names }) {
    const name = numeric
      ? null
      : (names.hostByAddress(gateway, family) ?? (family === 4 ? names.networkByAddress(gateway[0]) : null));
    return ` TEE gw:${name ?? formatAddress(family, gateway)}${device === '' ? '' : ` oif=${device}`}`;
  },
  help: () => HELP,
  check: ({ gateway }) => (gateway.every((word) => word === 0) ? 'EINVAL' : null),
  explain: ({ gateway }, { family }) => `a copy of the packet goes to ${formatAddress(family, gateway)}`,
  memory: 'flow',
  compile({ gateway, device }, { machine }) {
    return (packet, at) => {
      machine.duplicate(packet, at, gateway, device === '' ? null : machine.host.device(device));
      return Verdict.next;
    };
  },
});
