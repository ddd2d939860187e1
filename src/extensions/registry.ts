import type { Family } from '../packet/family.ts';
import type { Extension, MatchExtension, TargetExtension } from './contract.ts';
import { matches } from './matches/index.ts';
import { targets } from './targets/index.ts';

function index<E extends Extension>(extensions: readonly E[]): Record<Family, ReadonlyMap<string, E>> {
  const byFamily: Record<Family, Map<string, E>> = { 4: new Map(), 6: new Map() };
  for (const extension of extensions) {
    for (const family of extension.families) {
      byFamily[family].set(extension.name, extension);
      for (const alias of extension.aliases ?? []) byFamily[family].set(alias, extension);
    }
  }
  return byFamily;
}

const matchIndex = index(matches);
const targetIndex = index(targets);

/** The match that `-m NAME` loads in a family; undefined if there is none. */
export function findMatch(name: string, family: Family): MatchExtension | undefined {
  return matchIndex[family].get(name);
}

/** The target extension that `-j NAME` loads in a family; undefined if there is none. */
export function findTarget(name: string, family: Family): TargetExtension | undefined {
  return targetIndex[family].get(name);
}

export { matches, targets };
