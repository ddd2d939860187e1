import type { Io } from '../io.ts';

/** A line on the terminal for what takes over a second, rewritten every fifth of a second. */
export function progressLine(io: Io, started: bigint): { show(count: number): void; clear(): void } {
  let last = started;
  let shown = false;
  return {
    show(count) {
      const now = process.hrtime.bigint();
      if (now - started < 1_000_000_000n || now - last < 200_000_000n) return;
      last = now;
      shown = true;
      const seconds = Number(now - started) / 1e9;
      io.err(`\r${count} packets, ${Math.round(count / seconds)}/s\x1b[K`);
    },
    clear() {
      if (shown) io.err('\r\x1b[K');
    },
  };
}
