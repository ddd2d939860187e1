import { type ConnectionChange, Kept, type QueueAnswer, type WaitingAnswer } from '../datapath/queueing.ts';
import { queueVerdict, Verdict, type VerdictCode } from '../datapath/verdicts.ts';
import { fromHex } from '../packet/bytes.ts';
import { labelWords, QueueError } from './handler.ts';

const VERDICTS: ReadonlyMap<string, VerdictCode> = new Map([
  ['accept', Verdict.accept],
  ['drop', Verdict.drop],
  ['repeat', Verdict.repeat],
  ['stop', Verdict.stop],
  ['stolen', Verdict.stolen],
  ['later', Kept.later],
  ['nobody', Kept.nobody],
  ['full', Kept.full],
]);

/**
 * Reads what a handler answered: an object with `verdict` and perhaps `mark`, `payload`, `conntrack`, `release`, or the verdict alone.
 *
 * @param queue the queue of the packet at hand
 * @throws QueueError that says what is wrong with it
 */
export function readAnswer(answer: unknown, queue: number): QueueAnswer {
  if (typeof answer === 'string') return { verdict: readVerdict(answer, false) };
  if (typeof answer !== 'object' || answer === null) {
    throw new QueueError(`the answer must be an object like {"verdict":"accept"}, not ${describe(answer)}`);
  }
  const { verdict, mark, priority, payload, bypass, conntrack, release } = answer as Record<string, unknown>;
  const read: QueueAnswer = { verdict: readVerdict(verdict, bypass === true) };
  if (isGiven(mark)) read.mark = readMark('mark', mark);
  if (isGiven(priority)) read.priority = readMark('priority', priority);
  if (isGiven(payload)) read.payload = readPayload(payload);
  if (isGiven(conntrack)) read.connection = readChange(conntrack);
  if (isGiven(release)) read.release = readReleases(release, queue);
  return read;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function readMark(name: string, mark: unknown): number {
  if (typeof mark === 'number' && Number.isInteger(mark) && mark >= 0 && mark <= 0xffffffff) return mark;
  throw new QueueError(`"${name}" must be a whole number from 0 to 4294967295, not ${describe(mark)}`);
}

function readChange(value: unknown): ConnectionChange {
  if (typeof value !== 'object' || value === null) {
    throw new QueueError(`"conntrack" must be an object like {"mark":7}, not ${describe(value)}`);
  }
  const { mark, markMask, labels, labelsMask } = value as Record<string, unknown>;
  const change: ConnectionChange = {};
  if (isGiven(mark)) change.mark = readMark('mark', mark);
  if (isGiven(markMask)) change.markMask = readMark('markMask', markMask);
  if (isGiven(labels)) change.labels = readLabels('labels', labels);
  if (isGiven(labelsMask)) change.labelsMask = readLabels('labelsMask', labelsMask);
  return change;
}

function readLabels(name: string, value: unknown): number[] {
  const bytes = typeof value === 'string' ? fromHex(value) : null;
  if (bytes?.length !== 16) throw new QueueError(`"${name}" must be 16 bytes in hexadecimal, not ${describe(value)}`);
  return labelWords(bytes);
}

function readReleases(value: unknown, queue: number): WaitingAnswer[] {
  if (!Array.isArray(value)) {
    throw new QueueError(
      `"release" must be a list of answers like [{"id":1,"verdict":"accept"}], not ${describe(value)}`,
    );
  }
  return value.map((each: unknown) => {
    const { queue: from = queue, id, release } = (each ?? {}) as Record<string, unknown>;
    if (typeof id !== 'number' || typeof from !== 'number' || release !== undefined) {
      throw new QueueError(`"release" must hold answers like {"id":1,"verdict":"accept"}, not ${describe(each)}`);
    }
    const answer = readAnswer(each, from);
    if (answer.verdict < 0) throw new QueueError(`"release": packet ${id} must get a verdict, not ${describe(each)}`);
    return { queue: from, id, answer };
  });
}

/** Reads one line of a command's answers; `queue` and `id` are those of the packet it was asked about. */
export function readAnswerLine(line: string, queue: number, id: number): QueueAnswer {
  let answer: unknown;
  try {
    answer = JSON.parse(line);
  } catch {
    throw new QueueError(`the answer is not JSON: ${describe(line)}`);
  }
  const read = readAnswer(answer, queue);
  const answered = typeof answer === 'object' && answer !== null ? (answer as { id?: unknown }).id : undefined;
  if (answered !== id) {
    throw new QueueError(`the answer must have "id":${id}, as the packet has, not ${describe(answered)}`);
  }
  return read;
}

function readVerdict(verdict: unknown, bypass: boolean): VerdictCode {
  if (typeof verdict === 'string') {
    const code = VERDICTS.get(verdict);
    if (code !== undefined) return code;
    const queue = /^queue:(\d{1,5})$/.exec(verdict);
    if (queue !== null && Number(queue[1]) <= 0xffff) return queueVerdict(Number(queue[1]), bypass);
  }
  throw new QueueError(
    `"verdict" must be accept, drop, repeat, stop, stolen, later, nobody, full or queue:N (N to 65535), not ${describe(verdict)}`,
  );
}

function readPayload(payload: unknown): Uint8Array {
  const bytes = typeof payload === 'string' ? fromHex(payload) : payload;
  if (!(bytes instanceof Uint8Array)) {
    throw new QueueError(`"payload" must be the packet in hexadecimal, not ${describe(payload)}`);
  }
  if (bytes.length > 0xffff) throw new QueueError(`"payload" must be at most 65535 bytes, not ${bytes.length}`);
  return bytes;
}

function describe(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text === undefined ? typeof value : text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
