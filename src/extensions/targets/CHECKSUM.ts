import { Verdict } from '../../datapath/verdicts.ts';
import { completeChecksum } from '../../packet/pending-checksum.ts';
import { defineTarget } from '../contract.ts';
import { MANGLE, refusePlacement } from './placement.ts';

const HELP = `CHECKSUM target options
  --checksum-fill			Fill in packet checksum.
`;

export const CHECKSUM = defineTarget<{ fill: boolean }>({
  name: 'CHECKSUM',
  families: [4, 6],
  options: [{ name: 'checksum-fill', type: 'none', mandatory: true }],
  init: () => ({ fill: false }),
  parse(data) {
    data.fill = true;
  },
  save: ({ fill }) => (fill ? ' --checksum-fill' : ''),
  print: ({ fill }) => (fill ? ' CHECKSUM fill' : ' CHECKSUM'),
  help: () => HELP,
  check: (_, site) => refusePlacement(site, MANGLE),
  explain: () => 'a checksum that was left to the hardware is filled in',
  memory: 'flow',
  compile: () => (packet) => {
    completeChecksum(packet);
    return Verdict.next;
  },
});
