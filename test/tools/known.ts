import type { Variant } from '../../src/extensions/contract.ts';
import type { Answer } from './players.ts';
import type { Call } from './scenario.ts';

/** A difference that stays, and why. */
export interface KnownDifference {
  reason: string;
  matches(call: Call, real: Answer, simulated: Answer, variant: Variant): boolean;
}

/** Lines of what `-vv` prints of nft's expressions. */
const DUMP = /^ip6? \w+ |^ {2}\[ /m;

/** A count in XML that hardly counts anything. */
const LONG_COUNT = /"-?\d{12,}"/g;

/** Whether a rule of iptables-nft tests ports from one to a smaller one. */
export function hasBackwardPorts(saved: string): boolean {
  return [...saved.matchAll(/ --[sd]port (\d+):(\d+)/g)].some(([, first, last]) => Number(first) > Number(last));
}

export const KNOWN: readonly KnownDifference[] = [
  {
    reason: 'nft: -vv prints expressions of nftables, which iptsim does not have; it says so instead',
    matches: (_call, real, _simulated, variant) => variant === 'nft' && DUMP.test(real.out),
  },
  {
    reason: 'iptsim asks no name server: an unknown host name is not known, with no talk of temporary failures',
    matches: (_call, real, simulated) =>
      real.status === simulated.status &&
      real.out === simulated.out &&
      real.err.replaceAll('Temporary failure in name resolution', 'Name or service not known') === simulated.err,
  },
  {
    reason:
      'names of chains that no save file can hold (a built-in one renamed under nft, empty ones, blanks) are refused',
    matches: (_call, _real, simulated) => simulated.err.includes('is not simulated'),
  },
  {
    reason:
      'iptables-nft -Z CHAIN N of a built-in chain that was not made prints the text of whatever errno was left over',
    matches: (_call, real, simulated) =>
      real.err.includes('Incompatible with this kernel') && simulated.err.includes('Bad rule'),
  },
  {
    reason:
      'nft: of two uses of tcp or udp whose ports exclude each other the real tool makes one test for ports from 81 to 80, which no text can hold',
    matches: (_call, real, simulated, variant) =>
      variant === 'nft' && hasBackwardPorts(real.out) && !hasBackwardPorts(simulated.out),
  },
  {
    reason: 'ip6tables-legacy -vv shows a flag of `-p all`, which no text of the rule holds',
    matches: (call, real, simulated) =>
      call.family === 6 &&
      real.out.replaceAll('Flags: 01', 'Flags: 00') === simulated.out.replaceAll('Flags: 01', 'Flags: 00'),
  },
  {
    reason: 'iptables-xml prints what was left in memory as the counters of a chain that has none',
    matches: (call, real, simulated) =>
      call.tool === 'xml' && real.out.replace(LONG_COUNT, '"0"') === simulated.out.replace(LONG_COUNT, '"0"'),
  },
  {
    reason:
      'the real rateest ends the program in the middle of a line when it prints a rule without --rateest-lt, -gt or -eq',
    matches: (_call, real) => real.out.includes('rateest match ') && !real.out.endsWith('\n'),
  },
];
