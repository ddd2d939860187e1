import { type ChildProcess, spawn } from 'node:child_process';
import type { QueueAnswer, QueuedPacket } from '../datapath/queueing.ts';
import { readAnswerLine } from './answer.ts';
import { handlerPacket, QueueError } from './handler.ts';
import type { Handler } from './listener.ts';
import { packageFile } from './package-file.ts';

/** How long a command may take to end after its input has ended, in milliseconds. */
const PARTING = 2000;

/** Characters that a line may have: many times the largest packet. */
const LONGEST = 1 << 24;

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** To commands `iptsim` is this one, also where it is not installed. */
const OURSELVES = `iptsim() { ${quoted(process.execPath)} ${quoted(packageFile('bin/iptsim.js'))} "$@"; }\n`;

interface Question {
  packet: QueuedPacket;
  resolve(answer: QueueAnswer): void;
  reject(error: Error): void;
}

/**
 * A shell command behind a queue: it reads one JSON object a line and answers each with a line. It is started at once
 * and runs until the trace ends; its standard error is ours.
 */
export function commandHandler(name: string, command: string): Handler {
  return new CommandHandler(name, command);
}

class CommandHandler implements Handler {
  readonly name: string;
  readonly #child: ChildProcess;
  #question: Question | null = null;
  /** What came of a line that has not ended. */
  #parts: string[] = [];
  #length = 0;
  /** Why it cannot be asked any more. */
  #broken: string | null = null;
  /** Its input has ended: it may end too. */
  #isParting = false;

  constructor(name: string, command: string) {
    this.name = name;
    const child = spawn('/bin/sh', ['-c', `${OURSELVES}${command}`], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    this.#child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    child.on('error', (error) => this.#break(`the command cannot be started: ${error.message}`));
    child.on('close', (status, signal) => {
      if (!this.#isParting) {
        this.#break(`the command ended early (${signal === null ? `status ${status}` : `signal ${signal}`})`);
      }
    });
    // A command that has ended cannot be written to; its `close` says so.
    child.stdin.on('error', () => {});
  }

  handle(packet: QueuedPacket): Promise<QueueAnswer> {
    if (this.#broken !== null) throw new QueueError(this.#broken);
    return new Promise((resolve, reject) => {
      this.#question = { packet, resolve, reject };
      this.#child.stdin?.write(`${JSON.stringify(handlerPacket(packet))}\n`);
    });
  }

  /** Ends the command's input and waits a little for it; then it and what it started are killed. One that failed is killed at once. */
  async close(): Promise<void> {
    const failed = this.#broken !== null || this.#question !== null;
    const isGone = this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined;
    this.#isParting = true;
    if (!isGone) {
      const closed = new Promise((resolve) => this.#child.once('close', resolve));
      const timer = setTimeout(() => this.#kill(), failed ? 0 : PARTING);
      this.#child.stdin?.end();
      await closed;
      clearTimeout(timer);
    }
    // What it left behind.
    this.#kill();
    if (this.#broken !== null) throw new QueueError(`${this.name}: after the last packet: ${this.#broken}`);
  }

  /** A whole group of processes, that of the shell. */
  #kill(): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, 'SIGKILL');
    } catch (error) {
      // Nothing of it is left.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    // What it started in groups of their own may hold its output open: nobody reads that any more.
    this.#child.stdout?.destroy();
  }

  #break(reason: string): void {
    this.#broken ??= reason;
    this.#question?.reject(new QueueError(reason));
    this.#question = null;
    this.#parts = [];
    this.#length = 0;
  }

  #read(text: string): void {
    if (this.#broken !== null) return;
    const lines = text.split('\n');
    const rest = lines.pop()!;
    for (const line of lines) {
      this.#line([...this.#parts, line].join(''));
      this.#parts = [];
      this.#length = 0;
    }
    this.#parts.push(rest);
    this.#length += rest.length;
    if (this.#length > LONGEST) this.#break(`the command wrote ${this.#length} characters without a line's end`);
  }

  #line(line: string): void {
    if (this.#broken !== null || line.trim() === '') return;
    if (this.#question === null) {
      this.#break(`the command wrote a line that nobody asked for: ${JSON.stringify(line.slice(0, 80))}`);
      return;
    }
    const { packet, resolve } = this.#question;
    try {
      const answer = readAnswerLine(line, packet.queue, packet.id);
      this.#question = null;
      resolve(answer);
    } catch (error) {
      this.#break((error as Error).message);
    }
  }
}
