import { Protocol } from '../../packet/protocol.ts';
import { defineMatch } from '../contract.ts';
import { not } from '../words.ts';
import {
  describeIcmpType,
  ICMP_NAMES,
  type IcmpMatch,
  listIcmpType,
  parseIcmpType,
  saveIcmpType,
} from './icmp-types.ts';

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
  options: [{ name: 'icmp-type', type: 'string', invert: true, mandatory: true }],
  init: () => ({ type: 0xff, minCode: 0, maxCode: 0xff, invert: false }),
  parse(data, option) {
    Object.assign(data, parseIcmpType(option.text, ICMP_NAMES, 'ICMP'));
    data.invert = option.invert;
  },
  save: (data) => `${data.invert ? ' !' : ''} --icmp-type ${data.type === 0xff ? 'any' : saveIcmpType(data)}`,
  // The end of a range of codes is listed, but not saved.
  store: (data) =>
    data.minCode === data.maxCode || (data.minCode === 0 && data.maxCode === 0xff)
      ? `${not(data.invert)} --icmp-type ${data.type === 0xff ? 'any' : saveIcmpType(data)}`
      : `${not(data.invert)} --icmp-type ${data.type}/${data.minCode}:${data.maxCode}`,
  print: (data, { numeric }) => ` icmp${listIcmpType(data, ICMP_NAMES, numeric)}`,
  help: () => HELP,
  check: (_data, { rule }) => (rule.protocol === Protocol.icmp && !rule.protocolInvert ? null : 'EINVAL'),
  explain: (data) => `the packet is ICMP ${data.invert ? 'other than ' : ''}${describeIcmpType(data, ICMP_NAMES)}`,
  pure: true,
  // `icmp_match` (net/netfilter/xt_tcpudp.c): the whole 8 byte header must be there.
  compile({ type, minCode, maxCode, invert }) {
    return (packet) => {
      if (packet.fragmentOffset !== 0) return false;
      const { bytes, transport } = packet;
      if (transport + 8 > bytes.length) {
        packet.hotdrop = true;
        return false;
      }
      const code = bytes[transport + 1]!;
      return (type === 0xff || (bytes[transport] === type && code >= minCode && code <= maxCode)) !== invert;
    };
  },
});
