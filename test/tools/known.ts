import type { Variant } from '../../src/extensions/contract.ts';
import type { Answer } from './players.ts';
import type { Call } from './scenario.ts';

/** A difference that stays, and why. */
export interface KnownDifference {
  reason: string;
  matches(call: Call, real: Answer, simulated: Answer, variant: Variant): boolean;
}

export const KNOWN: readonly KnownDifference[] = [];
