import type { QueueEvent, TraceVerdict } from '../datapath/machine-contract.ts';
import { formatAddress } from '../packet/address-text.ts';
import { describePacket } from '../packet/notation/describe.ts';
import { formatEnd } from '../packet/notation/format.ts';
import { packetText } from '../trace/packet-text.ts';
import type { TracedPacket } from '../trace/run.ts';
import type { Step } from '../trace/steps.ts';
import type { Expectation, ExpectedRule, ExpectedVerdict } from './expectation.ts';

/** What became of one packet, taken while it was traced. */
export interface Observed {
  n: number;
  verdict: TraceVerdict;
  table: string | null;
  chain: string | null;
  rule: number | null;
  /** Text of the deciding rule; null for a policy or where no rule decided. */
  ruleText: string | null;
  reason: string | null;
  out: string | null;
  /** The packet as it left or was delivered; null if it was not let through. */
  passed: Uint8Array | null;
  /** What the machine itself sent because of it. */
  answers: Uint8Array[];
  emitted: number;
  /** NEW, ESTABLISHED, ...; null where connection tracking did not look. */
  state: string | null;
  queues: QueueEvent[];
}

const PASSED: ReadonlySet<TraceVerdict> = new Set(['forwarded', 'delivered', 'sent']);

/** Takes down what became of a packet. */
export function observe(
  traced: TracedPacket,
  steps: readonly Step[],
  ruleText: (table: string, chain: string, rule: number, family: 4 | 6) => string,
): Observed {
  const { outcome, input, n } = traced;
  const left = outcome.emitted.filter(({ device }) => device.kind !== 'loopback').map(({ bytes }) => bytes.slice());
  const through = outcome.verdict === 'forwarded' || outcome.verdict === 'sent';
  const passed = through
    ? (left[0] ?? null)
    : outcome.verdict === 'delivered'
      ? (outcome.delivered[0]?.bytes.slice() ?? null)
      : null;
  const tracked = steps.find((step) => step.kind === 'conntrack');
  const family = (traced.original[0] ?? 0x40) >> 4 === 6 ? 6 : 4;
  const { table, chain, rule } = outcome;
  return {
    n,
    verdict: outcome.verdict,
    table,
    chain,
    rule,
    ruleText: table === null || chain === null || rule === null ? null : ruleText(table, chain, rule, family),
    reason: outcome.reason ?? input.refused,
    out: outcome.out?.name ?? null,
    passed,
    answers: through ? left.slice(1) : left,
    emitted: left.length,
    state: tracked?.kind === 'conntrack' ? tracked.state : null,
    queues: outcome.queue.map((event) => ({ ...event })),
  };
}

/** One part of an expectation that does not hold. */
export interface Failure {
  key: keyof Expectation | 'split';
  expected: string;
  got: string;
  /** Number of the packet it is about; null: of all together. */
  packet: number | null;
}

/**
 * Judges the packets in question. All must be as expected; but for packets of a flow: one that was not let through decides alone (it
 * ended the conversation), and only the verdict is asked of all, the rest of the first.
 *
 * @param isFlow whether the packets are those of one flow
 */
export function judge(expectation: Expectation, observed: readonly Observed[], isFlow: boolean): Failure[] {
  if (!isFlow) return observed.flatMap((packet) => judgePacket(expectation, packet));
  const stopped = observed.find((packet) => !PASSED.has(packet.verdict));
  const [first] = observed;
  if (stopped !== undefined) return judgePacket(expectation, stopped);
  if (first === undefined) return [];
  const { verdict, ...rest } = expectation;
  const verdicts =
    verdict === undefined ? [] : observed.flatMap((packet) => judgePacket({ verdict }, packet)).slice(0, 1);
  return [...verdicts, ...judgePacket(rest, first)];
}

