import { defineMatch, UsageError } from '../contract.ts';
import { not } from '../words.ts';

interface DscpMatch {
  dscp: number;
  invert: boolean;
}

/** Class names; a text counts if it begins with one. */
const CLASSES: readonly [string, number][] = [
  ['CS0', 0x00],
  ['CS1', 0x08],
  ['CS2', 0x10],
  ['CS3', 0x18],
  ['CS4', 0x20],
  ['CS5', 0x28],
  ['CS6', 0x30],
  ['CS7', 0x38],
  ['BE', 0x00],
  ['AF11', 0x0a],
  ['AF12', 0x0c],
  ['AF13', 0x0e],
  ['AF21', 0x12],
  ['AF22', 0x14],
  ['AF23', 0x16],
  ['AF31', 0x1a],
  ['AF32', 0x1c],
  ['AF33', 0x1e],
  ['AF41', 0x22],
  ['AF42', 0x24],
  ['AF43', 0x26],
  ['EF', 0x2e],
];

/** The code point of a DiffServ class (`--dscp-class`, `--set-dscp-class`); throws UsageError. */
export function parseDscpClass(text: string): number {
  const found = CLASSES.find(([name]) => text.toUpperCase().startsWith(name));
  if (found === undefined) throw new UsageError(`Invalid DSCP value \`${text}'`);
  return found[1];
}

const hex2 = (value: number): string => `0x${value.toString(16).padStart(2, '0')}`;

const HELP = `dscp match options
[!] --dscp value		Match DSCP codepoint with numerical value
  		                This value can be in decimal (ex: 32)
               		or in hex (ex: 0x20)
[!] --dscp-class name		Match the DiffServ class. This value may
				be any of the BE,EF, AFxx or CSx classes

				These two options are mutually exclusive !
`;

export const dscp = defineMatch<DscpMatch>({
  name: 'dscp',
  families: [4, 6],
  options: [
    { name: 'dscp', type: 'uint8', invert: true, min: 0, max: 63, excludes: ['dscp-class'] },
    { name: 'dscp-class', type: 'string', invert: true, excludes: ['dscp'] },
  ],
  init: () => ({ dscp: 0, invert: false }),
  parse(data, option) {
    data.dscp = option.name === 'dscp' ? option.number : parseDscpClass(option.text);
    if (option.invert) data.invert = true;
  },
  finish(_data, { seen }) {
    if (seen.size === 0) throw new UsageError('DSCP match: Parameter --dscp is required');
  },
  save: (data) => `${not(data.invert)} --dscp ${hex2(data.dscp)}`,
  print: (data) => ` DSCP match ${data.invert ? '!' : ''}${hex2(data.dscp)}`,
  help: () => HELP,
  explain: (data) => `the DSCP is ${data.invert ? 'not ' : ''}${hex2(data.dscp)}`,
  pure: true,
  compile({ dscp, invert }, { family }) {
    if (family === 4) return ({ bytes }) => (bytes[1]! >> 2 === dscp) !== invert;
    return ({ bytes }) => ((((bytes[0]! & 15) << 2) | (bytes[1]! >> 6)) === dscp) !== invert;
  },
});
