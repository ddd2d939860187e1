import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Machine } from '../../datapath/machine-contract.ts';
import { ShareConflict } from '../../datapath/share.ts';
import { addVerdicts, type RunResult } from '../../trace/run.ts';
import type { Io } from '../io.ts';
import type { CaptureNotes } from './capture-source.ts';
import type { TraceOptions } from './options.ts';
import { CHANGED, type PartOrder, type PartReport, Stopped, watchFor } from './part.ts';
import { stateSignature } from './state-signature.ts';

/** Has a part played elsewhere. */
export type PartPlayer = (order: PartOrder) => { report: Promise<PartReport>; end(): Promise<unknown> };

/** Loads the bundle of src/cli/entries/part.ts; this runs in a bundle of dist/. */
const LOADER = path.join(import.meta.dirname, '..', 'bin', 'part.cjs');

/** In a thread of its own. */
export const playInThread: PartPlayer = (order) => {
  const worker = new Worker(LOADER, { workerData: order });
  const report = new Promise<PartReport>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`a part of the trace ended with status ${code}`)));
  });
  // Whoever dismisses the team does not ask for it.
  report.catch(() => undefined);
  return { report, end: () => worker.terminate() };
};

/** Those who play the other parts of a trace. They begin at once, so that all load the machine at the same time. */
export class Team {
  readonly #members: ReturnType<PartPlayer>[] = [];
  readonly #stop = new SharedArrayBuffer(4);
  readonly #signature: string;
  /** To be called now and then while part 0 is played: throws where another part has ended all. */
  readonly watch: () => void = watchFor(this.#stop);

  constructor(options: TraceOptions, { directory, variant }: Io, play: PartPlayer) {
    this.#signature = stateSignature(directory, options);
    for (let part = 1; part < options.jobs; part++) {
      this.#members.push(play({ options, directory, variant, part, stop: this.#stop }));
    }
  }

  /**
   * What all parts have come to, that of part 0 included. Rules' counters go into its machine where the others told theirs. Throws ShareConflict where
   * the parts do not make a whole.
   */
  async join({ machine, result }: { machine: Machine; result: RunResult }, notes: CaptureNotes): Promise<RunResult> {
    const reports = await this.#reports();
    let { counts } = result;
    for (const report of reports) {
      if (report.kind === 'conflict') throw new ShareConflict(report.reason);
    }
    for (const report of reports) {
      if (report.kind === 'failed') throw new Error(report.message);
      if (report.kind !== 'done') throw new Error('a part of the trace was stopped');
      if (report.signature !== this.#signature) throw new ShareConflict(CHANGED);
      if (report.result.packets !== result.packets) throw new ShareConflict('a capture changed while it was read');
      counts = addVerdicts(counts, report.result.counts);
      notes.cut += report.cut;
      if (report.rules !== null) machine.addCounts(report.rules);
    }
    return { packets: result.packets, counts };
  }

  #reports(): Promise<PartReport[]> {
    return Promise.all(this.#members.map(({ report }) => report));
  }

  /** Why one core has to do it all, now that part 0 has ended with `error`; null if the error has nothing to do with that. */
  async conflictOf(error: unknown): Promise<string | null> {
    if (error instanceof ShareConflict) return error.message;
    if (!(error instanceof Stopped)) return null;
    const conflict = (await this.#reports()).find((report) => report.kind === 'conflict');
    return conflict?.reason ?? null;
  }

  /** Nobody plays any more. */
  async dismiss(): Promise<void> {
    Atomics.store(new Int32Array(this.#stop), 0, 1);
    await Promise.all(this.#members.map((member) => member.end()));
  }
}
