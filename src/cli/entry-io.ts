import { fstatSync, readSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { Variant } from '../extensions/contract.ts';
import type { Command, Io } from './io.ts';

/** What a command line of iptsim says before the command. */
export interface Invocation {
  /** Name of the command (`iptables`, `trace`, ...); '' if there is none. */
  name: string;
  args: string[];
  directory: string;
  color: boolean;
  /** Called as iptsim itself, not by an emulated name or a link of such a name. */
  bare: boolean;
  /** A problem with iptsim's own options. */
  error: string | null;
}

/** Texts inside hold one byte in each character; the arguments come as UTF-8. */
function toBytes(text: string): string {
  return /[^\0-\x7f]/.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/** Reads `[--dir DIR] [--no-color] NAME ARGS...`; called through a link of an emulated name, all arguments are the command's. */
export function readInvocation(argv: readonly string[], env: NodeJS.ProcessEnv): Invocation {
  const called = path.basename(argv[1] ?? 'iptsim').replace(/\.js$/, '');
  const args = argv.slice(2);
  const invocation: Invocation = {
    name: called,
    args: [],
    directory: env.IPTSIM_DIR ?? '.iptsim',
    color: env.NO_COLOR === undefined,
    bare: false,
    error: null,
  };
  if (/^(ip6?tables|ipset$|conntrack$)/.test(called)) {
    invocation.args = args.map(toBytes);
    return invocation;
  }
  while (args.length > 0) {
    const word = args[0] as string;
    if (word === '--no-color') invocation.color = false;
    else if (word.startsWith('--dir=')) invocation.directory = word.slice(6);
    else if (word === '--dir') {
      args.shift();
      if (args[0] === undefined) invocation.error = "option '--dir' needs a directory";
      else invocation.directory = args[0];
    } else break;
    args.shift();
  }
  const [name = ''] = args;
  if (name.startsWith('-')) {
    invocation.name = 'iptables';
    invocation.bare = true;
    invocation.args = args.map(toBytes);
  } else {
    invocation.name = name === 'save' || name === 'restore' ? `iptables-${name}` : name;
    invocation.args = args.slice(1).map(toBytes);
  }
  return invocation;
}

function isTerminal(handle: number): boolean {
  return handle === 1 ? process.stdout.isTTY === true : process.stderr.isTTY === true;
}

/** Writes all of it, waiting where the reader is slow. False if nobody reads any more. */
function writeAll(handle: number, text: string): boolean {
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(handle, bytes, at);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === 'EPIPE') return false;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
  return true;
}

function readAll(): string {
  const chunks: Buffer[] = [];
  const size = (() => {
    try {
      return Math.max(fstatSync(0).size, 65536);
    } catch {
      return 65536;
    }
  })();
  for (;;) {
    const chunk = Buffer.allocUnsafe(size);
    try {
      const length = readSync(0, chunk);
      if (length === 0) break;
      chunks.push(chunk.subarray(0, length));
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === 'EOF') break;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
  return Buffer.concat(chunks).toString('latin1');
}

/** Io over the process, with output collected until `flush`. */
export function processIo(invocation: Invocation): Io & { flush(): void } {
  const { env } = process;
  let pending: string[] = [];
  let size = 0;
  let broken = false;
  const flush = (): void => {
    if (pending.length > 0 && !broken) broken = !writeAll(1, pending.join(''));
    pending = [];
    size = 0;
  };
  const variant: Variant = env.IPTSIM_VARIANT === 'legacy' ? 'legacy' : 'nft';
  const wanted = env.IPTSIM_HINTS;
  return {
    out(text) {
      pending.push(text);
      size += text.length;
      if (size > 1 << 16) flush();
    },
    err(text) {
      flush();
      writeAll(2, text);
    },
    flush,
    readStdin: readAll,
    env,
    get stdoutIsTerminal() {
      return isTerminal(1);
    },
    get stderrIsTerminal() {
      return isTerminal(2);
    },
    directory: invocation.directory,
    variant,
    get hints() {
      if (wanted === '0' || wanted === '1') return wanted === '1';
      return invocation.bare || isTerminal(2);
    },
  };
}

/** Runs a command over the process and sets its exit status. No stack trace reaches anybody unless IPTSIM_DEBUG is set. */
export async function runCommand(command: Command, invocation: Invocation): Promise<void> {
  const io = processIo(invocation);
  if (invocation.error !== null) {
    io.err(`iptsim: ${invocation.error}\n`);
    process.exitCode = 2;
    return;
  }
  try {
    const result = command(invocation.name, invocation.args, io);
    process.exitCode = typeof result === 'number' ? result : await result;
  } catch (error) {
    const { message, stack } = error as Error;
    io.err(`iptsim: ${process.env.IPTSIM_DEBUG === undefined ? message : stack}\n`);
    process.exitCode = 1;
  }
  io.flush();
}
