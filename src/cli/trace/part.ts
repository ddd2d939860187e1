import type { Machine, RuleCounts } from '../../datapath/machine-contract.ts';
import { Share, ShareConflict } from '../../datapath/share.ts';
import type { Variant } from '../../extensions/contract.ts';
import { mergeSources } from '../../trace/input.ts';
import { type RunResult, run } from '../../trace/run.ts';
import type { Io } from '../io.ts';
import { collectGarbage } from './garbage.ts';
import { type Inputs, openInputs, readInputs } from './inputs.ts';
import { type LoadedMachine, loadMachine } from './load.ts';
import type { TraceOptions } from './options.ts';
import { stateSignature } from './state-signature.ts';

/** What a thread is to do: one part of the packets of a trace. Plain data. */
export interface PartOrder {
  options: TraceOptions;
  directory: string;
  variant: Variant;
  /** From 0; part 0 is that of the thread that gives the orders. */
  part: number;
  /** One word, not 0 as soon as a conflict makes all parts useless. */
  stop: SharedArrayBuffer;
}

/** What came of it. Plain data. */
export type PartReport =
  | { kind: 'done'; result: RunResult; cut: number; rules: RuleCounts[] | null; signature: string }
  /** Packets of this part depend on others, for that reason. */
  | { kind: 'conflict'; reason: string }
  /** Another part's conflict ended it. */
  | { kind: 'stopped' }
  | { kind: 'failed'; message: string };

/** Another part has come to a conflict. */
export class Stopped extends Error {}

/** Which part of the packets of this trace a machine is to handle. */
export function shareOf(loaded: LoadedMachine, options: TraceOptions, part: number): Share {
  return new Share({ part, parts: options.jobs, keeps: options.commit, looksAnywhere: loaded.looksAnywhere() });
}

/** To be called now and then: throws Stopped once the others have no use for this part any more. */
export function watchFor(stop: SharedArrayBuffer): () => void {
  const flag = new Int32Array(stop);
  return () => {
    if (Atomics.load(flag, 0) !== 0) throw new Stopped('another part has ended the trace');
  };
}

/** Plays one part of the packets: the machine is made anew, the captures are read as a whole. */
export async function playPart(order: PartOrder): Promise<PartReport> {
  try {
    return await play(order);
  } catch (error) {
    if (error instanceof Stopped) return { kind: 'stopped' };
    if (error instanceof ShareConflict) {
      Atomics.store(new Int32Array(order.stop), 0, 1);
      return { kind: 'conflict', reason: error.message };
    }
    return { kind: 'failed', message: (error as Error).message };
  }
}

async function play({ options, directory, variant, part, stop }: PartOrder): Promise<PartReport> {
  const io = silentIo(directory, variant);
  const signature = stateSignature(directory, options);
  const read = readInputs(options);
  // Who gives the orders holds the lock and writes.
  const files = { ...options, commit: false };
  const loaded = loadMachine(files, read, io, { events: null, observer: null, collect: false, queues: null });
  if (stateSignature(directory, options) !== signature) throw new ShareConflict(CHANGED);
  collectGarbage();
  const share = shareOf(loaded, options, part);
  const inputs = openInputs(read, loaded, options.at ?? loaded.startClock, share);
  const played = await runPart(loaded, share, inputs, watchFor(stop));
  const { machine, result } = played;
  return { kind: 'done', result, cut: inputs.notes.cut, rules: options.commit ? machine.counts() : null, signature };
}

/** Switches the machine on and gives it the packets of its part. The result has the number of all packets, and the verdicts on those of the part. */
export async function runPart(
  loaded: LoadedMachine,
  share: Share,
  { sources, progress }: Inputs,
  now: (count: number) => void,
): Promise<{ machine: Machine; result: RunResult }> {
  const first = Math.min(...progress.map((capture) => capture.first));
  const machine = loaded.start(first, share);
  if (Number.isFinite(first)) machine.advance(first);
  const passed = (): number => progress.reduce((sum, capture) => sum + capture.passed, 0);
  const { packets, counts } = await run({
    machine,
    source: mergeSources(sources),
    reporters: [],
    keepOriginals: false,
    ...(loaded.watches ? { before: (input) => loaded.before(input) } : {}),
    progress: (count) => now(count + passed()),
  });
  machine.advance(Math.max(...progress.map((capture) => capture.latest)));
  return { machine, result: { packets: packets + passed(), counts } };
}

/** The reason where files were written while they were read. */
export const CHANGED = 'the files of the machine changed while they were read';

/** What there is to say the thread says that gives the orders. */
export function silentIo(directory: string, variant: Variant): Io {
  return {
    out() {},
    err() {},
    readStdin: () => '',
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    directory,
    variant,
    hints: false,
  };
}
