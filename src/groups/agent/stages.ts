import { align, type Edit, editLines } from './align.ts';
import { covers, intersection, isKnownRule, type Permit, permitRule, readPermit } from './permits.ts';

/**
 * The three stages of a change. All hosts pass one before any host begins the next:
 * - `close`: what is no longer allowed goes; nothing that was not allowed before is allowed after any step of it
 * - `open`: what is newly allowed comes; nothing that will not be allowed is allowed after any step of it
 * - `clean`: chains and sets of machines that are gone go
 */
export type Stage = 'close' | 'open' | 'clean';
export const STAGES: readonly Stage[] = ['close', 'open', 'clean'];

/** A rule of a chain on its way from the old chain to the new one: when it comes, when it goes. */
export interface Passage {
  text: string;
  /** Null: it is there already. */
  comes: Stage | null;
  /** Null: it stays. */
  goes: Stage | null;
}

/** Lines of `iptables-restore --noflush` that bring a chain through a stage. */
export function stageLines(chain: string, passages: readonly Passage[], stage: Stage): string[] {
  const now = STAGES.indexOf(stage);
  const at = (when: Stage | null, never: number): number => (when === null ? never : STAGES.indexOf(when));
  const edits: Edit[] = [];
  for (const { text, comes, goes } of passages) {
    const from = at(comes, -1);
    const to = at(goes, STAGES.length);
    if (from > now || to < now) continue;
    edits.push({ kind: from === now ? 'add' : to === now ? 'remove' : 'keep', text });
  }
  return edits.every(({ kind }) => kind === 'keep') ? [] : editLines(chain, edits);
}

/**
 * The passages of a chain whose rules let through what they match (RETURN) or hold it up (all others). A rule that lets something through
 * goes in `close`, unless what it lets through stays allowed by another, and comes in `open`, unless another let that through before. Where
 * an old and a new rule overlap, a rule for what both let through bridges the time between.
 *
 * @param last when rules go that hold something up
 */
export function passagesOf(from: readonly string[], to: readonly string[], last: Stage): Passage[] {
  const edits = align(from, to);
  const permits = new Map(edits.map(({ text }) => [text, readPermit(text)]));
  const of = (kind: Edit['kind']): Permit[] =>
    edits.flatMap(({ kind: own, text }) => (own === kind ? (permits.get(text) ?? []) : []));
  const [kept, removed, added] = [of('keep'), of('remove'), of('add')];
  const passages = edits.map(({ kind, text }): Passage => {
    const permit = permits.get(text) ?? null;
    if (kind === 'keep') return { text, comes: null, goes: null };
    if (kind === 'remove') {
      const stays =
        permit !== null && (isKnownRule(permit) || [...kept, ...added].some((other) => covers(other, permit)));
      const goes = permit === null ? last : stays ? 'open' : 'close';
      return { text, comes: null, goes };
    }
    const was =
      permit !== null && (isKnownRule(permit) || [...kept, ...removed].some((other) => covers(other, permit)));
    return { text, comes: permit === null || was ? 'close' : 'open', goes: null };
  });
  const bridges = bridgesOf(kept, removed, added);
  // Beside the first rule that comes later: there what is let through has not been held up yet.
  const place = passages.findIndex(({ comes }) => comes === 'open');
  if (place >= 0) {
    passages.splice(place, 0, ...bridges.map((text): Passage => ({ text, comes: 'close', goes: 'open' })));
  }
  return passages;
}

/** Rules for what an old and a new rule let through, where neither covers the other. */
function bridgesOf(kept: readonly Permit[], removed: readonly Permit[], added: readonly Permit[]): string[] {
  const bridges: Permit[] = [];
  for (const old of removed) {
    if (isKnownRule(old) || [...kept, ...added].some((other) => covers(other, old))) continue;
    for (const next of added) {
      if (isKnownRule(next) || [...kept, ...removed].some((other) => covers(other, next))) continue;
      const both = intersection(old, next);
      if (both !== null && ![...kept, ...bridges].some((other) => covers(other, both))) bridges.push(both);
    }
  }
  return bridges.map(permitRule);
}
