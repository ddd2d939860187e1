import type { QueueAnswer } from '../datapath/queueing.ts';
import { queueVerdict, Verdict, type VerdictCode } from '../datapath/verdicts.ts';
import { fromHex } from '../packet/bytes.ts';
import { QueueError } from './handler.ts';

const VERDICTS: ReadonlyMap<string, VerdictCode> = new Map([
  ['accept', Verdict.accept],
  ['drop', Verdict.drop],
  ['repeat', Verdict.repeat],
  ['stop', Verdict.stop],
  ['stolen', Verdict.stolen],
]);

/**
 * Reads what a handler answered: an object with `verdict` and perhaps `mark` and `payload`, or the verdict alone.
 *
 * @throws QueueError that says what is wrong with it
 */
export function readAnswer(answer: unknown): QueueAnswer {
  if (typeof answer === 'string') return { verdict: readVerdict(answer) };
  if (typeof answer !== 'object' || answer === null) {
    throw new QueueError(`the answer must be an object like {"verdict":"accept"}, not ${describe(answer)}`);
  }
  const { verdict, mark, payload } = answer as Record<string, unknown>;
  const read: QueueAnswer = { verdict: readVerdict(verdict) };
  if (mark !== undefined && mark !== null) {
    if (typeof mark !== 'number' || !Number.isInteger(mark) || mark < 0 || mark > 0xffffffff) {
      throw new QueueError(`"mark" must be a whole number from 0 to 4294967295, not ${describe(mark)}`);
    }
    read.mark = mark;
  }
  if (payload !== undefined && payload !== null) read.payload = readPayload(payload);
  return read;
}

/** Reads one line of a command's answers; `id` is that of the packet it was asked about. */
export function readAnswerLine(line: string, id: number): QueueAnswer {
  let answer: unknown;
  try {
    answer = JSON.parse(line);
  } catch {
    throw new QueueError(`the answer is not JSON: ${describe(line)}`);
  }
  const read = readAnswer(answer);
  const answered =
    typeof answer === 'object' && answer !== null ? (answer as { id?: unknown }).id : undefined;
  if (answered !== id) {
    throw new QueueError(`the answer must have "id":${id}, as the packet has, not ${describe(answered)}`);
  }
  return read;
}

function readVerdict(verdict: unknown): VerdictCode {
  if (typeof verdict === 'string') {
    const code = VERDICTS.get(verdict);
    if (code !== undefined) return code;
    const queue = /^queue:(\d{1,5})$/.exec(verdict);
    if (queue !== null && Number(queue[1]) <= 0xffff) return queueVerdict(Number(queue[1]), false);
  }
  throw new QueueError(
    `"verdict" must be accept, drop, repeat, stop, stolen or queue:N (N to 65535), not ${describe(verdict)}`,
  );
}

function readPayload(payload: unknown): Uint8Array {
  const bytes = typeof payload === 'string' ? fromHex(payload) : payload;
  if (!(bytes instanceof Uint8Array)) {
    throw new QueueError(`"payload" must be the packet in hexadecimal, not ${describe(payload)}`);
  }
  if (bytes.length < 20 || bytes.length > 0xffff + 40) {
    throw new QueueError(`"payload" must be a whole packet from its IP header, not ${bytes.length} bytes`);
  }
  return bytes;
}

function describe(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text === undefined ? typeof value : text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
