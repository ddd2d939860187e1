import type { Variant } from '../../src/extensions/contract.ts';
import type { Answer } from './players.ts';
import type { Call } from './scenario.ts';

/** A difference that stays, and why. */
export interface KnownDifference {
  reason: string;
  matches(call: Call, real: Answer, simulated: Answer, variant: Variant): boolean;
}

/** Beginnings of the dumps that `-vv` prints: of legacy's table, of nft's expressions. */
const DUMP = /^libiptc v|^ip6? \w+ |^ {2}\[ /m;

export const KNOWN: readonly KnownDifference[] = [
  {
    reason: '-vv prints structures of the kernel, which iptsim does not have; it says so instead',
    matches: (_call, real) => DUMP.test(real.out),
  },
  {
    reason: 'iptsim asks no name server: an unknown host name is not known, with no talk of temporary failures',
    matches: (_call, real, simulated) =>
      real.status === simulated.status &&
      real.out === simulated.out &&
      real.err.replaceAll('Temporary failure in name resolution', 'Name or service not known') === simulated.err,
  },
];
