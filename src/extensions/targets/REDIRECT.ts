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

type Scope = 'node' | 'link' | 'site' | 'compatible' | null;

const GROUP_SCOPES: readonly Scope[] = [null, 'node', 'link', null, null, 'site'];

/** How far an IPv6 address reaches, of a group too; null: everywhere (`__ipv6_addr_type` in net/ipv6/addrconf_core.c). */
function scopeOf(address: ArrayLike<number>): Scope {
  const first = address[0]!;
  if (first >>> 24 === 0xff) return GROUP_SCOPES[(first >>> 16) & 15] ?? null;
  if (first >>> 22 === 0xfe80 >>> 6) return 'link';
  if (first >>> 22 === 0xfec0 >>> 6) return 'site';
  if (first !== 0 || address[1] !== 0 || address[2] !== 0 || address[3] === 0) return null;
  return address[3] === 1 ? 'node' : 'compatible';
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
      // What does not reach everywhere goes to an address that reaches as far (`nf_nat_redirect_ipv6_usable`).
      const scope = family === 6 ? scopeOf(packet.dst) : null;
      const address = interfaceAddress(at.inDevice, family, (own) => scope === null || scopeOf(own) === scope);
      if (address === null) return Verdict.drop;
      return nat.setup(packet, at, { ...range, minAddress: address, maxAddress: address }, 'destination');
    };
  },
});
