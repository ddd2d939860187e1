import { conntrack } from '../commands/conntrack.ts';
import { iptablesFamily } from '../commands/family.ts';
import { ipset } from '../commands/ipset.ts';
import type { Command, Io } from '../io.ts';
import { type CallRequest, type FrameKind, frame } from './frames.ts';

/** What becomes of a call: frames for the shim, the end of which is the status; or what has to happen first. */
export type CallResult =
  | { kind: 'done'; status: number; frames: Buffer[] }
  /** The command reads standard input: call again with it. Nothing has been changed. */
  | { kind: 'input' }
  /** The command opens files as its caller sees them, or talks with a person: the caller has to run it. */
  | { kind: 'local' };

/** Thrown into a command to make it stop. */
class Interrupted extends Error {}

/** Commands that run others, ask people, or read nothing but files. */
const LOCAL = /-(apply|xml)$/;

function commandOf(name: string): Command | null {
  if (/^ip6?tables/.test(name)) return iptablesFamily;
  if (name === 'ipset') return ipset;
  return name === 'conntrack' ? conntrack : null;
}

/** Runs a call in this process on a state directory. `stdin` is null as long as nobody has asked the caller for it. */
export async function runCall(request: CallRequest, directory: string, stdin: string | null): Promise<CallResult> {
  const command = commandOf(request.name);
  if (command === null || LOCAL.test(request.name)) return { kind: 'local' };
  const frames: Buffer[] = [];
  let pending: 'input' | 'local' | null = null;
  let kind: FrameKind = 'O';
  let texts: string[] = [];
  const flush = (): void => {
    if (texts.length > 0) frames.push(frame(kind, texts.join('')));
    texts = [];
  };
  const add = (wanted: FrameKind, text: string): void => {
    if (kind !== wanted) flush();
    kind = wanted;
    texts.push(text);
  };
  const { env } = request;
  const io: Io = {
    out: (text) => add('O', text),
    err: (text) => add('E', text),
    readStdin() {
      if (stdin !== null) return stdin;
      pending ??= 'input';
      throw new Interrupted();
    },
    openingFile() {
      pending ??= 'local';
      throw new Interrupted();
    },
    env,
    stdoutIsTerminal: request.stdoutIsTerminal,
    stderrIsTerminal: request.stderrIsTerminal,
    directory,
    variant: env.IPTSIM_VARIANT === 'legacy' ? 'legacy' : 'nft',
    hints: env.IPTSIM_HINTS === '1' || (env.IPTSIM_HINTS !== '0' && request.stderrIsTerminal),
  };
  let status: number;
  try {
    const result = command(request.name, request.args, io);
    status = typeof result === 'number' ? result : await result;
  } catch (error) {
    const { message, stack } = error as Error;
    if (!(error instanceof Interrupted)) io.err(`iptsim: ${env.IPTSIM_DEBUG === undefined ? message : stack}\n`);
    status = 1;
  }
  if (pending !== null) return { kind: pending };
  flush();
  return { kind: 'done', status, frames };
}
