import { readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import type { Io } from './io.ts';

const FLUSH_AT = 1 << 16;

/** The outside of iptsim's own commands: the process, with `--dir` and `--no-color` before the command taken off its arguments. */
export interface MainIo {
  io: Io;
  args: readonly string[];
  /** Writes out what is buffered. */
  flush(): void;
}

/** Standard output is buffered and written synchronously: a million lines are a few hundred writes. */
export function mainIo(argv: readonly string[]): MainIo {
  const env: Record<string, string | undefined> = { ...process.env };
  let directory = env.IPTSIM_DIR ?? '';
  let at = 0;
  for (; at < argv.length; at++) {
    const argument = argv[at]!;
    if (argument === '--dir') directory = argv[++at] ?? '';
    else if (argument.startsWith('--dir=')) directory = argument.slice('--dir='.length);
    else if (argument === '--no-color') env.NO_COLOR = '1';
    else break;
  }
  let pending: string[] = [];
  let length = 0;
  const flush = (): void => {
    if (length > 0) writeAll(1, pending.join(''));
    pending = [];
    length = 0;
  };
  const io: Io = {
    out(text) {
      pending.push(text);
      length += text.length;
      if (length >= FLUSH_AT) flush();
    },
    err(text) {
      flush();
      writeAll(2, text);
    },
    readStdin: () => readFileSync(0, 'latin1'),
    env,
    stdoutIsTerminal: process.stdout.isTTY === true,
    stderrIsTerminal: process.stderr.isTTY === true,
    directory: path.resolve(directory === '' ? '.iptsim' : directory),
    variant: env.IPTSIM_VARIANT === 'legacy' ? 'legacy' : 'nft',
    hints: env.IPTSIM_HINTS === '1' || (env.IPTSIM_HINTS !== '0' && process.stderr.isTTY === true),
  };
  return { io, args: argv.slice(at), flush };
}

function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(descriptor, bytes, done);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      // The reader has seen enough (`| head`).
      if (code === 'EPIPE') process.exit(0);
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
