import path from 'node:path';
import type { Case, CaseFile } from '../../check/case-file.ts';
import { CaseFileError } from '../../check/case-file.ts';
import { type Failure, judge, type Observed, observe } from '../../check/judge.ts';
import { Tally } from '../../check/split.ts';
import type { Machine } from '../../datapath/machine-contract.ts';
import { QueueError } from '../../queue/handler.ts';
import { type QueueRange, queueListener, withHandlers } from '../../queue/listener.ts';
import { openHandler, parseQueueOption } from '../../queue/open.ts';
import { mergeSources } from '../../trace/input.ts';
import { RepeatError, repetition } from '../../trace/repeat.ts';
import { textReporter } from '../../trace/reporters/text.ts';
import { PLAIN } from '../../trace/reporters/text-layout.ts';
import { run } from '../../trace/run.ts';
import type { Step } from '../../trace/steps.ts';
import { type WrittenItem, writtenSources } from '../../trace/written.ts';
import type { Io } from '../io.ts';
import { type LoadedMachine, loadMachine } from '../trace/load.ts';
import { wallTimer } from '../trace/wall-timer.ts';

/** What one case came to. */
export interface CaseResult {
  file: string;
  case: Case;
  failures: Failure[];
  /** Of a case that is repeated those of the first connection, and of those that are not as expected. */
  observed: Observed[];
  /** The way of the packets in `observed`, as `trace` tells it; empty for all but the first of repeated connections. */
  ways: string[];
  /** How connections were spread, as asked for. */
  spreads: { by: string; counts: Record<string, number> }[];
}

/** Width of the ways, which are printed indented. */
const WIDTH = 76;
/** Of the connections of a repeated case that are not as expected, so many are told of. */
const TOLD = 5;
/** How long a queue's handler may take for a packet. */
const PATIENCE = { milliseconds: 10_000 };

/** Runs the cases of a file, each on a fresh machine unless it goes on with that of the case before. */
export async function runCases(file: string, cases: CaseFile, io: Io): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  // Each case builds its machine; what that has to say is said once.
  const told = new Set<string>();
  const quiet: Io = {
    ...io,
    err(text) {
      const line = text.replace(/^iptsim trace: /, `iptsim check: ${file}: `);
      if (!told.has(line)) io.err(line);
      told.add(line);
    },
  };
  const open = (queue: string): Promise<QueueRange> => openQueue(file, queue);
  try {
    await withHandlers(cases.queues, open, async (ranges) => {
      let runner: CaseRunner | null = null;
      for (const [index, each] of cases.cases.entries()) {
        if (runner === null || !each.continued) {
          runner = new CaseRunner(file, cases, each, ranges, needsSteps(cases.cases, index), quiet);
        }
        results.push(await runner.run(each));
      }
    });
  } catch (error) {
    if (error instanceof QueueError) throw new CaseFileError(`${file}: ${error.message}`);
    throw error;
  }
  return results;
}

function openQueue(file: string, text: string): Promise<QueueRange> {
  return openHandler(parseQueueOption(text), path.dirname(path.resolve(file)), PATIENCE);
}

/** Whether somebody looks at the steps of this case or of those that go on with its machine: a repeated one is faster without. */
function needsSteps(cases: readonly Case[], index: number): boolean {
  const rest = cases.slice(index + 1);
  const end = rest.findIndex(({ continued }) => !continued);
  return [cases[index]!, ...rest.slice(0, end < 0 ? rest.length : end)].some(
    ({ repeat, expectation }) => repeat === null || expectation?.state !== undefined,
  );
}

class CaseRunner {
  private readonly file: string;
  private readonly loaded: LoadedMachine;
  private readonly steps: Step[] = [];
  private machine: Machine | null = null;
  private clock: number;
  /** Packets so far: all of them, and those in question of the case at hand. */
  private packets = 0;
  private inQuestion = 0;

