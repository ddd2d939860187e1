import type { ParseContext, TargetFunction } from '../contract.ts';

/** What libxtables says of an extension that the kernel does not have. */
export function warnMissing(name: string, { warn }: ParseContext): void {
  warn(`Warning: Extension ${name} revision 0 not supported, missing kernel module?\n`);
}

/** Such a target is refused when the rule is added, so no packet ever meets it. */
export function compileMissing(name: string): TargetFunction {
  throw new Error(`the kernel has no target ${name}`);
}
