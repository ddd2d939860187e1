import { spawn } from 'node:child_process';
import type { Difference } from './compare.ts';

/** Time that `conntrack -E` takes to begin to listen and, at the end, to write what it has heard; milliseconds. */
const SETTLE = 250;

const pause = (time: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, time));

/** `conntrack -E` and `conntrack -E expect` in a namespace; `stop` gives what they have printed. */
export async function watchEvents(namespace: string): Promise<{ stop(): Promise<string> }> {
  const listeners = [[], ['expect']].map((table) => {
    const words = ['netns', 'exec', namespace, 'conntrack', '-E', ...table];
    const child = spawn('ip', words, { stdio: ['ignore', 'pipe', 'ignore'] });
    const heard = { text: '' };
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      heard.text += piece;
    });
    return { child, heard, closed: new Promise<void>((resolve) => child.once('close', () => resolve())) };
  });
  await pause(SETTLE);
  return {
    async stop() {
      await pause(SETTLE);
      for (const { child } of listeners) child.kill('SIGTERM');
      await Promise.all(listeners.map(({ closed }) => closed));
      return listeners.map(({ heard }) => heard.text).join('');
    },
  };
}

const TIMEOUTS = [10, 30, 60, 120, 180, 300, 432000];

/** Events without the time stamp; remaining times are those that they have begun with. */
function eventLines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/^\[\d+\.\d+\]\t/, '').trimEnd())
    .filter((line) => line !== '')
    .map((line) =>
      line.replace(/^(\s*\[\w+\] (?:\S+ +\d+ )?)(\d+)(?= )/, (_, head: string, left: string) => {
        const near = TIMEOUTS.find((timeout) => timeout - 5 <= Number(left) && Number(left) <= timeout);
        return `${head}${near ?? '?'}`;
      }),
    );
}

/** The connections of events, each with what was told of it, in order. */
function byConnection(lines: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of lines) {
    const [first = ''] = /src=\S+ dst=\S+( [st]\S*=\S+)*( dport=\S+)?/.exec(line) ?? [];
    const kind = line.includes('master-src=') ? 'expected' : /\[\w+\] (\S+)/.exec(line)?.[1];
    const key = `${kind} ${first}`;
    found.set(key, [...(found.get(key) ?? []), line]);
  }
  return found;
}

/**
 * Compares what `conntrack -E` printed with `iptsim trace --events`: of each connection what was told of it, in its order, and in which order
 * connections came up. The kernel tells of the end of entries whose time is over when it comes across them: only an end that both tell of counts.
 */
export function compareEvents(kernel: string, simulated: string): Difference[] {
  const ended = (lines: readonly string[]) => lines.filter((line) => line.startsWith('[DESTROY]'));
  const [want, have] = [eventLines(kernel), eventLines(simulated)];
  const both = new Set(ended(want).filter((line) => have.includes(line)));
  const counted = (lines: readonly string[]) => lines.filter((line) => !line.startsWith('[DESTROY]') || both.has(line));
  const [left, right] = [byConnection(counted(want)), byConnection(counted(have))];
  const found: Difference[] = [];
  for (const key of new Set([...left.keys(), ...right.keys()])) {
    const [a, b] = [left.get(key) ?? [], right.get(key) ?? []];
    if (a.join('\n') === b.join('\n')) continue;
    const text = `events of ${key}\n    kernel: ${a.join('\n            ') || 'none'}\n    iptsim: ${b.join('\n            ') || 'none'}`;
    found.push({ what: 'event', packet: -1, text });
  }
  // Expectations are told to a listener of their own.
  const [first, second] = [left, right].map((told) => [...told.keys()].filter((key) => !key.startsWith('expected')));
  if (found.length === 0 && first!.join('\n') !== second!.join('\n')) {
    const text = `order of connections\n    kernel: ${first!.join('\n            ')}\n    iptsim: ${second!.join('\n            ')}`;
    found.push({ what: 'event', packet: -1, text });
  }
  return found;
}
