import type { Call } from './generate.ts';
import type { Answer } from './tools.ts';

/** Why the real tool's answer is nothing to be like; null: it is (docs/differences.md lists the reasons). */
export function knownReason({ args }: Call, wanted: Answer): string | null {
  if (wanted.status === -1) return 'the real tool crashed';
  if (args[0] === '-' && /Internal protocol error|ipset protocol error|Missing mandatory argument/.test(wanted.err)) {
    return 'in the interactive mode the real tool takes parts of a line that failed for the next, or its answer for the answer to that';
  }
  return null;
}
