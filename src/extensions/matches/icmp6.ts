import { Protocol } from '../../packet/protocol.ts';
import { defineMatch } from '../contract.ts';
import { not } from '../words.ts';
import {
  describeIcmpType,
  ICMPV6_NAMES,
  type IcmpMatch,
  listIcmpType,
  parseIcmpType,
  saveIcmpType,
} from './icmp-types.ts';

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
  options: [{ name: 'icmpv6-type', type: 'string', invert: true, mandatory: true }],
  init: () => ({ type: 0, minCode: 0, maxCode: 0xff, invert: false }),
  parse(data, option) {
    Object.assign(data, parseIcmpType(option.text, ICMPV6_NAMES, 'ICMPv6'));
    data.invert = option.invert;
  },
  save: (data) => `${data.invert ? ' !' : ''} --icmpv6-type ${saveIcmpType(data)}`,
  // The end of a range of codes is listed, but not saved.
  store: (data) =>
    data.minCode === data.maxCode || (data.minCode === 0 && data.maxCode === 0xff)
      ? `${not(data.invert)} --icmpv6-type ${saveIcmpType(data)}`
      : `${not(data.invert)} --icmpv6-type ${data.type}/${data.minCode}:${data.maxCode}`,
  print: (data, { numeric }) => ` ipv6-icmp${listIcmpType(data, ICMPV6_NAMES, numeric)}`,
  help: () => HELP,
  check: (_data, { rule }) => (rule.protocol === Protocol.icmpv6 && !rule.protocolInvert ? null : 'EINVAL'),
  explain: (data) => `the packet is ICMPv6 ${data.invert ? 'other than ' : ''}${describeIcmpType(data, ICMPV6_NAMES)}`,
  pure: true,
  // `icmp6_match` (net/netfilter/xt_tcpudp.c): the whole 8 byte header must be there.
  compile({ type, minCode, maxCode, invert }) {
    return (packet) => {
      if (packet.fragmentOffset !== 0) return false;
      const { bytes, transport } = packet;
      if (transport + 8 > bytes.length) {
        packet.hotdrop = true;
        return false;
      }
      const code = bytes[transport + 1]!;
      return (bytes[transport] === type && code >= minCode && code <= maxCode) !== invert;
    };
  },
});
