import type { Packet } from '../packet/packet.ts';
import type { HookState } from './hooks.ts';
import type { VerdictCode } from './verdicts.ts';

/**
 * What walks a packet through the chains of one table. There are two: `ReferenceEvaluator`, rule by rule as anyone can read it,
 * which also tells what it does; and `ProgramEvaluator` on flat arrays. Both count into the same `TableProgram` and
 * give the same results; a classifier for long runs of pure rules fits beneath the same interface.
 */
export interface TableEvaluator {
  /**
   * Runs the table's base chain of `at.hook`. The result is never `next` or `return`.
   * May be called again while it runs (an answer of the machine traverses OUTPUT from inside a target).
   */
  run(packet: Packet, at: HookState): VerdictCode;
  /** Slot in the `TableProgram` of the rule or policy that gave the last verdict. */
  readonly decided: number;
}
