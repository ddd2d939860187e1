import { Protocol } from '../../packet/protocol.ts';
import { defineMatch, UsageError } from '../contract.ts';
import { not } from '../words.ts';

interface Test {
  invert: boolean;
}

/** `struct xt_ecn_info`: each part is null if it is not asked for. */
interface EcnMatch {
  congestionWindowReduced: Test | null;
  echo: Test | null;
  ect: { value: number; invert: boolean } | null;
}

/** TCP flags in byte 13. */
const ECE = 0x40;
const CWR = 0x80;

const HELP = `ECN match options
[!] --ecn-tcp-cwr 		Match CWR bit of TCP header
[!] --ecn-tcp-ece		Match ECE bit of TCP header
[!] --ecn-ip-ect [0..3]	Match ECN codepoint in IPv4/IPv6 header
`;

export const ecn = defineMatch<EcnMatch>({
  name: 'ecn',
  families: [4, 6],
  options: [
    { name: 'ecn-tcp-cwr', type: 'none', invert: true },
    { name: 'ecn-tcp-ece', type: 'none', invert: true },
    { name: 'ecn-ip-ect', type: 'uint8', invert: true, min: 0, max: 3 },
  ],
  init: () => ({ congestionWindowReduced: null, echo: null, ect: null }),
  parse(data, option) {
    const { invert } = option;
    if (option.name === 'ecn-tcp-cwr') data.congestionWindowReduced = { invert };
    else if (option.name === 'ecn-tcp-ece') data.echo = { invert };
    else data.ect = { value: option.number, invert };
  },
  finish(_data, { seen }) {
    if (seen.size === 0) throw new UsageError('ECN match: some option required');
  },
  save({ echo, congestionWindowReduced, ect }) {
    let text = '';
    if (echo) text += `${not(echo.invert)} --ecn-tcp-ece`;
    if (congestionWindowReduced) text += `${not(congestionWindowReduced.invert)} --ecn-tcp-cwr`;
    if (ect) text += `${not(ect.invert)} --ecn-ip-ect ${ect.value}`;
    return text;
  },
  print({ echo, congestionWindowReduced, ect }) {
    let text = ' ECN match';
    if (echo) text += ` ${echo.invert ? '!' : ''}ECE`;
    if (congestionWindowReduced) text += ` ${congestionWindowReduced.invert ? '!' : ''}CWR`;
    if (ect) text += ` ${ect.invert ? '!' : ''}ECT=${ect.value}`;
    return text;
  },
  help: () => HELP,
  check({ echo, congestionWindowReduced }, { rule }) {
    if (echo === null && congestionWindowReduced === null) return null;
    return rule.protocol === Protocol.tcp && !rule.protocolInvert ? null : 'EINVAL';
  },
  explain({ echo, congestionWindowReduced, ect }) {
    const parts: string[] = [];
    if (echo) parts.push(`the TCP flag ECE is ${echo.invert ? 'not ' : ''}set`);
    if (congestionWindowReduced) parts.push(`the TCP flag CWR is ${congestionWindowReduced.invert ? 'not ' : ''}set`);
    if (ect) parts.push(`the ECN field of the IP header is ${ect.invert ? 'not ' : ''}${ect.value}`);
    return parts.join(' and ');
  },
  pure: true,
  // `ecn_mt4`, `ecn_mt6` (net/netfilter/xt_ecn.c)
  compile({ echo, congestionWindowReduced, ect }, { family }) {
    const testTcp = echo !== null || congestionWindowReduced !== null;
    return ({ bytes, transport }) => {
      if (ect !== null) {
        const field = family === 4 ? bytes[1]! & 3 : (bytes[1]! >> 4) & 3;
        if ((field === ect.value) === ect.invert) return false;
      }
      if (!testTcp) return true;
      if (transport + 20 > bytes.length) return false;
      const flags = bytes[transport + 13]!;
      if (echo !== null && ((flags & ECE) !== 0) === echo.invert) return false;
      return congestionWindowReduced === null || ((flags & CWR) !== 0) !== congestionWindowReduced.invert;
    };
  },
});
