import type { MatchExtension } from '../contract.ts';

/** All matches, one line each. */
export const matches: readonly MatchExtension[] = [];
