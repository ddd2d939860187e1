import { Protocol } from '../../packet/protocol.ts';
import { defineMatch } from '../contract.ts';
import { icmpMatch } from './icmp-match.ts';
import { ICMPV6_NAMES, type IcmpMatch } from './icmp-types.ts';

const HELP = `icmpv6 match options:
[!] --icmpv6-type typename	match icmpv6 type
				(or numeric type or type/code)
Valid ICMPv6 Types:
destination-unreachable
   no-route
   communication-prohibited
   beyond-scope
   address-unreachable
   port-unreachable
   failed-policy
   reject-route
packet-too-big
time-exceeded (ttl-exceeded)
   ttl-zero-during-transit
   ttl-zero-during-reassembly
parameter-problem
   bad-header
   unknown-header-type
   unknown-option
echo-request (ping)
echo-reply (pong)
router-solicitation
router-advertisement
neighbour-solicitation (neighbor-solicitation)
neighbour-advertisement (neighbor-advertisement)
redirect
`;

export const icmp6 = defineMatch<IcmpMatch>({
  name: 'icmp6',
  aliases: ['icmpv6', 'ipv6-icmp'],
  families: [6],
  init: () => ({ type: 0, minCode: 0, maxCode: 0xff, invert: false }),
  help: () => HELP,
  ...icmpMatch({
    what: 'ICMPv6',
    option: 'icmpv6-type',
    names: ICMPV6_NAMES,
    listed: 'ipv6-icmp',
    protocol: Protocol.icmpv6,
    any: null,
  }),
});
