import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import type { Variant } from '../../src/extensions/contract.ts';
import { Random } from '../kernel/random.ts';
import { Coverage } from './coverage.ts';
import { Generator } from './generate.ts';
import { KNOWN } from './known.ts';
import { type Answer, RealTools, SETS, Simulated } from './players.ts';
import { restoreScenario } from './restore-file.ts';
import { type Call, commandScenario, type Scenario } from './scenario.ts';
import { sequenceScenario } from './sequence.ts';
import { shorten } from './shorten.ts';
import { recordVectors, writeVectors } from './vectors.ts';

const HELP = `Makes up rule specifications from the options that the extensions declare, gives them to the real iptables tools (in a
network namespace of their own) and to iptsim, and compares stdout, stderr and exit status, byte for byte.

  npm run test:tools -- [--seed S] [--count N] [--variant legacy|nft] [--family 4|6] [--extension NAME] [--minutes M]
                         [--show N] [--all] [--coverage]

--count: scenarios for each variant; one of ten is a whole restore file, one of ten commands of all kinds, the others one rule appended, listed in all ways, checked,
inserted or replaced, and deleted. --minutes: stops after that time, at the
latest. --all: show differences of the same kind again. Differences that stay are listed with their
reasons in test/tools/known.ts. --coverage: how often each extension and
each option was used. --vectors: writes the real tools' answers to some rules of each extension into src/extensions/*/vectors
instead, which the tests read. Exit status: 0 all equal, 1 differences, 3 could not run.
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '500' },
    variant: { type: 'string', default: 'nft' },
    family: { type: 'string' },
    extension: { type: 'string' },
    minutes: { type: 'string' },
    show: { type: 'string', default: '40' },
    all: { type: 'boolean', default: false },
    coverage: { type: 'boolean', default: false },
    vectors: { type: 'boolean', default: false },
    record: { type: 'string' },
    'write-vectors': { type: 'string', multiple: true },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const BATCH = 40;
const LONGEST_REPORT = 16;

/** Where the answers to a scenario differ. */
interface Difference {
  call: Call;
  real: Answer;
  simulated: Answer;
}

function normal(text: string): string {
  return text.replace(/ on [A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d \d{4}$/gm, ' on DATE');
}

const sameAnswer = (a: Answer, b: Answer): boolean =>
  a.status === b.status && normal(a.out) === normal(b.out) && normal(a.err) === normal(b.err);

type Outcome = { kind: 'equal' } | { kind: 'known'; reason: string } | { kind: 'different'; difference: Difference };

function compare(
  scenario: Scenario,
  real: readonly (Answer | null)[],
  own: readonly Answer[],
  variant: Variant,
): Outcome {
  const calls = [scenario.first, ...scenario.rest];
  for (const [i, call] of calls.entries()) {
    const [a, b] = [real[i], own[i]];
    // A crash of the real tool is nothing to be like; what comes after it is anybody's guess.
    if (a === null) break;
    if (a === undefined || b === undefined) break;
    if (sameAnswer(a, b)) continue;
    const reason = KNOWN.find((each) => each.matches(call, a, b, variant))?.reason;
    if (reason === undefined) return { kind: 'different', difference: { call, real: a, simulated: b } };
    // What comes after it is made of it.
    return { kind: 'known', reason };
  }
  return { kind: 'equal' };
}

function shown({ tool, family, args, stdin }: Call): string {
  const name = `${family === 4 ? 'iptables' : 'ip6tables'}${tool === '' ? '' : `-${tool}`}`;
  const words = args.map((word) => (/^[\w.:,/!+=@-]+$/.test(word) ? word : `'${word}'`)).join(' ');
  return `${name} ${words}${stdin === undefined ? '' : ` <<E\n${stdin}E`}`;
}

function report({ call, real, simulated }: Difference, scenario: Scenario): string {
  const lines = [`${call === scenario.first ? '' : `${shown(scenario.first)}\n`}${shown(call)}`];
  for (const part of ['status', 'out', 'err'] as const) {
    const [a, b] = [normal(String(real[part])), normal(String(simulated[part]))];
    if (a === b) continue;
    const [realLines, ownLines] = [a.split('\n'), b.split('\n')];
    for (const line of realLines) if (!ownLines.includes(line)) lines.push(`  real   ${part}: ${JSON.stringify(line)}`);
    for (const line of ownLines) if (!realLines.includes(line)) lines.push(`  iptsim ${part}: ${JSON.stringify(line)}`);
    if (lines.length === 1) lines.push(`  ${part}: ${JSON.stringify(a)} ${JSON.stringify(b)}`);
  }
  return [...lines.slice(0, LONGEST_REPORT), ...(lines.length > LONGEST_REPORT ? ['  ...'] : [])]
    .map((line) => (line.length > 2000 ? `${line.slice(0, 2000)} ...` : line))
    .join('\n');
}

/** What differences of one kind have in common. */
function kindOf(difference: Difference, scenario: Scenario): string {
  return report(difference, scenario)
    .replace(/'[^']*'|`[^']*'|"[^"]*"/g, (text) => (text.length > 60 ? text : "''"))
    .replace(/\d+/g, 'N')
    .split('\n')
    .filter((line) => line.startsWith('  '))
    .join('\n')
    .slice(0, 400);
}

