import { Hook } from '../../datapath/hooks.ts';
import { Verdict } from '../../datapath/verdicts.ts';
import type { AddressWords, Family } from '../../packet/family.ts';
import { defineTarget, UsageError } from '../contract.ts';
import { interfaceAddress } from './interface-address.ts';
import {
  explainFlags,
  explainRange,
  type NatTarget,
  natRange,
  natTexts,
  newNatTarget,
  readFlag,
  readPorts,
} from './nat-range.ts';
import { DESTINATION_NAT, refusePlacement } from './placement.ts';

const HELP = `REDIRECT target options:
 --to-ports <port>[-<port>]
				Port (range) to map to.
 [--random]
`;

const LOOPBACK: Readonly<Record<Family, AddressWords>> = { 4: [0x7f000001, 0, 0, 0], 6: [0, 0, 0, 1] };

/** Link-local addresses redirect to link-local ones (`nf_nat_redirect_ipv6_usable`). */
function isLinkLocal(address: ArrayLike<number>): boolean {
  return address[0]! >>> 22 === 0xfe80 >>> 6;
}

export const REDIRECT = defineTarget<NatTarget>({
  name: 'REDIRECT',
  families: [4, 6],
  options: [
    { name: 'to-ports', type: 'string' },
    { name: 'random', type: 'none' },
  ],
  init: newNatTarget,
  parse(data, { name, text }, context) {
    if (name === 'to-ports') readPorts(data, text, context);
    else readFlag(data, name);
  },
  finish(data) {
    if (data.basePort !== null) throw new UsageError('Shifted portmap ranges not supported with this kernel');
  },
  save: (data, { family }) => natTexts(data, family, { option: '--to-ports ', flags: '--', bare: true }),
  print: (data, { family }) => natTexts(data, family, { option: 'redir ports ', flags: '', bare: true }),
  help: () => HELP,
  check: (_, site) => refusePlacement(site, DESTINATION_NAT),
  explain(data, { family }) {
    return `the connection goes to ${data.ports === null ? '' : `${explainRange(data, family)} of `}this machine${explainFlags(data)}`;
  },
  compile(data, { family, machine: { nat } }) {
    const range = natRange(data);
    const loopback = { ...range, minAddress: LOOPBACK[family], maxAddress: LOOPBACK[family] };
    return (packet, at) => {
      if (at.hook === Hook.output) return nat.setup(packet, at, loopback, 'destination');
      const linkLocal = family === 6 && isLinkLocal(packet.dst);
      const address = interfaceAddress(at.inDevice, family, (own) => !linkLocal || isLinkLocal(own));
      if (address === null) return Verdict.drop;
      return nat.setup(packet, at, { ...range, minAddress: address, maxAddress: address }, 'destination');
    };
  },
});
