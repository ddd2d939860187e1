import type { Family } from '../packet/family.ts';
import { readStateFile } from './files.ts';

/** What a rule may ask about a set. */
export interface SetHeader {
  name: string;
  dimension: number;
  family: Family | 0;
}

/** Looks sets up by name in the state directory's `ipsets`, which is read when the first one is asked for. */
export function setHeaders(directory: string): (name: string) => SetHeader | undefined {
  let sets: Map<string, SetHeader> | null = null;
  return (name) => {
    sets ??= readHeaders(readStateFile(directory, 'ipsets') ?? '');
    return sets.get(name);
  };
}

function readHeaders(text: string): Map<string, SetHeader> {
  const sets = new Map<string, SetHeader>();
  for (const match of text.matchAll(/^create (\S+) (\S+)(.*)$/gm)) {
    const [, name, type, options] = match as unknown as [string, string, string, string];
    const [kind, elements = ''] = type.split(':');
    let family: Family | 0 = 4;
    if (type === 'list:set' || type === 'bitmap:port') family = 0;
    else if (kind === 'hash' && / family inet6\b/.test(options)) family = 6;
    else if (type === 'hash:mac') family = 0;
    sets.set(name, { name, dimension: elements.split(',').length, family });
  }
  return sets;
}

/** The same for rules that are only read, not used: a set that is not there may be anything. */
export function anySet(directory: string): (name: string) => SetHeader {
  const known = setHeaders(directory);
  return (name) => known(name) ?? { name, dimension: MOST_DIMENSIONS, family: 0 };
}

/** Parts that a set's elements have at most (`IPSET_DIM_MAX`). */
const MOST_DIMENSIONS = 6;
