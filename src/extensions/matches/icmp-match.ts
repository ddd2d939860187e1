import type { MatchDeclaration } from '../contract.ts';
import { not } from '../words.ts';
import {
  describeIcmpType,
  type IcmpMatch,
  type IcmpName,
  listIcmpType,
  parseIcmpType,
  saveIcmpType,
} from './icmp-types.ts';

/** What differs between `icmp` and `icmp6`. */
interface IcmpFamily {
  /** `ICMP` or `ICMPv6`. */
  what: string;
  /** Name of the option. */
  option: string;
  names: readonly IcmpName[];
  /** What stands before the type in listings. */
  listed: string;
  /** Number of the protocol that a rule must ask for. */
  protocol: number;
  /** The type that stands for all types and codes, and is saved as `any`; null if there is none. */
  any: number | null;
}

/** What the two matches of an ICMP type have in common. */
export function icmpMatch({
  what,
  option,
  names,
  listed,
  protocol,
  any,
}: IcmpFamily): Omit<MatchDeclaration<IcmpMatch>, 'name' | 'families' | 'init' | 'help'> {
  return {
    options: [{ name: option, type: 'string', invert: true, mandatory: true }],
    parse(data, { text, invert }) {
      Object.assign(data, parseIcmpType(text, names, what));
      data.invert = invert;
    },
    save: (data) => `${not(data.invert)} --${option} ${data.type === any ? 'any' : saveIcmpType(data)}`,
    // The end of a range of codes is listed, but not saved; nor are any's codes.
    store(data) {
      const { type, minCode, maxCode, invert } = data;
      const all = minCode === 0 && maxCode === 0xff;
      const text = all && type === any ? 'any' : saveIcmpType(data);
      return `${not(invert)} --${option} ${text}${all || minCode === maxCode ? '' : `:${maxCode}`}`;
    },
    print: (data, { numeric }) => ` ${listed}${listIcmpType(data, names, numeric)}`,
    check: (_data, { rule }) => (rule.protocol === protocol && !rule.protocolInvert ? null : 'EINVAL'),
    explain: (data) => `the packet is ${what} ${data.invert ? 'other than ' : ''}${describeIcmpType(data, names)}`,
    pure: true,
    // `icmp_match`, `icmp6_match` (net/netfilter/xt_tcpudp.c): the whole 8 byte header must be there.
    compile({ type, minCode, maxCode, invert }) {
      return (packet) => {
        if (packet.fragmentOffset !== 0) return false;
        const { bytes, transport } = packet;
        if (transport + 8 > bytes.length) {
          packet.hotdrop = true;
          return false;
        }
        const code = bytes[transport + 1]!;
        return (type === any || (bytes[transport] === type && code >= minCode && code <= maxCode)) !== invert;
      };
    },
  };
}
