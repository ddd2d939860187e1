import { readUint16 } from '../../packet/bytes.ts';
import { defineMatch } from '../contract.ts';
import { explainSpis, listSpis, matchSpi, type SpiRange, saveSpis, takeSpis } from '../spi-range.ts';
import { not, rangeText } from '../words.ts';

/** `struct xt_ipcomp`; without --ipcompspi both ends are 0, as the real tool leaves them. */
interface IpcompMatch extends SpiRange {
  /** Kept, but not tested by the kernel. */
  reserved: boolean;
}

/** IPPROTO_COMP */
const IPCOMP = 108;

const HELP = `comp match options:
[!] --ipcompspi spi[:spi]
				match spi (range)
`;

/** `comp_mt` (net/netfilter/xt_ipcomp.c). */
export const ipcomp = defineMatch<IpcompMatch>({
  name: 'ipcomp',
  families: [4, 6],
  options: [
    { name: 'ipcompspi', type: 'uint32-range', invert: true },
    { name: 'compres', type: 'none' },
  ],
  init: () => ({ spis: [0, 0], invert: false, reserved: false }),
  parse(data, option) {
    if (option.name === 'ipcompspi') takeSpis(data, option);
    else data.reserved = true;
  },
  save: (data) => saveSpis('ipcompspi', data) + (data.reserved ? ' --compres' : ''),
  // Without the option the range is 0, not all.
  store: (data) => `${not(data.invert)} --ipcompspi ${rangeText(data.spis)}${data.reserved ? ' --compres' : ''}`,
  print: (data) => ` comp ${listSpis('spi', data)}${data.reserved ? ' reserved' : ''}`,
  help: () => HELP,
  check: (_data, { rule }) => (rule.protocol === IPCOMP && !rule.protocolInvert ? null : 'EINVAL'),
  explain: (data) => explainSpis('an IPComp compression parameter index', data),
  pure: true,
  compile: (data) => matchSpi(data, 4, (bytes, offset) => readUint16(bytes, offset + 2)),
});
