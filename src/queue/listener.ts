import {
  Kept,
  type QueueAnswer,
  type QueuedPacket,
  type QueueLimit,
  type QueueListener,
} from '../datapath/queueing.ts';
import { Verdict } from '../datapath/verdicts.ts';
import { readAnswer } from './answer.ts';
import { handlerPacket, QueueError, type QueueHandler } from './handler.ts';
import { type Patience, tooLate } from './patience.ts';

/** Something that answers queued packets. */
export interface Handler {
  /** For messages: `--queue 50-58=./policy.js`. */
  readonly name: string;
  handle(packet: QueuedPacket): QueueAnswer | Promise<QueueAnswer>;
  /** After the last packet. Throws QueueError if something went wrong since its last answer. */
  close?(): Promise<void>;
}

/** Who listens where: queue numbers `first` to `last`. */
export interface QueueRange {
  first: number;
  last: number;
  handler: Handler;
}

/** A packet that queues have had so often in one hook goes round in circles: `repeat` without a mark that ends it, say. */
const MOST_ROUNDS = 1000;

/** The handler that says the same to every packet. */
export function fixedHandler(name: string, verdict: 'accept' | 'drop'): Handler {
  const answer: QueueAnswer = { verdict: Verdict[verdict] };
  return { name, handle: () => answer };
}

/** A handler that is a function of this program; it may answer at once or later. */
export function functionHandler(name: string, handler: QueueHandler): Handler {
  return {
    name,
    handle(packet) {
      const answer = handler({ ...handlerPacket(packet), bytes: packet.payload });
      return answer instanceof Promise
        ? answer.then((settled) => readAnswer(settled, packet.queue))
        : readAnswer(answer, packet.queue);
    },
  };
}

/** A timer of the world outside: calls back once after so many milliseconds; the result cancels it. */
export type Timer = (milliseconds: number, callback: () => void) => () => void;

export interface ListenerOptions {
  ranges: readonly QueueRange[];
  /** How long a handler may take for one packet. */
  patience: Patience;
  timer: Timer;
  /** Number of the input packet under way, for messages. */
  packetNumber: () => number;
  /** How many packets may wait in each queue; absent: as in the kernel. */
  limit?: QueueLimit;
}

/** A listener that knows which packets its handlers have not answered for good. */
export interface Listener extends QueueListener {
  /** Packets that still wait, by queue: those are lost when the handlers end. */
  waiting(): ReadonlyMap<number, number>;
}

/**
 * Puts handlers behind queue numbers. What goes wrong in a handler becomes a QueueError that names the handler
 * and the packet; where ranges overlap the first holds.
 */
export function queueListener(options: ListenerOptions): Listener {
  const { ranges, packetNumber, limit } = options;
  const find = (queue: number) => ranges.find((range) => queue >= range.first && queue <= range.last)?.handler;
  const kept = new Map<number, Set<number>>();
  /** Keeps account of the packets that wait. */
  const settle = (packet: QueuedPacket, answer: QueueAnswer): QueueAnswer => {
    const { queue, id } = packet;
    if (answer.verdict === Kept.later) kept.set(queue, (kept.get(queue) ?? new Set()).add(id));
    for (const { queue: from, id: waiting } of answer.release ?? []) {
      if (!kept.get(from)?.delete(waiting))
        throw new QueueError(`"release": no packet ${waiting} waits in queue ${from}`);
    }
    return answer;
  };
  return {
    ...(limit === undefined ? {} : { limit }),
    listens: (queue) => find(queue) !== undefined,
    handle(packet) {
      const handler = find(packet.queue);
      if (handler === undefined) throw new QueueError(`nobody listens on queue ${packet.queue}`);
      const blame = (error: unknown): never => {
        const reason = error instanceof Error ? error.message : String(error);
        throw new QueueError(`${handler.name}: packet ${packetNumber()} (id ${packet.id}): ${reason}`);
      };
      try {
        if (packet.rounds >= MOST_ROUNDS) {
          throw new QueueError(`it was repeated or handed on ${packet.rounds} times in ${packet.hook}, without an end`);
        }
        const answer = handler.handle(packet);
        return answer instanceof Promise
          ? withTimeout(answer, options)
              .then((settled) => settle(packet, settled))
              .catch(blame)
          : settle(packet, answer);
      } catch (error) {
        return blame(error);
      }
    },
    waiting: () => new Map([...kept].flatMap(([queue, ids]) => (ids.size === 0 ? [] : [[queue, ids.size] as const]))),
  };
}

function withTimeout(answer: Promise<QueueAnswer>, { patience, timer }: ListenerOptions): Promise<QueueAnswer> {
  return new Promise((resolve, reject) => {
    const cancel = timer(patience.milliseconds, () => reject(tooLate('no answer', patience)));
    answer.then(resolve, reject).finally(cancel);
  });
}

/**
 * Does `work` with the handlers that `open` gives, and ends them in any case. Throws what went wrong in `work`, or what a handler says at
 * its end.
 */
export async function withHandlers<O, T>(
  options: readonly O[],
  open: (option: O) => Promise<QueueRange>,
  work: (ranges: readonly QueueRange[]) => Promise<T>,
): Promise<T> {
  const ranges: QueueRange[] = [];
  const close = () => Promise.allSettled(ranges.map(({ handler }) => handler.close?.()));
  let result: T;
  try {
    for (const option of options) ranges.push(await open(option));
    result = await work(ranges);
  } catch (error) {
    // What handlers say when they end now follows from this.
    await close();
    throw error;
  }
  for (const end of await close()) if (end.status === 'rejected') throw end.reason;
  return result;
}
