import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { compare, compareWays, counters, type Difference } from './compare.ts';
import { fixtureScenarios } from './fixtures.ts';
import { generate, PROFILES } from './generate/profiles.ts';
import { kernelUnavailable, runKernel } from './kernel.ts';
import type { Outcome as KernelOutcome, RecordedCase, Scenario, SentPacket } from './scenario.ts';
import { shrink } from './shrink.ts';
import { runSimulation } from './simulate.ts';

const HELP = `Plays generated scenarios in the real kernel and in iptsim and compares all packets, counters, sets and conntrack entries.

  npm run test:kernel -- [--seed S] [--count N] [--profile NAME]... [--variant legacy|nft] [--no-shrink] [--keep DIR] [--record DIR] [--fixtures] [FILE...]

--fixtures plays the packets of the expectations under fixtures/. FILE is a scenario kept earlier with --keep; --record writes down what the kernel did to it, for test/kernel/cases.test.ts. Profiles: ${Object.keys(PROFILES).join(' ')}
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '40' },
    profile: { type: 'string', multiple: true },
    variant: { type: 'string', default: 'legacy' },
    'no-shrink': { type: 'boolean', default: false },
    keep: { type: 'string' },
    record: { type: 'string' },
    fixtures: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const root = process.env.IPTSIM_ROOT ?? process.cwd();
const wireSource = path.join(root, 'test/kernel/wire.c');
const variant = values.variant === 'nft' ? 'nft' : 'legacy';

interface Played {
  found: Difference[];
  matched: Map<string, [number, number]>;
  packets: number;
  sent: SentPacket[];
  outcome: KernelOutcome;
}

async function play(scenario: Scenario): Promise<Played> {
  const { sent, outcome } = await runKernel(scenario, variant, wireSource);
  const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-kernel-'));
  try {
    const { outcome: simulated } = await runSimulation(scenario, sent, folder, variant);
    return {
      found:
        scenario.profile === 'fixtures-by-chance'
          ? compareWays(sent, outcome, simulated)
          : compare(sent, outcome, simulated),
      matched: usage(outcome.saveV4 + outcome.saveV6),
      packets: sent.length,
      sent,
      outcome,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Plays a scenario; where there is a difference, once more: `unsteady` if the kernel then differs from itself, or the difference is gone. */
async function differences(scenario: Scenario): Promise<Played & { unsteady: boolean }> {
  const first = await play(scenario);
  if (first.found.length === 0) return { ...first, unsteady: false };
  const again = await play(scenario);
  const itself = compare(first.sent, again.outcome, first.outcome);
  return { ...again, unsteady: again.found.length === 0 || itself.length > 0 };
}

/** For each extension: rules that matched something, rules that never did. */
function usage(save: string): Map<string, [number, number]> {
  const out = new Map<string, [number, number]>();
  for (const { counter, rule } of counters(save).values()) {
    for (const [, kind, name] of rule.matchAll(/(?:^| )-([mj]) (\S+)/g)) {
      const entry = out.get(`${kind} ${name}`) ?? [0, 0];
      entry[counter === '0:0' ? 1 : 0]++;
      out.set(`${kind} ${name}`, entry);
    }
  }
  return out;
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const why = kernelUnavailable();
  if (why !== null) {
    process.stdout.write(`KERNEL COMPARISON NOT RUN: ${why}\n0 passed, 0 failed\n`);
    return 0;
  }
  const first = Number(values.seed);
  const profiles = values.profile ?? Object.keys(PROFILES);
  const unknown = profiles.find((name) => !(name in PROFILES));
  if (unknown !== undefined) {
    process.stderr.write(`no profile ${unknown}; there are: ${Object.keys(PROFILES).join(' ')}\n`);
    return 2;
  }
  const scenarios = values.fixtures
    ? fixtureScenarios(root)
    : positionals.length > 0
      ? positionals.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Scenario)
      : null;
  const count = scenarios?.length ?? Number(values.count);
  const totals = new Map<string, { good: number; unsteady: number; all: number; packets: number }>();
  const reached = new Map<string, [number, number]>();
  let failed = 0;
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const scenario = scenarios?.[i] ?? generate(profiles[i % profiles.length], first + i);
    const total = totals.get(scenario.profile) ?? { good: 0, unsteady: 0, all: 0, packets: 0 };
    totals.set(scenario.profile, total);
    let result: Omit<Awaited<ReturnType<typeof differences>>, 'sent' | 'outcome'> & Partial<Played>;
    try {
      result = await differences(scenario);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (/tables-\S*restore/.test(text) && !text.startsWith('iptsim')) {
        // The generator drew a rule that the kernel does not take: no comparison, but counted, so that it stays rare.
        refused++;
        if (values.keep) process.stdout.write(`refused ${scenario.name}: ${text}\n`);
        continue;
      }
      result = { found: [{ what: 'packet', packet: -1, text }], matched: new Map(), packets: 0, unsteady: false };
    }
    if (values.record !== undefined && result.found.length === 0 && result.outcome !== undefined)
      record(values.record, { variant, scenario, sent: result.sent ?? [], outcome: result.outcome });
    total.all++;
    total.packets += result.packets;
    for (const [name, [yes, no]] of result.matched) {
      const entry = reached.get(name) ?? [0, 0];
      reached.set(name, [entry[0] + yes, entry[1] + no]);
    }
    if (result.unsteady) {
      total.unsteady++;
      process.stdout.write(`UNSTEADY ${scenario.name}: the kernel does not do the same twice\n`);
      for (const difference of result.found.slice(0, 2)) process.stdout.write(`  ${difference.text}\n`);
      continue;
    }
    if (result.found.length === 0) {
      total.good++;
      continue;
    }
    failed++;
    process.stdout.write(`DIFF ${scenario.name}: ${result.found.length} differences\n`);
    await report(scenario, result.found);
  }
  for (const [name, { good, unsteady, all, packets }] of totals)
    process.stdout.write(
      `${name.padEnd(10)} ${good}/${all - unsteady} scenarios equal, ${packets} packets${unsteady > 0 ? `; ${unsteady} in which the kernel is not steady` : ''}\n`,
    );
  process.stdout.write(
    `reached (rules that matched/never did): ${[...reached]
      .sort()
      .map(([name, [yes, no]]) => `${name.slice(2)} ${yes}/${no}`)
      .join(', ')}\n`,
  );
  if (refused > 0) process.stdout.write(`${refused} scenarios not played: the kernel refused a rule\n`);
  const passed = [...totals.values()].reduce((sum, { good }) => sum + good, 0);
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

function record(folder: string, recorded: RecordedCase): void {
  mkdirSync(folder, { recursive: true });
  const name = `${recorded.scenario.name}${recorded.variant === 'nft' ? '-nft' : ''}.json`;
  writeFileSync(path.join(folder, name), `${JSON.stringify(recorded)}\n`);
}

async function report(scenario: Scenario, found: Difference[]): Promise<void> {
  let small = scenario;
  let shown = found;
  if (!values['no-shrink']) {
    const what = found[0].what;
    small = await shrink(
      scenario,
      async (candidate) => {
        try {
          const { found: again, unsteady } = await differences(candidate);
          if (unsteady) return false;
          if (!again.some((difference) => difference.what === what)) return false;
          shown = again;
          return true;
        } catch {
          return false;
        }
      },
      60,
    );
  }
  for (const difference of shown.slice(0, 4)) process.stdout.write(`  ${difference.text}\n`);
  const rules = `${small.rulesV4}${small.rulesV6}`
    .split('\n')
    .filter((line) => line.startsWith('-A') || / DROP /.test(line) || line.startsWith('*'));
  if (small === scenario) process.stdout.write('  (not made smaller)\n');
  else
    process.stdout.write(
      `  with ${small.packets.length} packets and rules:\n${rules.map((line) => `    ${line}\n`).join('')}`,
    );
  if (values.keep) {
    mkdirSync(values.keep, { recursive: true });
    writeFileSync(path.join(values.keep, `${scenario.name}.json`), `${JSON.stringify(small, null, 1)}\n`);
  }
}

void main().then((status) => {
  process.exitCode = status;
});