function main(variant: Variant): number {
  const directory = mkdtempSync(`${tmpdir()}/iptsim-tools-`);
  try {
    const tool = spawnSync(`iptables-${variant}`, ['-V'], { encoding: 'latin1' });
    if (tool.error !== undefined || !tool.stdout.includes('1.8.9')) {
      process.stderr.write(`NOT RUN: iptables-${variant} 1.8.9 is not here (${tool.stdout || 'no such program'})\n`);
      return 3;
    }
    if (spawnSync('ipset', ['restore'], { input: SETS }).status !== 0 || spawnSync('nft', ['-v']).status !== 0) {
      process.stderr.write('NOT RUN: ipset and nft are needed, and a kernel that has sets\n');
      return 3;
    }
    const real = new RealTools(directory, variant);
    const own = new Simulated(directory, variant);
    if (variant === 'legacy') real.prepare();
    if (values.record !== undefined) {
      recordVectors(real, values.record);
      return 0;
    }
    const count = Number(values.count);
    const family = values.family === undefined ? null : values.family === '6' ? 6 : 4;
    const totals = { passed: 0, failed: 0 };
    const coverage = new Coverage();
    const known = new Map<string, number>();
    const kinds = new Map<string, number>();
    const once = (scenario: Scenario): Difference | null => {
      const outcome = compare(scenario, real.play([scenario])[0]!, own.play(scenario), variant);
      return outcome.kind === 'different' ? outcome.difference : null;
    };
    let played = 0;
    const end =
      values.minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + Number(values.minutes) * 60_000;
    for (let done = 0; done < count && performance.now() < end; done += BATCH) {
      const scenarios = Array.from({ length: Math.min(BATCH, count - done) }, (_, i) => {
        const random = new Random((Number(values.seed) + done + i) * 7919 + (variant === 'nft' ? 1 : 0));
        const generator = new Generator(random, values.extension ?? null, family, coverage);
        const dice = random.next();
        if (dice < 0.1) return restoreScenario(random, generator);
        return dice < 0.2 ? sequenceScenario(random, generator) : commandScenario(random, generator);
      });
      const answers = real.play(scenarios);
      played += scenarios.length;
      if (process.stderr.isTTY) process.stderr.write(`\r${variant}: ${played} of ${count}`);
      for (const [i, scenario] of scenarios.entries()) {
        const outcome = compare(scenario, answers[i]!, own.play(scenario), variant);
        if (outcome.kind === 'equal') totals.passed++;
        if (outcome.kind === 'known') known.set(outcome.reason, (known.get(outcome.reason) ?? 0) + 1);
        if (outcome.kind !== 'different') continue;
        totals.failed++;
        const early = kindOf(outcome.difference, scenario);
        const before = kinds.get(early) ?? 0;
        kinds.set(early, before + 1);
        if ((before > 0 && !values.all) || kinds.size > Number(values.show)) continue;
        const shortest = shorten(scenario, once);
        const difference = shortest === null ? outcome.difference : shortest.difference;
        const text = report(difference, shortest?.scenario ?? scenario);
        process.stdout.write(`-- ${variant}, seed ${Number(values.seed) + done + i}\n${text}\n`);
      }
    }
    if (values.coverage) process.stdout.write(coverage.table());
    for (const [reason, times] of known) process.stdout.write(`known: ${times} times: ${reason}\n`);
    const listed = [...known.values()].reduce((sum, n) => sum + n, 0);
    process.stdout.write(
      `${variant}: ${coverage.summary()}\n${variant}: ${played} scenarios: ${totals.passed} passed, ${listed} known differences, ${totals.failed} failed\n`,
    );
    return totals.failed === 0 ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (values.help) process.stdout.write(HELP);
else if (values['write-vectors'] !== undefined) {
  const [legacy = '', nft = '', into = ''] = values['write-vectors'];
  process.stdout.write(`${writeVectors({ legacy, nft }, into)} vectors\n`);
} else if (values.variant !== 'nft' && values.variant !== 'legacy') {
  process.stderr.write(`--variant is legacy or nft, not ${values.variant}\n`);
  process.exitCode = 2;
} else process.exitCode = main(values.variant);