function judgePacket(expectation: Expectation, packet: Observed): Failure[] {
  const failures: Failure[] = [];
  const expect = (key: keyof Expectation, holds: boolean, got: string): void => {
    if (!holds) failures.push({ key, expected: expectedText(expectation, key), got, packet: packet.n });
  };
  const { verdict, rule, out, source, destination, state, answer, emitted, queue } = expectation;
  if (verdict !== undefined) expect('verdict', verdictHolds(verdict, packet.verdict), verdictText(packet));
  if (rule !== undefined) expect('rule', ruleHolds(rule, packet), placeText(packet));
  if (out !== undefined) expect('out', packet.out === out, packet.out ?? 'nothing left');
  for (const [key, wanted] of [
    ['source', source],
    ['destination', destination],
  ] as const) {
    if (wanted === undefined) continue;
    const ends = endTexts(packet.passed, key);
    expect(key, ends.includes(wanted), ends[0] ?? 'it was not let through');
  }
  if (state !== undefined) expect('state', packet.state === state, packet.state ?? 'not looked at');
  if (answer !== undefined)
    expect('answer', answerHolds(answer, packet), packet.answers.map(packetText).join('; ') || 'none');
  if (emitted !== undefined) expect('emitted', packet.emitted === emitted, String(packet.emitted));
  if (queue !== undefined) {
    const queues = packet.queues.map((event) => event.queue);
    expect('queue', queues.includes(queue), queues.join(', ') || 'no queue');
  }
  return failures;
}

function verdictHolds(expected: ExpectedVerdict, got: TraceVerdict): boolean {
  if (expected === 'allowed') return PASSED.has(got);
  return expected === 'blocked' ? !PASSED.has(got) : expected === got;
}

function verdictText(packet: Observed): string {
  const place = placeText(packet);
  const details = [packet.reason, place === 'no rule' ? null : place].filter((text) => text !== null);
  return details.length === 0 ? packet.verdict : `${packet.verdict} (${details.join('; ')})`;
}

export function placeText({ table, chain, rule, ruleText }: Observed): string {
  if (table === null) return 'no rule';
  const place = `${table}/${chain}/${rule ?? 'policy'}`;
  return ruleText === null ? place : `${place}: ${ruleText}`;
}

function ruleHolds(expected: ExpectedRule, packet: Observed): boolean {
  if (expected.kind === 'text') return packet.ruleText?.includes(expected.text) ?? false;
  if (packet.table !== expected.table || packet.chain !== expected.chain) return false;
  if (expected.rule === null) return true;
  return expected.rule === 'policy' ? packet.rule === null : packet.rule === expected.rule;
}

/** An end as it may be written: with its port, and the address alone. */
export function endTexts(bytes: Uint8Array | null, side: 'source' | 'destination'): string[] {
  if (bytes === null) return [];
  const packet = describePacket(bytes);
  if (packet.raw !== undefined) return [];
  const port = side === 'source' ? packet.sourcePort : packet.destinationPort;
  const address = formatAddress(packet.family, packet[side]);
  return port === undefined ? [address] : [formatEnd(packet.family, packet[side], port), address];
}

/** `none`, or an answer that has all the words; `rst` is any segment with RST. */
function answerHolds(expected: string, packet: Observed): boolean {
  if (expected === 'none') return packet.answers.length === 0;
  return packet.answers.some((bytes) => {
    const words = packetText(bytes).split(/[\s,]+/);
    return expected
      .split(/\s+/)
      .every((word) =>
        word.toLowerCase() === 'rst'
          ? words.some((flags) => /^[FSPAUEC]*R[FSPAUEC]*$/.test(flags))
          : words.includes(word),
      );
  });
}

function expectedText(expectation: Expectation, key: keyof Expectation): string {
  const value = expectation[key];
  if (typeof value !== 'object') return String(value);
  return value.kind === 'text'
    ? `a rule with "${value.text}"`
    : `${value.table}/${value.chain}${value.rule === null ? '' : `/${value.rule}`}`;
}
