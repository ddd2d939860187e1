import { Verdict } from '../../datapath/verdicts.ts';
import { setDscp } from '../../packet/rewrite.ts';
import { defineTarget, UsageError } from '../contract.ts';
import { parseDscpClass } from '../matches/dscp.ts';
import { paddedHex } from './numbers.ts';
import { MANGLE, refusePlacement } from './placement.ts';

const HELP = `DSCP target options
  --set-dscp value		Set DSCP field in packet header to value
  		                This value can be in decimal (ex: 32)
               		or in hex (ex: 0x20)
  --set-dscp-class class	Set the DSCP field in packet header to the
				value represented by the DiffServ class value.
				This class may be EF,BE or any of the CSxx
				or AFxx classes.

				These two options are mutually exclusive !
`;

export const DSCP = defineTarget<{ dscp: number }>({
  name: 'DSCP',
  families: [4, 6],
  options: [
    { name: 'set-dscp', type: 'uint8', min: 0, max: 63, excludes: ['set-dscp-class'] },
    { name: 'set-dscp-class', type: 'string', excludes: ['set-dscp'] },
  ],
  init: () => ({ dscp: 0 }),
  parse(data, { name, number, text }) {
    data.dscp = name === 'set-dscp' ? number : parseDscpClass(text);
  },
  finish(_, { seen }) {
    if (seen.size === 0) throw new UsageError('DSCP target: Parameter --set-dscp is required');
  },
  save: ({ dscp }) => ` --set-dscp ${paddedHex(dscp, 2)}`,
  print: ({ dscp }) => ` DSCP set ${paddedHex(dscp, 2)}`,
  help: () => HELP,
  check: (_, site) => refusePlacement(site, MANGLE),
  explain: ({ dscp }) => `the packet's DSCP becomes ${dscp}`,
  memory: 'flow',
  compile({ dscp }) {
    return (packet) => {
      setDscp(packet, dscp);
      return Verdict.next;
    };
  },
});
