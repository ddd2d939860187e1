import { defineMatch } from '../contract.ts';
import { maskedValue, not } from '../words.ts';

/** `struct xt_mark_mtinfo1`. */
interface MarkMatch {
  mark: number;
  mask: number;
  invert: boolean;
}

const HELP = `mark match options:
[!] --mark value[/mask]    Match nfmark value with optional mask
`;

export const mark = defineMatch<MarkMatch>({
  name: 'mark',
  families: [4, 6],
  options: [{ name: 'mark', type: 'mark-mask', invert: true, mandatory: true }],
  init: () => ({ mark: 0, mask: 0xffffffff, invert: false }),
  parse(data, option) {
    data.mark = option.value;
    data.mask = option.mask;
    data.invert = option.invert;
  },
  save: (data) => `${not(data.invert)} --mark${maskedValue(data.mark, data.mask)}`,
  print: (data) => ` mark match${not(data.invert)}${maskedValue(data.mark, data.mask)}`,
  help: () => HELP,
  explain: (data) => `the packet's mark is ${data.invert ? 'not ' : ''}${maskedValue(data.mark, data.mask).trim()}`,
  pure: true,
  fields: ({ mark, mask, invert }) => (invert ? [] : [{ field: 'mark', value: mark, mask }]),
  compile({ mark, mask, invert }) {
    return (packet) => ((packet.mark & mask) >>> 0 === mark) !== invert;
  },
});
