import { defineMatch } from '../contract.ts';
import { maskedValue, not } from '../words.ts';
import { type MarkTest, markTest } from './mark-test.ts';

const HELP = `mark match options:
[!] --mark value[/mask]    Match nfmark value with optional mask
`;

export const mark = defineMatch<MarkTest>({
  name: 'mark',
  families: [4, 6],
  ...markTest,
  print: (data) => ` mark match${not(data.invert)}${maskedValue(data.mark, data.mask)}`,
  help: () => HELP,
  explain: (data) => `the packet's mark is ${data.invert ? 'not ' : ''}${maskedValue(data.mark, data.mask).trim()}`,
  pure: true,
  fields: ({ mark, mask, invert }) => (invert ? [] : [{ field: 'mark', value: mark, mask }]),
  compile({ mark, mask, invert }) {
    return (packet) => ((packet.mark & mask) >>> 0 === mark) !== invert;
  },
});
