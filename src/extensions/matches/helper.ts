import { defineMatch } from '../contract.ts';
import { not, saveString } from '../words.ts';

interface HelperMatch {
  name: string;
  invert: boolean;
}

/** `char name[30]`, less the final zero byte. */
const MAX_NAME = 29;

const HELP = `helper match options:
[!] --helper string        Match helper identified by string
`;

export const helper = defineMatch<HelperMatch>({
  name: 'helper',
  families: [4, 6],
  options: [{ name: 'helper', type: 'string', invert: true, mandatory: true }],
  init: () => ({ name: '', invert: false }),
  parse(data, option) {
    data.name = option.text.slice(0, MAX_NAME);
    data.invert = option.invert;
  },
  save: (data) => `${not(data.invert)} --helper${saveString(data.name)}`,
  print: (data) => ` helper match ${data.invert ? '! ' : ''}"${data.name}"`,
  help: () => HELP,
  explain: (data) =>
    `the connection was ${data.invert ? 'not ' : ''}expected by ${data.name === '' ? 'any helper' : `the helper ${data.name}`}`,
  pure: true,
  // `helper_mt` (net/netfilter/xt_helper.c): the name need only begin with the helper's.
  compile({ name, invert }) {
    return ({ connection }) => {
      const assigned = connection?.master?.helper ?? null;
      if (assigned === null) return invert;
      return (name === '' || name.startsWith(assigned)) !== invert;
    };
  },
});
