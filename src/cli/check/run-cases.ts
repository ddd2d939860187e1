import path from 'node:path';
import type { Case, CaseFile } from '../../check/case-file.ts';
import { type Failure, judge, type Observed, observe } from '../../check/judge.ts';
import type { Machine } from '../../datapath/machine-contract.ts';
import { mergeSources } from '../../trace/input.ts';
import { textReporter } from '../../trace/reporters/text.ts';
import { PLAIN } from '../../trace/reporters/text-layout.ts';
import { run } from '../../trace/run.ts';
import type { Step } from '../../trace/steps.ts';
import { type WrittenItem, writtenSources } from '../../trace/written.ts';
import type { Io } from '../io.ts';
import { type LoadedMachine, loadMachine } from '../trace/load.ts';

/** What one case came to. */
export interface CaseResult {
  file: string;
  case: Case;
  failures: Failure[];
  observed: Observed[];
  /** The way of the packets in question, as `trace` tells it. */
  ways: string[];
}

/** Width of the ways, which are printed indented. */
const WIDTH = 76;

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
  let runner: CaseRunner | null = null;
  for (const each of cases.cases) {
    if (runner === null || !each.continued) runner = new CaseRunner(file, cases, each, quiet);
    results.push(await runner.run(each));
  }
  return results;
}

class CaseRunner {
  private readonly file: string;
  private readonly loaded: LoadedMachine;
  private readonly steps: Step[] = [];
  private machine: Machine | null = null;
  private clock: number;

  constructor(file: string, cases: CaseFile, first: Case, io: Io) {
    this.file = file;
    const folder = path.dirname(file);
    const inFolder = (name: string | null): string | null => (name === null ? null : path.resolve(folder, name));
    this.loaded = loadMachine(
      {
        rules: inFolder(cases.rules),
        rules6: inFolder(cases.rules6),
        sets: inFolder(cases.sets),
        host: inFolder(cases.host),
        seed: null,
        commit: false,
      },
      { pcaps: [], written: [...first.before, ...first.items] },
      { ...io, directory: inFolder(cases.dir) ?? io.directory, variant: cases.variant ?? io.variant },
      { observer: (step) => this.steps.push(step), collect: true, queues: null },
    );
    this.clock = this.loaded.startClock;
  }

  async run(each: Case): Promise<CaseResult> {
    await this.play(each.before, () => undefined);
    const observed: Observed[] = [];
    const ways: string[] = [];
    const way = textReporter({
      write: (text) => ways.push(text),
      steps: this.steps,
      rules: this.loaded.ruleTexts,
      palette: PLAIN,
      verbose: false,
      width: WIDTH,
    });
    await this.play(each.items, (traced) => {
      observed.push(
        observe(traced, this.steps, (table, chain, rule, family) =>
          this.loaded.ruleTexts.rule(family, table as Parameters<typeof this.loaded.ruleTexts.rule>[1], chain, rule),
        ),
      );
      way.packet(traced);
    });
    const isFlow = each.items.length === 1 && each.items[0]!.line.kind === 'flow';
    return { file: this.file, case: each, failures: judge(each.expectation, observed, isFlow), observed, ways };
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
        this.steps.length = 0;
        loaded.before(input);
      },
    });
  }
}
