import type { Call } from './generate.ts';
import type { Answer } from './tools.ts';

/** Why the real tool's answer is nothing to be like; null: it is (docs/differences.md lists the reasons). */
export function knownReason({ args }: Call, wanted: Answer): string | null {
  if (wanted.status === -1) return 'the real tool crashed';
  if (args[0] === '-' && wanted.err.includes('ipset v7.17: ')) {
    return 'in the interactive mode the real tool takes parts of a line that failed for the next, or its answer for the answer to that';
  }
  if (args.includes('@FILE') && wanted.err.includes('Syntax error: bitmask is not valid')) {
    return 'the real tool does not take the prefix that it prints behind a bitmask';
  }
  return null;
}
