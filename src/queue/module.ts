import { pathToFileURL } from 'node:url';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { QueuedPacket } from '../datapath/queueing.ts';
import { readAnswer } from './answer.ts';
import { handlerPacket, QueueError } from './handler.ts';
import type { Handler } from './listener.ts';
import { packageFile } from './package-file.ts';
import { type Patience, tooLate } from './patience.ts';

/** Milliseconds that loading may take, however short the limit for answers is. */
const LOADING = 3000;

/** What the thread says (`adapters/module/worker.mjs`). */
interface Message {
  ready?: true;
  failure?: string;
  number?: number;
  answer?: unknown;
}

/**
 * A JavaScript module behind a queue. It runs in a thread of its own, whose answer this one waits for: neither an endless loop in it
 * nor process.exit() stops the trace.
 *
 * @throws QueueError if it cannot be loaded in time
 */
export async function moduleHandler(name: string, file: string, patience: Patience): Promise<Handler> {
  const thread = new ModuleThread(file);
  try {
    await thread.load({ ...patience, milliseconds: Math.max(patience.milliseconds, LOADING) });
  } catch (error) {
    await thread.close();
    throw new QueueError(`${name}: ${file} cannot be loaded: ${(error as Error).message}`);
  }
  return {
    name,
    handle: (packet) => readAnswer(thread.ask(packet, patience), packet.queue),
    async close() {
      const failure = thread.failure();
      await thread.close();
      if (failure !== null) throw new QueueError(`${name}: after the last packet: ${failure}`);
    },
  };
}

class ModuleThread {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #flag = new Int32Array(new SharedArrayBuffer(4));
  #number = 0;

  constructor(file: string) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(packageFile('adapters/module/worker.mjs'), {
      workerData: { file: pathToFileURL(file).href, port: port2, flag: this.#flag },
      transferList: [port2],
    });
    // Neither it nor the way to it keeps the process alive.
    this.#worker.unref();
  }

  /** Waits, with events going on, until the module is loaded. */
  load(patience: Patience): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(tooLate('it was not done', patience)), patience.milliseconds);
      const settle = (failure: string | undefined): void => {
        clearTimeout(timer);
        this.#port.removeAllListeners('message');
        if (failure === undefined) resolve();
        else reject(new QueueError(failure));
      };
      this.#port.on('message', ({ failure }: Message) => settle(failure));
      this.#worker.once('error', (error) => settle(error.message));
      this.#worker.once('exit', () => settle('it ended'));
    });
  }

  /** Asks the module about a packet and waits for the answer. Throws QueueError if it fails or takes too long. */
  ask(packet: QueuedPacket, patience: Patience): unknown {
    const number = ++this.#number;
    this.#port.postMessage({ number, packet: { ...handlerPacket(packet), bytes: packet.payload } });
    const until = performance.now() + patience.milliseconds;
    for (;;) {
      for (let message = this.#receive(); message !== undefined; message = this.#receive()) {
        if (message.failure !== undefined) throw new QueueError(message.failure);
        if (message.number === number) return message.answer;
      }
      const left = until - performance.now();
      if (left <= 0 || Atomics.wait(this.#flag, 0, 0, left) === 'timed-out') throw tooLate('no answer', patience);
      Atomics.store(this.#flag, 0, 0);
    }
  }

  /** What went wrong since the last answer; null if nothing did. */
  failure(): string | null {
    for (let message = this.#receive(); message !== undefined; message = this.#receive()) {
      if (message.failure !== undefined) return message.failure;
    }
    return null;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
    this.#port.close();
  }

  #receive(): Message | undefined {
    return (receiveMessageOnPort(this.#port) as { message: Message } | undefined)?.message;
  }
}
