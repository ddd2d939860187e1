import { mkdtempSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { QueueError } from '../../queue/handler.ts';
import { packageFile } from '../../queue/package-file.ts';
import { buildShim, QueueProgram } from '../../queue/program.ts';
import { serve } from '../../queue/serve.ts';
import type { Io } from '../io.ts';

/** `iptsim queue run -- PROGRAM ARGS...`: a program of libnetfilter_queue as the handler of `trace --queue`. */
export async function runProgram(command: readonly string[], io: Io): Promise<number> {
  let program: QueueProgram | null = null;
  try {
    program = await QueueProgram.start(shimFor(io), command);
    await serve(program, process.stdin, (line) => process.stdout.write(line));
    return 0;
  } catch (error) {
    if (!(error instanceof QueueError)) throw error;
    io.err(`iptsim queue run: ${error.message}\n`);
    return 1;
  } finally {
    await program?.close();
    // Lines that nobody reads any more must not keep it alive.
    process.stdin.destroy();
  }
}

function shimFor(io: Io): string {
  const source = packageFile('adapters/nfqueue');
  const compiler = io.env.CC ?? 'cc';
  const cache = path.join(io.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'iptsim');
  try {
    return buildShim({ source, cache, compiler });
  } catch (error) {
    if (!['EACCES', 'EROFS', 'ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return buildShim({ source, cache: mkdtempSync(path.join(tmpdir(), 'iptsim-shim-')), compiler });
  }
}
