import type { QueueAnswer, QueuedPacket, QueueListener } from '../datapath/queueing.ts';
import { Verdict } from '../datapath/verdicts.ts';
import { readAnswer } from './answer.ts';
import { handlerPacket, QueueError, type QueueHandler } from './handler.ts';

/** Something that answers queued packets. */
export interface Handler {
  /** For messages: `--queue 50-58=./policy.js`. */
  readonly name: string;
  handle(packet: QueuedPacket): QueueAnswer | Promise<QueueAnswer>;
  /** After the last packet. */
  close?(): Promise<void>;
}

/** Who listens where: queue numbers `first` to `last`. */
export interface QueueRange {
  first: number;
  last: number;
  handler: Handler;
}

/** The handler that says the same to every packet. */
export function fixedHandler(name: string, verdict: 'accept' | 'drop'): Handler {
  const answer: QueueAnswer = { verdict: Verdict[verdict] };
  return { name, handle: () => answer };
}

/** A handler that is a function; it may answer at once or later. */
export function functionHandler(name: string, handler: QueueHandler): Handler {
  return {
    name,
    handle(packet) {
      const answer = handler({ ...handlerPacket(packet), bytes: packet.payload });
      return answer instanceof Promise ? answer.then(readAnswer) : readAnswer(answer);
    },
  };
}

/** A timer of the world outside: calls back once after so many milliseconds; the result cancels it. */
export type Timer = (milliseconds: number, callback: () => void) => () => void;

export interface ListenerOptions {
  ranges: readonly QueueRange[];
  /** Milliseconds that a handler may take for one packet. */
  timeout: number;
  timer: Timer;
  /** Number of the input packet under way, for messages. */
  packetNumber: () => number;
}

/**
 * Puts handlers behind queue numbers. What goes wrong in a handler becomes a QueueError that names the handler
 * and the packet; where ranges overlap the first holds.
 */
export function queueListener(options: ListenerOptions): QueueListener {
  const { ranges, packetNumber } = options;
  const find = (queue: number) => ranges.find((range) => queue >= range.first && queue <= range.last)?.handler;
  return {
    listens: (queue) => find(queue) !== undefined,
    handle(packet) {
      const handler = find(packet.queue);
      if (handler === undefined) throw new QueueError(`nobody listens on queue ${packet.queue}`);
      const blame = (error: unknown): never => {
        const reason = error instanceof Error ? error.message : String(error);
        throw new QueueError(`${handler.name}: packet ${packetNumber()} (id ${packet.id}): ${reason}`);
      };
      try {
        const answer = handler.handle(packet);
        return answer instanceof Promise ? withTimeout(answer, options).catch(blame) : answer;
      } catch (error) {
        return blame(error);
      }
    },
  };
}

function withTimeout(answer: Promise<QueueAnswer>, { timeout, timer }: ListenerOptions): Promise<QueueAnswer> {
  return new Promise((resolve, reject) => {
    const cancel = timer(timeout, () =>
      reject(new QueueError(`no answer within ${timeout / 1000} s (--queue-timeout)`)),
    );
    answer.then(resolve, reject).finally(cancel);
  });
}
