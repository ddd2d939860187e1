import { defineMatch } from '../contract.ts';
import { maskedValue } from '../words.ts';
import { type MarkTest, markTest } from './mark-test.ts';

const HELP = `connmark match options:
[!] --mark value[/mask]    Match ctmark value with optional mask
`;

export const connmark = defineMatch<MarkTest>({
  name: 'connmark',
  families: [4, 6],
  ...markTest,
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
