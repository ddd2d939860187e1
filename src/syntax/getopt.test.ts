import { describe, expect, it } from 'vitest';
import { Getopt, longOptions, shortOptions } from './getopt.ts';

const LONG = longOptions<string>([
  { name: 'list', need: 'optional', id: 'L' },
  { name: 'list-rules', need: 'optional', id: 'S' },
  { name: 'source', need: 'required', id: 's' },
  { name: 'src', need: 'required', id: 's' },
  { name: 'numeric', need: 'none', id: 'n' },
]);

function all(words: string[], inOrder = true) {
  const getopt = new Getopt<string>(['x', ...words], shortOptions('L::s:n'), (letter) => letter, LONG, inOrder);
  const found = [];
  for (let next = getopt.next(); next.kind !== 'end'; next = getopt.next()) found.push(next);
  return { found, rest: getopt.rest() };
}

describe('getopt_long as in glibc', () => {
  it('takes abbreviations that mean one option, under any of its names', () => {
    expect(all(['--s', '1']).found).toEqual([{ kind: 'option', id: 's', argument: '1', word: '1' }]);
    expect(all(['--num']).found).toMatchObject([{ kind: 'option', id: 'n' }]);
  });

  it('does not take ambiguous ones, and prefers an exact name', () => {
    expect(all(['--lis']).found).toEqual([
      {
        kind: 'unknown',
        word: '--lis',
        problem: "option '--lis' is ambiguous; possibilities: '--list' '--list-rules'",
      },
    ]);
    expect(all(['--list']).found).toMatchObject([{ kind: 'option', id: 'L', argument: null }]);
  });

  it('gives the word before the next one, which error texts quote', () => {
    // `iptables -L -q1`: unknown option "-L"
    expect(all(['-L', '-q1']).found[1]).toMatchObject({ kind: 'unknown', word: '-L' });
    expect(all(['-q']).found).toEqual([{ kind: 'unknown', word: '-q', problem: "invalid option -- 'q'" }]);
    expect(all(['-s1.2.3.4']).found).toEqual([{ kind: 'option', id: 's', argument: '1.2.3.4', word: '-s1.2.3.4' }]);
  });

  it('tells a missing argument from an argument that is not wanted', () => {
    expect(all(['-s']).found).toEqual([
      { kind: 'missing-argument', word: '-s', problem: "option requires an argument -- 's'" },
    ]);
    expect(all(['--so']).found).toMatchObject([{ problem: "option '--source' requires an argument" }]);
    expect(all(['--numeric=1']).found).toEqual([
      { kind: 'unknown', word: '--numeric=1', problem: "option '--numeric' doesn't allow an argument" },
    ]);
  });

  it('reports other words in order, or moves them to the end', () => {
    expect(all(['a', '-n']).found.map(({ kind }) => kind)).toEqual(['plain', 'option']);
    expect(all(['a', '-n', '--', '-n'], false)).toMatchObject({ found: [{ id: 'n' }], rest: ['a', '-n'] });
  });
});
