import { Protocol } from '../../packet/protocol.ts';
import { defineMatch } from '../contract.ts';
import { icmpMatch } from './icmp-match.ts';
import { ICMP_NAMES, type IcmpMatch } from './icmp-types.ts';

const HELP = `icmp match options:
[!] --icmp-type typename	match icmp type
[!] --icmp-type type[/code]	(or numeric type or type/code)
Valid ICMP Types:
any
echo-reply (pong)
destination-unreachable
   network-unreachable
   host-unreachable
   protocol-unreachable
   port-unreachable
   fragmentation-needed
   source-route-failed
   network-unknown
   host-unknown
   network-prohibited
   host-prohibited
   TOS-network-unreachable
   TOS-host-unreachable
   communication-prohibited
   host-precedence-violation
   precedence-cutoff
source-quench
redirect
   network-redirect
   host-redirect
   TOS-network-redirect
   TOS-host-redirect
echo-request (ping)
router-advertisement
router-solicitation
time-exceeded (ttl-exceeded)
   ttl-zero-during-transit
   ttl-zero-during-reassembly
parameter-problem
   ip-header-bad
   required-option-missing
timestamp-request
timestamp-reply
address-mask-request
address-mask-reply
`;

export const icmp = defineMatch<IcmpMatch>({
  name: 'icmp',
  families: [4],
  init: () => ({ type: 0xff, minCode: 0, maxCode: 0xff, invert: false }),
  help: () => HELP,
  ...icmpMatch({
    what: 'ICMP',
    option: 'icmp-type',
    names: ICMP_NAMES,
    listed: 'icmp',
    protocol: Protocol.icmp,
    any: 0xff,
  }),
});
