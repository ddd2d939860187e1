import { Hook } from '../../datapath/hooks.ts';
import { defineMatch } from '../contract.ts';
import { not } from '../words.ts';

interface MacMatch {
  source: number[];
  invert: boolean;
}

function macText(mac: readonly number[]): string {
  return mac.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

const HELP = `mac match options:
[!] --mac-source XX:XX:XX:XX:XX:XX
				Match source MAC address
`;

export const mac = defineMatch<MacMatch>({
  name: 'mac',
  families: [4, 6],
  options: [{ name: 'mac-source', type: 'ethernet', invert: true, mandatory: true }],
  init: () => ({ source: [0, 0, 0, 0, 0, 0], invert: false }),
  parse(data, option) {
    data.source = [...option.mac];
    data.invert = option.invert;
  },
  save: (data) => `${not(data.invert)} --mac-source ${macText(data.source)}`,
  print: (data) => ` MAC ${data.invert ? '! ' : ''}${macText(data.source)}`,
  help: () => HELP,
  check: (_data, { hooks }) => (hooks.has(Hook.output) || hooks.has(Hook.postrouting) ? 'EINVAL' : null),
  explain: (data) => `the source MAC address is ${data.invert ? 'not ' : ''}${macText(data.source)}`,
  pure: true,
  // `mac_mt` (net/netfilter/xt_mac.c): without an Ethernet header nothing matches, inverted or not.
  compile({ source, invert }) {
    return (packet, at) => {
      const header = packet.linkHeader;
      if (header === null || at.inDevice === null || at.inDevice.kind === 'loopback') return false;
      for (let i = 0; i < 6; i++) if (header[6 + i] !== source[i]) return invert;
      return !invert;
    };
  },
});
