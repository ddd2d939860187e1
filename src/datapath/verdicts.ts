/**
 * What a target says (include/uapi/linux/netfilter.h; x_tables.h for `next` and `return`).
 * `queue` carries the number in its upper 16 bits and the bypass flag in bit 15, as NF_QUEUE_NR does.
 */
export const Verdict = {
  drop: 0,
  accept: 1,
  stolen: 2,
  queue: 3,
  repeat: 4,
  stop: 5,
  /** XT_CONTINUE: go on with the next rule. */
  next: -1,
  /** XT_RETURN. */
  return: -2,
} as const;

/** A `Verdict` constant, or `queueVerdict(n, bypass)`. */
export type VerdictCode = number;

const BYPASS = 0x8000;

export function queueVerdict(queue: number, bypass: boolean): VerdictCode {
  return ((queue << 16) | Verdict.queue | (bypass ? BYPASS : 0)) >>> 0;
}

export function isQueueVerdict(verdict: VerdictCode): boolean {
  return verdict > 0 && (verdict & 0xff) === Verdict.queue;
}

export function queueOf(verdict: VerdictCode): { queue: number; bypass: boolean } {
  return { queue: verdict >>> 16, bypass: (verdict & BYPASS) !== 0 };
}
