import { Verdict } from '../../datapath/verdicts.ts';
import { defineTarget } from '../contract.ts';
import { RAW, refusePlacement } from './placement.ts';

export const TRACE = defineTarget<Record<string, never>>({
  name: 'TRACE',
  families: [4, 6],
  options: [],
  init: () => ({}),
  parse() {},
  save: () => '',
  print: () => '',
  help: () => 'TRACE does not take any options\n',
  // iptables-nft writes an expression of nftables, which may stand in any table.
  check: (_, site) => (site.variant === 'legacy' ? refusePlacement(site, RAW) : null),
  explain: () => "the packet's way through the rules is logged",
  memory: 'flow',
  compile: () => (packet) => {
    packet.trace = true;
    return Verdict.next;
  },
});
