import type { Call } from './generate.ts';

export interface Answer {
  status: number;
  out: string;
  err: string;
}

/** Why the real tool's answer is nothing to be like; null: it is (docs/differences.md lists the reasons). */
export function knownReason(calls: readonly Call[], wanted: Answer, got: Answer, entries: number): string | null {
  const call = calls.at(-1)!;
  const mapped = calls.some((one) => one.includes('-n') || one.includes('-g'));
  if (mapped && wanted.out !== got.out && withoutPorts(wanted.out) === withoutPorts(got.out)) {
    return 'the kernel looks for a free port from a random one on';
  }
  if (wanted.status === -1) return 'the real tool crashed';
  const changed = Number(/\): (\d+) flow entries have been updated/.exec(wanted.err)?.[1] ?? 0);
  if (
    call[0] === '-U' &&
    entries > 1 &&
    (changed > 1 || `${wanted.err}${got.err}`.includes('Operation failed') || wanted.status !== 0)
  ) {
    return 'which entry comes first in the hash of the kernel decides which is shown and which answer is taken for whose';
  }
  return null;
}

/** What the tool prints, without ports and what time changes. */
function withoutPorts(text: string): string {
  const lines = text
    .replace(/((reply-)?port(-src|-dst)?[ =]|[sd]port=|<[sd]port>)\d+/g, '$1N')
    .replace(/( \d+)( [A-Z_]+)? src=/g, '$2 src=');
  return lines.split('\n').sort().join('\n');
}
