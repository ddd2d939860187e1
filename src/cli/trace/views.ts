import { formatSeconds } from '../../packet/notation/time.ts';
import type { Reporter } from '../../trace/run.ts';
import type { Step } from '../../trace/steps.ts';

/** Only changes of connection tracking, one a line, as `conntrack -E` has them. */
export function eventsReporter(write: (text: string) => void, steps: readonly Step[]): Reporter {
  return {
    packet({ input }) {
      for (const step of steps) {
        if (step.kind !== 'conntrack' || step.entry === undefined) continue;
        const event = EVENTS[step.event];
        if (event !== undefined) write(`[${formatSeconds(input.time)}] ${event} ${step.entry}\n`);
      }
    },
  };
}

const EVENTS: Partial<Record<(Step & { kind: 'conntrack' })['event'], string>> = {
  confirmed: '    [NEW]',
  destroyed: '[DESTROY]',
  expected: ' [EXPECT]',
};

/** Only what LOG and TRACE write, with its level and the time of the packet, like `dmesg -r`. */
export function kernelLogReporter(write: (text: string) => void): Reporter {
  return {
    packet({ input, outcome }) {
      for (const { level, line } of outcome.log) write(`<${level}>[${formatSeconds(input.time)}] ${line}\n`);
    },
  };
}
