import type { TargetExtension } from '../contract.ts';

/** All target extensions, one line each. */
export const targets: readonly TargetExtension[] = [];
