import type { Io } from '../../src/cli/io.ts';
import { openInputs, readInputs } from '../../src/cli/trace/inputs.ts';
import { loadMachine } from '../../src/cli/trace/load.ts';
import { readTraceOptions } from '../../src/cli/trace/options.ts';
import { runPart, shareOf } from '../../src/cli/trace/part.ts';
import type { RuleCounts } from '../../src/datapath/machine-contract.ts';
import { ShareConflict } from '../../src/datapath/share.ts';
import { mergeSources } from '../../src/trace/input.ts';
import { addVerdicts, noVerdicts, run, type VerdictCounts } from '../../src/trace/run.ts';

/** What a trace comes to, as far as it can be compared. */
export interface Whole {
  packets: number;
  counts: VerdictCounts;
  rules: number[][];
  /** Connections without the numbers that tell their order. */
  connections: string[];
}

function connectionsOf(text: unknown): string[] {
  return String(text)
    .split('\n')
    .filter((line) => line.includes('"original"'))
    .map((line) => JSON.stringify({ ...(JSON.parse(line) as object), id: 0 }));
}

const numbersOf = (counts: readonly RuleCounts[]): number[][] =>
  counts.map(({ packets, bytes }) => [...packets, ...bytes]);

function load(io: Io, pcaps: string[], jobs: number) {
  const options = readTraceOptions({ summary: true, pcap: pcaps, jobs: String(jobs) }, []);
  const read = readInputs(options);
  const loaded = loadMachine(options, read, io, { events: null, observer: null, collect: false, queues: null });
  return { options, read, loaded };
}

/** All packets on one machine. */
export async function playWhole(io: Io, pcaps: string[]): Promise<Whole> {
  const { read, loaded } = load(io, pcaps, 1);
  const source = mergeSources(openInputs(read, loaded, loaded.startClock).sources);
  const machine = loaded.start(source.nextTime);
  const before = (input: Parameters<typeof loaded.before>[0]): void => loaded.before(input);
  const { packets, counts } = await run({ machine, source, reporters: [], keepOriginals: false, before });
  const connections = connectionsOf(machine.memory().conntrack).sort();
  return { packets, counts, rules: numbersOf(machine.counts()), connections };
}

/** The same packets shared out to `jobs` machines; a text where that cannot be: why. */
export async function playParts(io: Io, pcaps: string[], jobs: number): Promise<Whole | string> {
  const whole: Whole = { packets: 0, counts: noVerdicts(), rules: [], connections: [] };
  for (let part = 0; part < jobs; part++) {
    const { options, read, loaded } = load(io, pcaps, jobs);
    const tie = loaded.tie();
    if (tie !== null) return tie;
    const share = shareOf(loaded, options, part);
    try {
      const inputs = openInputs(read, loaded, loaded.startClock, share);
      const { machine, result } = await runPart(loaded, share, inputs, () => undefined);
      if (part > 0 && result.packets !== whole.packets) throw new Error('the parts have seen different captures');
      whole.packets = result.packets;
      whole.counts = addVerdicts(whole.counts, result.counts);
      const rules = numbersOf(machine.counts());
      whole.rules = rules.map((table, t) => table.map((count, i) => count + (whole.rules[t]?.[i] ?? 0)));
      whole.connections.push(...connectionsOf(machine.memory().conntrack));
    } catch (error) {
      if (error instanceof ShareConflict) return error.message;
      throw error;
    }
  }
  whole.connections.sort();
  return whole;
}
