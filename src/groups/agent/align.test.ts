import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { align, editLines } from './align.ts';

/** What iptables-restore makes of a chain. */
function carryOut(chain: readonly string[], lines: readonly string[]): string[] {
  const rules = [...chain];
  for (const line of lines) {
    const [verb, , ...rest] = line.split(' ');
    if (verb === '-A') rules.push(rest.join(' '));
    else if (verb === '-D') rules.splice(Number(rest[0]) - 1, 1);
    else rules.splice(Number(rest[0]) - 1, 0, rest.slice(1).join(' '));
  }
  return rules;
}

/** Length of the longest list that both contain in order, by the textbook. */
function common(a: readonly string[], b: readonly string[]): number {
  let row = new Array<number>(b.length + 1).fill(0);
  for (const x of a) {
    const next = [0];
    b.forEach((y, j) => {
      next.push(x === y ? row[j]! + 1 : Math.max(row[j + 1]!, next[j]!));
    });
    row = next;
  }
  return row.at(-1)!;
}

const list = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 12 });

describe('edits of a chain', () => {
  it('lead from the one to the other, and are as few as can be', () => {
    fc.assert(
      fc.property(list, list, (from, to) => {
        const edits = align(from, to);
        expect(carryOut(from, editLines('c', edits))).toEqual(to);
        expect(edits.filter(({ kind }) => kind === 'keep').length).toBe(common(from, to));
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it('append at the end, insert before', () => {
    expect(editLines('c', align(['a', 'b'], ['x', 'a', 'b', 'y']))).toEqual(['-I c 1 x', '-A c y']);
    expect(editLines('c', align(['a', 'b', 'z'], ['b', 'y', 'z']))).toEqual(['-D c 1', '-I c 2 y']);
  });
});
