import { defineMatch, UsageError } from '../contract.ts';
import { saveString } from '../words.ts';

interface NfacctMatch {
  name: string;
}

/** NFACCT_NAME_MAX, less the final zero byte. */
const MAX_NAME = 31;

const HELP = `nfacct match options:
 --nfacct-name STRING		Name of accouting area
`;

export const nfacct = defineMatch<NfacctMatch>({
  name: 'nfacct',
  families: [4, 6],
  options: [{ name: 'nfacct-name', type: 'string', mandatory: true, min: 1 }],
  init: () => ({ name: '' }),
  parse(data, option) {
    if (option.text.includes('\n')) throw new UsageError('Newlines not allowed in --nfacct-name');
    data.name = option.text.slice(0, MAX_NAME);
  },
  save: (data) => ` --nfacct-name ${saveString(data.name)}`,
  print: (data) => ` nfacct-name ${saveString(data.name)}`,
  help: () => HELP,
  // Accounting objects are made by another program: there are none.
  check: () => 'ENOENT',
  explain: (data) => `the accounting object ${data.name} has not reached a quota`,
  unknown: () =>
    'accounting objects are not simulated: this one is taken to exist without a quota, which lets any packet match',
  compile: () => () => true,
});
