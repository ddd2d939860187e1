import type { Conversation } from './converse.ts';
import type { ExpectedConversation } from './description.ts';
import { NetworkError } from './description.ts';

const RESULTS = ['answered', 'refused', 'lost'];
const PROTOCOLS = ['tcp', 'udp', 'icmp'];

/** Throws NetworkError where an expectation has a word that none can have. */
export function checkExpectation(expected: ExpectedConversation, index: number): void {
  const path = ['conversations', index];
  if (!RESULTS.includes(expected.expect)) {
    throw new NetworkError([...path, 'expect'], `"${expected.expect}" is none of ${RESULTS.join(', ')}`);
  }
  if (expected.protocol != null && !PROTOCOLS.includes(expected.protocol)) {
    throw new NetworkError([...path, 'protocol'], `"${expected.protocol}" is none of ${PROTOCOLS.join(', ')}`);
  }
}

/** What of an expectation does not hold, in words; empty if all does. */
export function judgeConversation(expected: ExpectedConversation, conversation: Conversation): string[] {
  const wrong: string[] = [];
  const { result, stop, seenAs } = conversation;
  if (result !== expected.expect) {
    wrong.push(`expected ${expected.expect}, is ${result}${stop === null ? '' : ` at ${stop.host}: ${stop.reason}`}`);
  }
  if (expected.at != null && stop?.host !== expected.at) {
    wrong.push(
      `expected it to end at ${expected.at}, ${stop === null ? 'it does not end' : `it ends at ${stop.host}`}`,
    );
  }
  if (expected.seen_as != null) {
    const source = seenAs?.source ?? null;
    const same = source === expected.seen_as || source?.startsWith(`${expected.seen_as}:`) === true;
    if (!same) wrong.push(`expected to be seen as ${expected.seen_as}, is ${source ?? 'not seen'}`);
  }
  return wrong;
}