  constructor(file: string, cases: CaseFile, first: Case, ranges: readonly QueueRange[], withSteps: boolean, io: Io) {
    this.file = file;
    const folder = path.dirname(file);
    const inFolder = (name: string | null): string | null => (name === null ? null : path.resolve(folder, name));
    this.loaded = loadMachine(
      {
        rules: inFolder(cases.rules),
        rules6: inFolder(cases.rules6),
        sets: inFolder(cases.sets),
        host: inFolder(cases.host),
        seed: cases.seed,
        commit: false,
      },
      { pcaps: [], written: [...first.before, ...first.items] },
      { ...io, directory: inFolder(cases.dir) ?? io.directory, variant: cases.variant ?? io.variant },
      {
        observer: withSteps ? (step) => this.steps.push(step) : null,
        collect: true,
        queues:
          ranges.length === 0
            ? null
            : queueListener({ ranges, patience: PATIENCE, timer: wallTimer, packetNumber: () => this.packets }),
      },
    );
    this.clock = this.loaded.startClock;
  }

  async run(each: Case): Promise<CaseResult> {
    await this.play(each.before, () => undefined);
    const { repeat, expectation } = each;
    const result: CaseResult = { file: this.file, case: each, failures: [], observed: [], ways: [], spreads: [] };
    const tallies = each.splits.map((split) => new Tally(split));
    this.inQuestion = 0;
    const isFlow = each.items.length === 1 && each.items[0]!.line.kind === 'flow';
    for (let index = 0; index < (repeat?.times ?? 1); index++) {
      const { observed, ways } = await this.watch(
        repeat === null ? each.items : [this.repeated(each, index)],
        index === 0,
      );
      for (const tally of tallies) if (observed[0] !== undefined) tally.add(observed[0]);
      const failures = expectation === null ? [] : judge(expectation, observed, isFlow);
      if (index > 0 && (failures.length === 0 || result.failures.length >= TOLD)) continue;
      result.failures.push(...failures);
      result.observed.push(...observed);
      result.ways.push(...ways);
    }
    for (const tally of tallies) {
      result.failures.push(...tally.failures());
      result.spreads.push({ by: tally.split.by, counts: Object.fromEntries(tally.counts) });
    }
    return result;
  }

  private repeated(each: Case, index: number): WrittenItem {
    try {
      return repetition(each.items[0]!, each.repeat!, index);
    } catch (error) {
      if (error instanceof RepeatError) throw new CaseFileError(`${this.file}:${each.line}: ${error.message}`);
      throw error;
    }
  }

  /** Plays packets and takes down what became of them. */
  private async watch(
    items: readonly WrittenItem[],
    withWays: boolean,
  ): Promise<{ observed: Observed[]; ways: string[] }> {
    const observed: Observed[] = [];
    const ways: string[] = [];
    const { ruleTexts } = this.loaded;
    const way = textReporter({
      write: (text) => ways.push(text),
      steps: this.steps,
      rules: ruleTexts,
      palette: PLAIN,
      verbose: false,
      width: WIDTH,
    });
    await this.play(items, (traced) => {
      this.inQuestion++;
      observed.push(
        observe({ ...traced, n: this.inQuestion }, this.steps, (table, chain, rule, family) =>
          ruleTexts.rule(family, table as Parameters<typeof ruleTexts.rule>[1], chain, rule),
        ),
      );
      if (withWays) way.packet(traced);
      else ways.push('');
    });
    return { observed, ways };
  }

  private async play(
    items: readonly WrittenItem[],
    packet: Parameters<typeof run>[0]['reporters'][number]['packet'],
  ): Promise<void> {
    if (items.length === 0) return;
    const { loaded } = this;
    const source = mergeSources(writtenSources(items, loaded.host, loaded.placement, this.clock));
    this.machine ??= loaded.start(source.nextTime);
    await run({
      machine: this.machine,
      source,
      reporters: [
        {
          packet: (traced) => {
            this.clock = Math.max(this.clock, traced.input.time + 1000);
            packet(traced);
          },
        },
      ],
      keepOriginals: true,
      before: (input) => {
        this.packets++;
        this.steps.length = 0;
        loaded.before(input);
      },
    });
  }
}
