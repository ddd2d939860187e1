import { type ChildProcess, spawn } from 'node:child_process';
import type { QueueAnswer } from '../datapath/queueing.ts';
import { readAnswerLine } from './answer.ts';
import { handlerPacket, QueueError } from './handler.ts';
import type { Handler } from './listener.ts';

/** How long a command may take to end after its input has ended, in milliseconds. */
const PARTING = 2000;

/** Characters that a line may have: many times the largest packet. */
const LONGEST = 1 << 24;

interface Question {
  queue: number;
  id: number;
  resolve(answer: QueueAnswer): void;
  reject(error: Error): void;
}

/**
 * A shell command behind a queue: it reads one JSON object a line and answers each with a line. It is started at once
 * and runs until the trace ends; its standard error is ours.
 */
export function commandHandler(name: string, command: string): Handler {
  const child = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  let question: Question | null = null;
  let rest = '';
  let ended: string | null = null;

  const fail = (reason: string): void => {
    ended ??= reason;
    question?.reject(new QueueError(reason));
    question = null;
  };
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    rest += text;
    if (rest.length > LONGEST && !rest.includes('\n')) {
      fail(`the command wrote ${rest.length} bytes without a line's end`);
      rest = '';
      return;
    }
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 1);
      if (line.trim() === '') continue;
      if (question === null) {
        fail(`the command wrote a line that nobody asked for: ${JSON.stringify(line.slice(0, 80))}`);
        return;
      }
      const { queue, id, resolve, reject } = question;
      question = null;
      try {
        resolve(readAnswerLine(line, queue, id));
      } catch (error) {
        reject(error as Error);
      }
    }
  });
  child.on('error', (error) => fail(`the command cannot be started: ${error.message}`));
  child.on('close', (status, signal) => {
    fail(`the command ended early (${signal === null ? `status ${status}` : `signal ${signal}`})`);
  });
  // A command that has ended cannot be written to; its `close` says so.
  child.stdin.on('error', () => {});

  return {
    name,
    handle(packet) {
      if (ended !== null) throw new QueueError(ended);
      return new Promise((resolve, reject) => {
        question = { queue: packet.queue, id: packet.id, resolve, reject };
        child.stdin.write(`${JSON.stringify(handlerPacket(packet))}\n`);
      });
    },
    close: () => part(child),
  };
}

/** Ends the command's input and waits a little for it; then it and what it started are killed. */
function part(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      try {
        process.kill(-child.pid!, 'SIGKILL');
      } catch (error) {
        // It has ended meanwhile.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }, PARTING);
    child.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    child.stdin?.end();
  });
}
