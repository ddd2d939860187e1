import { Hook } from '../../datapath/hooks.ts';
import { formatAddress, maskLength4 } from '../../packet/address-text.ts';
import type { AddressWords, Family } from '../../packet/family.ts';
import { defineTarget } from '../contract.ts';
import { type Placement, refusePlacement } from './placement.ts';

/** The network that takes the place of the packet's: its first address and its mask. */
interface NetmapTarget {
  network: AddressWords;
  mask: AddressWords;
}

const HELP = `NETMAP target options:
  --to address[/mask]
				Network address to map to.

`;

const PLACEMENT: Placement = {
  table: 'nat',
  hooks: [Hook.prerouting, Hook.input, Hook.output, Hook.postrouting],
};

function networkText({ network, mask }: NetmapTarget, family: Family): string {
  let length = 0;
  for (const word of family === 4 ? mask.slice(0, 1) : mask) length += maskLength4(word);
  return `${formatAddress(family, network)}/${length}`;
}

export const NETMAP = defineTarget<NetmapTarget>({
  name: 'NETMAP',
  families: [4, 6],
  options: [{ name: 'to', type: 'host-mask', mandatory: true }],
  init: () => ({ network: [0, 0, 0, 0], mask: [0, 0, 0, 0] }),
  parse(data, { address, addressMask }) {
    const masked = (i: 0 | 1 | 2 | 3): number => (address[i] & addressMask[i]) >>> 0;
    data.network = [masked(0), masked(1), masked(2), masked(3)];
    data.mask = addressMask;
  },
  save: (data, { family }) => ` --to ${networkText(data, family)}`,
  print: (data, { family }) => ` to:${networkText(data, family)}`,
  help: () => HELP,
  check: (_, site) => refusePlacement(site, PLACEMENT),
  // In IPv4 only the first word of the mask counts.
  same: (a, b) => networkText(a, 6) === networkText(b, 6),
  explain: (data, { family }) => `the connection's network becomes ${networkText(data, family)}, its host part stays`,
  compile({ network, mask }, { machine: { nat } }) {
    const last = (i: 0 | 1 | 2 | 3): number => (network[i] | ~mask[i]) >>> 0;
    const range = { minAddress: network, maxAddress: [last(0), last(1), last(2), last(3)] as const, netmap: true };
    return (packet, at) => {
      const incoming = at.hook === Hook.prerouting || at.hook === Hook.output;
      return nat.setup(packet, at, range, incoming ? 'destination' : 'source');
    };
  },
});
