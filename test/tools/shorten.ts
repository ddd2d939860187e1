import type { Specification } from './generate.ts';
import type { Scenario } from './scenario.ts';

/** Leaves out rules, groups of words and single words as long as a difference stays; null if it is not there a second time. */
export function shorten<Difference>(
  scenario: Scenario,
  differs: (scenario: Scenario) => Difference | null,
): { scenario: Scenario; difference: Difference } | null {
  const first = differs(scenario);
  if (first === null) return null;
  let best = { scenario, difference: first };
  const attempt = (specifications: readonly Specification[]): boolean => {
    const candidate = scenario.make(specifications);
    const difference = differs(candidate);
    if (difference === null) return false;
    best = { scenario: candidate, difference };
    return true;
  };
  for (let i = 0; best.scenario.specifications.length > 1 && i < best.scenario.specifications.length; ) {
    if (!attempt(best.scenario.specifications.toSpliced(i, 1))) i++;
  }
  const count = best.scenario.specifications.length;
  for (let i = 0; i < count; i++) {
    const change = (groups: string[][]): boolean => {
      const all = best.scenario.specifications;
      return attempt(all.with(i, { ...all[i]!, groups }));
    };
    for (let g = 0; g < best.scenario.specifications[i]!.groups.length; ) {
      if (!change(best.scenario.specifications[i]!.groups.toSpliced(g, 1))) g++;
    }
    for (let g = 0; g < best.scenario.specifications[i]!.groups.length; g++) {
      const group = best.scenario.specifications[i]!.groups[g]!;
      if (group[0] === '!') change(best.scenario.specifications[i]!.groups.with(g, group.slice(1)));
    }
  }
  return best;
}
