import { defineMatch } from '../contract.ts';
import { maskedValue, not } from '../words.ts';

/** `struct xt_connmark_mtinfo1`. */
interface ConnmarkMatch {
  mark: number;
  mask: number;
  invert: boolean;
}

const HELP = `connmark match options:
[!] --mark value[/mask]    Match ctmark value with optional mask
`;

export const connmark = defineMatch<ConnmarkMatch>({
  name: 'connmark',
  families: [4, 6],
  options: [{ name: 'mark', type: 'mark-mask', invert: true, mandatory: true }],
  init: () => ({ mark: 0, mask: 0xffffffff, invert: false }),
  parse(data, option) {
    data.mark = option.value;
    data.mask = option.mask;
    data.invert = option.invert;
  },
  save: (data) => `${not(data.invert)} --mark${maskedValue(data.mark, data.mask)}`,
  print: (data) => ` connmark match ${data.invert ? '!' : ''}${maskedValue(data.mark, data.mask)}`,
  help: () => HELP,
  explain: (data) => `the connection's mark is ${data.invert ? 'not ' : ''}${maskedValue(data.mark, data.mask).trim()}`,
  pure: true,
  fields: () => [],
  compile({ mark, mask, invert }) {
    return (packet) => {
      const { connection } = packet;
      if (connection === null) return false;
      return ((connection.mark & mask) >>> 0 === mark) !== invert;
    };
  },
});
