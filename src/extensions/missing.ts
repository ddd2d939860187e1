import type { ParseContext, TargetFunction } from './contract.ts';

/** Names that each reader of warnings has been told of. */
const told = new WeakMap<ParseContext['warn'], Set<string>>();

/** What libxtables says, once, of an extension that the kernel does not have. */
export function warnMissing(name: string, { warn }: ParseContext): void {
  const names = told.get(warn) ?? new Set();
  if (names.has(name)) return;
  told.set(warn, names.add(name));
  warn(`Warning: Extension ${name} revision 0 not supported, missing kernel module?\n`);
}

/** Such a target is refused when the rule is added, so no packet ever meets it. */
export function compileMissing(name: string): TargetFunction {
  throw new Error(`the kernel has no target ${name}`);
}
