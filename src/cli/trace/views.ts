import { formatSeconds } from '../../packet/notation/time.ts';
import type { Reporter } from '../../trace/run.ts';

/** Only what LOG and TRACE write, with its level and the time of the packet, like `dmesg -r`. */
export function kernelLogReporter(write: (text: string) => void): Reporter {
  return {
    packet({ input, outcome }) {
      for (const { level, line } of outcome.log) write(`<${level}>[${formatSeconds(input.time)}] ${line}\n`);
    },
  };
}
