import { Hook } from '../../datapath/hooks.ts';
import { defineMatch } from '../contract.ts';

const HELP = `eui64 does not take any options
`;

export const eui64 = defineMatch<Record<string, never>>({
  name: 'eui64',
  families: [6],
  options: [],
  init: () => ({}),
  parse() {},
  save: () => '',
  // The match has nothing to print: legacy then writes its name, with the blank on the other side.
  print: (_data, { variant }) => (variant === 'legacy' ? 'eui64 ' : ''),
  help: () => HELP,
  check: (_data, { hooks }) => (hooks.has(Hook.output) || hooks.has(Hook.postrouting) ? 'EINVAL' : null),
  explain: () => 'the lower half of the source address is made from the source MAC address (EUI-64)',
  pure: true,
  // `eui64_mt6` (net/ipv6/netfilter/ip6t_eui64.c)
  compile: () => (packet) => {
    const { bytes, linkHeader: header } = packet;
    if (header === null) {
      packet.hotdrop = true;
      return false;
    }
    if (header[12] !== 0x86 || header[13] !== 0xdd || bytes[0]! >> 4 !== 6) return false;
    return (
      bytes[16] === (header[6]! ^ 2) &&
      bytes[17] === header[7] &&
      bytes[18] === header[8] &&
      bytes[19] === 0xff &&
      bytes[20] === 0xfe &&
      bytes[21] === header[9] &&
      bytes[22] === header[10] &&
      bytes[23] === header[11]
    );
  },
});
