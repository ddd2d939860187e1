import type { Machine, Outcome, TraceVerdict } from '../datapath/machine-contract.ts';
import { noOutcome } from '../datapath/recorder.ts';
import { InputPacket, type PacketSource } from './input.ts';

/** Verdicts in the order in which a summary names them. */
export const VERDICTS = [
  'forwarded',
  'delivered',
  'sent',
  'dropped',
  'rejected',
  'queued',
  'stolen',
  'invalid',
] as const satisfies readonly TraceVerdict[];

export type VerdictCounts = Record<TraceVerdict, number>;

/** What a reporter is told of one packet. It holds until the next one. */
export interface TracedPacket {
  /** From 1. */
  n: number;
  input: InputPacket;
  /** The packet as it came, before the machine changed it; empty unless the run keeps originals. */
  original: Uint8Array;
  outcome: Outcome;
}

export interface Reporter {
  packet(traced: TracedPacket): void;
  /** After the last packet. */
  end?(counts: VerdictCounts): void;
}

export interface RunOptions {
  machine: Machine;
  source: PacketSource;
  reporters: readonly Reporter[];
  /** Copies each packet before the machine gets it. */
  keepOriginals: boolean;
  /** Called before each packet goes in: collected steps are cleared here. */
  before?: (input: InputPacket) => void;
  /** Called every some thousand packets with how many are done. */
  progress?: (count: number) => void;
}

export interface RunResult {
  packets: number;
  counts: VerdictCounts;
}

const PROGRESS_EVERY = 8192;

/** Gives all packets of the source to the machine, one after the other. Waits only where a queue's handler does. */
export async function run(options: RunOptions): Promise<RunResult> {
  const { machine, source, reporters, keepOriginals, before, progress } = options;
  const counts = noVerdicts();
  const input = new InputPacket();
  const traced: TracedPacket = { n: 0, input, original: new Uint8Array(0), outcome: REFUSED };
  const settles = source.settled !== undefined;
  let packets = 0;
  while (source.nextTime !== Number.POSITIVE_INFINITY) {
    source.take(input);
    packets++;
    if (keepOriginals) traced.original = input.bytes.slice();
    before?.(input);
    const outcome = give(machine, input);
    if (outcome.pending !== null) await outcome.pending;
    count(counts, outcome.verdict);
    if (settles) source.settled!(outcome);
    if (reporters.length > 0) {
      traced.n = packets;
      traced.outcome = outcome;
      for (const reporter of reporters) reporter.packet(traced);
    }
    if (progress !== undefined && packets % PROGRESS_EVERY === 0) progress(packets);
  }
  for (const reporter of reporters) reporter.end?.(counts);
  return { packets, counts };
}

/** `counts[verdict]++`, where the commonest verdicts are not looked up by name. */
function count(counts: VerdictCounts, verdict: TraceVerdict): void {
  if (verdict === 'forwarded') counts.forwarded++;
  else if (verdict === 'dropped') counts.dropped++;
  else counts[verdict]++;
}

/** What several machines together have counted of the same packets. */
export function addVerdicts(a: VerdictCounts, b: VerdictCounts): VerdictCounts {
  const sum = noVerdicts();
  for (const verdict of VERDICTS) sum[verdict] = a[verdict] + b[verdict];
  return sum;
}

export function noVerdicts(): VerdictCounts {
  return { forwarded: 0, delivered: 0, sent: 0, dropped: 0, rejected: 0, queued: 0, stolen: 0, invalid: 0 };
}

const REFUSED: Outcome = noOutcome();

function give(machine: Machine, input: InputPacket): Outcome {
  if (input.refused !== null) {
    machine.advance(input.time);
    REFUSED.reason = input.refused;
    return REFUSED;
  }
  return input.device === null ? machine.send(input) : machine.receive(input as InputPacket & { device: object });
}
