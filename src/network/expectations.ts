import type { Conversation } from './converse.ts';
import type { ConversationResult, ExpectedConversation } from './description.ts';
import { NetworkError } from './description.ts';

const RESULTS = ['answered', 'refused', 'lost'];
const PROTOCOLS = ['tcp', 'udp', 'icmp'];
const SPREADS = ['even', 'one'];
/** Standard deviations that an even spread may be off; by chance it is in one of 16,000. */
const DEVIATIONS = 4;

/** How a conversation went, in the simulation or really. */
export interface PlayedConversation {
  result: ConversationResult;
  /** Host that it reached; null if none, or nobody knows. */
  server: string | null;
  seenAs: Conversation['seenAs'];
  stop: Conversation['stop'];
}

/** Throws NetworkError where an expectation has a word that none can have. */
export function checkExpectation(expected: ExpectedConversation, index: number): void {
  const path = ['conversations', index];
  const among = (key: 'expect' | 'protocol' | 'spread', words: readonly string[]): void => {
    const word = expected[key];
    if (word != null && !words.includes(word))
      throw new NetworkError([...path, key], `"${word}" is none of ${words.join(', ')}`);
  };
  among('expect', RESULTS);
  among('protocol', PROTOCOLS);
  among('spread', SPREADS);
  const { times, by, spread } = expected;
  if (times != null && !(Number.isInteger(times) && times >= 1 && times <= 10_000))
    throw new NetworkError([...path, 'times'], 'a number from 1 to 10000 is needed');
  if (Array.isArray(by) && (by.length === 0 || by.some((host) => typeof host !== 'string')))
    throw new NetworkError([...path, 'by'], 'names of hosts are needed');
  if (spread != null && (by == null || times == null))
    throw new NetworkError([...path, 'spread'], '"by" and "times" are needed, too');
}

/** What of an expectation does not hold, in words; empty if all does. With `times` for each conversation, the same words once. */
export function judgeConversations(
  expected: ExpectedConversation,
  conversations: readonly PlayedConversation[],
): string[] {
  const wrong = new Set(conversations.flatMap((conversation) => judgeOne(expected, conversation)));
  const { spread, by } = expected;
  if (wrong.size > 0 || spread == null || by == null) return [...wrong];
  const counts = hostsOf(by).map((host) => conversations.filter(({ server }) => server === host).length);
  const told = hostsOf(by)
    .map((host, index) => `${host} ${counts[index]}`)
    .join(', ');
  if (spread === 'one') return counts.includes(conversations.length) ? [] : [`expected all on one host, are ${told}`];
  const share = 1 / counts.length;
  const most = DEVIATIONS * Math.sqrt(conversations.length * share * (1 - share));
  const even = counts.every((count) => Math.abs(count - conversations.length * share) <= most);
  return even ? [] : [`expected an even spread, is ${told}`];
}

function judgeOne(expected: ExpectedConversation, { result, stop, seenAs, server }: PlayedConversation): string[] {
  const wrong: string[] = [];
  if (result !== expected.expect) {
    wrong.push(`expected ${expected.expect}, is ${result}${stop === null ? '' : ` at ${stop.host}: ${stop.reason}`}`);
  }
  if (expected.at != null && stop?.host !== expected.at) {
    wrong.push(
      `expected it to end at ${expected.at}, ${stop === null ? 'it does not end' : `it ends at ${stop.host}`}`,
    );
  }
  if (expected.by != null && (server === null || !hostsOf(expected.by).includes(server))) {
    wrong.push(`expected it to reach ${hostsOf(expected.by).join(' or ')}, it reaches ${server ?? 'nobody'}`);
  }
  if (expected.seen_as != null) {
    const source = seenAs?.source ?? null;
    const same = source === expected.seen_as || source?.startsWith(`${expected.seen_as}:`) === true;
    if (!same) wrong.push(`expected to be seen as ${expected.seen_as}, is ${source ?? 'not seen'}`);
  }
  return wrong;
}

function hostsOf(by: string | readonly string[]): readonly string[] {
  return typeof by === 'string' ? [by] : by;
}
