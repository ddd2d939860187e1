import { statSync } from 'node:fs';
import type { Io } from '../io.ts';

/** Shows on a terminal how many of all are done; elsewhere nothing. */
export function progressBar(io: Io, what: string): (done: number, all: number) => void {
  let shown = -1;
  return (done, all) => {
    if (!io.stderrIsTerminal) return;
    const part = Math.floor((done / all) * 40);
    if (part !== shown) io.err(`\r[${'#'.repeat(part).padEnd(40)}] ${done}/${all} ${what}${done === all ? '\n' : ''}`);
    shown = part;
  };
}

/** From so many bytes on reading a network takes seconds. */
const LONG = 1 << 20;

/** Says on a terminal that a large file is being read. */
export function tellReading(io: Io, file: string): void {
  if (!io.stderrIsTerminal) return;
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LONG) io.err(`reading ${file} (${Math.round(size / 1e6)} MB)...\n`);
}
