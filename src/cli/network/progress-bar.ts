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
