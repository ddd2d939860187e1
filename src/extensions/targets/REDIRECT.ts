import { Hook } from '../../datapath/hooks.ts';
import { Verdict } from '../../datapath/verdicts.ts';
import type { Device } from '../../host/device.ts';
import type { AddressWords, Family } from '../../packet/family.ts';
import { defineTarget, UsageError } from '../contract.ts';
import { explainRange, type NatTarget, natRange, natTexts, newNatTarget, readFlag, readPorts } from './nat-range.ts';
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

/** The address of the interface to which packets to `destination` are redirected; null if it has none. */
export function redirectAddress(device: Device, family: Family, destination: ArrayLike<number>): AddressWords | null {
  const linkLocal = family === 6 && isLinkLocal(destination);
  for (const { family: of, address } of device.addresses) {
    if (of === family && (!linkLocal || isLinkLocal(address))) return address;
  }
  return null;
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
    const port = data.ports === null ? '' : `, port ${explainRange(data, family).slice(1)}`;
    return `the connection goes to this machine${port}`;
  },
  compile(data, { family, machine: { nat } }) {
    const range = natRange(data);
    const loopback = { ...range, minAddress: LOOPBACK[family], maxAddress: LOOPBACK[family] };
    return (packet, at) => {
      if (at.hook === Hook.output) return nat.setup(packet, at, loopback, 'destination');
      const address = at.inDevice === null ? null : redirectAddress(at.inDevice, family, packet.dst);
      if (address === null) return Verdict.drop;
      return nat.setup(packet, at, { ...range, minAddress: address, maxAddress: address }, 'destination');
    };
  },
});
