import { describe, expect, it } from 'vitest';
import type { ExpectedConversation } from './description.ts';
import { checkExpectation, judgeConversations, type PlayedConversation } from './expectations.ts';

const reached = (server: string | null): PlayedConversation => ({
  result: server === null ? 'lost' : 'answered',
  server,
  seenAs: server === null ? null : { source: '10.0.0.1:40000', destination: '10.0.0.2:80' },
  stop: server === null ? { host: 'router', reason: 'dropped', table: 'filter', chain: 'FORWARD', rule: 1 } : null,
});
const played = (counts: Record<string, number>): PlayedConversation[] =>
  Object.entries(counts).flatMap(([server, count]) => Array.from({ length: count }, () => reached(server)));
const expected = (more: Partial<ExpectedConversation>): ExpectedConversation => ({
  from: 'a',
  to: 'b:80',
  expect: 'answered',
  ...more,
});

describe('who answers', () => {
  it('is the host, or one of the hosts, that are named', () => {
    expect(judgeConversations(expected({ by: 'web-1' }), [reached('web-1')])).toEqual([]);
    expect(judgeConversations(expected({ by: 'web-1' }), [reached('web-2')])).toEqual([
      'expected it to reach web-1, it reaches web-2',
    ]);
    expect(judgeConversations(expected({ by: ['web-1', 'web-2'] }), [reached('web-2')])).toEqual([]);
    expect(judgeConversations(expected({ by: ['web-1', 'web-2'] }), [reached(null)])).toEqual([
      'expected answered, is lost at router: dropped',
      'expected it to reach web-1 or web-2, it reaches nobody',
    ]);
  });

  it('says once what is wrong with many', () => {
    expect(judgeConversations(expected({ by: 'web-1', times: 3 }), played({ 'web-1': 1, 'web-2': 2 }))).toEqual([
      'expected it to reach web-1, it reaches web-2',
    ]);
  });
});

describe('spread', () => {
  const even = expected({ by: ['web-1', 'web-2'], times: 100, spread: 'even' });
  const one = { ...even, spread: 'one' } as const;

  it('is even within four standard deviations', () => {
    expect(judgeConversations(even, played({ 'web-1': 50, 'web-2': 50 }))).toEqual([]);
    expect(judgeConversations(even, played({ 'web-1': 30, 'web-2': 70 }))).toEqual([]);
    expect(judgeConversations(even, played({ 'web-1': 29, 'web-2': 71 }))).toEqual([
      'expected an even spread, is web-1 29, web-2 71',
    ]);
  });

  it('is on one host', () => {
    expect(judgeConversations(one, played({ 'web-2': 100 }))).toEqual([]);
    expect(judgeConversations(one, played({ 'web-1': 1, 'web-2': 99 }))).toEqual([
      'expected all on one host, are web-1 1, web-2 99',
    ]);
  });
});

it.each([
  [{ times: 0 }, 'a number from 1 to 10000 is needed'],
  [{ spread: 'even' as const }, '"by" and "times" are needed, too'],
  [{ spread: 'some' as 'even', by: 'a', times: 2 }, '"some" is none of even, one'],
  [{ by: [] }, 'names of hosts are needed'],
])('refuses %j', (more, message) => {
  expect(() => checkExpectation(expected(more), 0)).toThrow(message);
});
