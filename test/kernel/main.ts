import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { compare, compareWays, type Difference } from './compare.ts';
import { compareEvents } from './events.ts';
import { addFigures, type Figures, figuresOf, figuresText, noTotal, type ProfileTotal, rulesOf } from './figures.ts';
import { fixtureScenarios } from './fixtures.ts';
import { withEntries } from './generate/entries.ts';
import { FINGERPRINTS } from './generate/fingerprints.ts';
import { generate, PROFILES } from './generate/profiles.ts';
import { changeFingerprints, ENDLESS, kernelLogs, kernelUnavailable, runKernel } from './kernel.ts';
import type { Outcome as KernelOutcome, RecordedCase, Scenario, SentPacket } from './scenario.ts';
import { shrink } from './shrink.ts';
import { runEvents, runSimulation } from './simulate.ts';

const HELP = `Plays generated scenarios in the real kernel and in iptsim and compares all packets, counters, sets and conntrack entries.

  npm run test:kernel -- [--seed S] [--count N] [--profile NAME]... [--variant legacy|nft] [--jobs N] [--every N] [--no-shrink] [--keep DIR] [--record DIR] [--fixtures] [--events] [--entries] [FILE...]

--jobs N plays so many at the same time (1: lines of LOG are compared too, where net.netfilter.nf_log_all_netns is 1); --every N tells how far it is after each N.
--fixtures plays the packets of the expectations under fixtures/. --events compares what conntrack -E and trace --events tell of connections instead.
--networks compares whole networks of hosts: the same as npm run test:cloud.
--entries makes some of the connections by hand first (conntrack -I).
 FILE is a scenario kept earlier with --keep; --record writes down what the kernel did to it, for test/kernel/cases.test.ts. Profiles: ${Object.keys(PROFILES).join(' ')}
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
    jobs: { type: 'string', default: '3' },
    every: { type: 'string' },
    fixtures: { type: 'boolean', default: false },
    events: { type: 'boolean', default: false },
    entries: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const root = process.env.IPTSIM_ROOT ?? process.cwd();
const wireSource = path.join(root, 'test/kernel/wire.c');
const places = Math.max(1, Number(values.jobs));
const log = places === 1 && kernelLogs();
const variant = values.variant === 'nft' ? 'nft' : 'legacy';

interface Played {
  found: Difference[];
  /** Whether iptsim drew ports that it could not follow the kernel in. */
  drew: boolean;
  sent: SentPacket[];
  outcome: KernelOutcome;
}

/** Milliseconds after which the kernel has forgotten how many messages it has written lately (net.core.message_cost). */
const RATE_INTERVAL = 5200;

/** Whether the kernel may write messages of which it writes only so many. */
function mayBeLimited({ host, ipsets, rulesV4, rulesV6 }: Scenario): boolean {
  const names = Object.keys(host.sysctl);
  if (names.some((name) => /log_martians|bogus_error/.test(name))) return true;
  return / maxelem \d{1,2} /.test(ipsets) || /htable-max \d{1,2} /.test(rulesV4 + rulesV6);
}

/** Plays a scenario on both sides; `follow`: NAT in iptsim chooses the ports that the kernel has chosen. */
async function play(scenario: Scenario, place: number, follow: boolean): Promise<Played> {
  if (log && mayBeLimited(scenario)) {
    await new Promise((resolve) => setTimeout(resolve, RATE_INTERVAL));
  }
  const events = values.events || follow;
  const { sent, outcome } = await runKernel(scenario, variant, wireSource, { place, log, events });
  return { ...(await compareWith(scenario, sent, outcome, follow)), sent, outcome };
}

/** Differences between what the kernel did and what iptsim does with the same packets. */
async function compareWith(
  scenario: Scenario,
  sent: SentPacket[],
  outcome: KernelOutcome,
  follow: boolean,
): Promise<Pick<Played, 'found' | 'drew'>> {
  const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-kernel-'));
  try {
    if (values.events) {
      const told = await runEvents(scenario, sent, folder, variant);
      return { found: compareEvents(outcome.events ?? '', told), drew: false };
    }
    const { outcome: simulated, drew } = await runSimulation(
      scenario,
      sent,
      folder,
      variant,
      follow ? { events: '', ...outcome } : {},
    );
    const isByChance = scenario.profile === 'fixtures-by-chance';
    return { found: (isByChance ? compareWays : compare)(sent, outcome, simulated), drew };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** How often a scenario is played before a difference is believed: what the kernel draws at random may come out the same several times. */
const PLAYS = 8;

/**
 * What there is to say of a scenario: `followed`: equal where iptsim chose the ports that the kernel had chosen; `unsteady`: a
 * difference did not show again each time.
 */
type Compared = Played & { how: 'plain' | 'followed' | 'unsteady' };

/** Whether rules have the kernel draw ports for nearly every connection. */
function drawsPorts({ profile, rulesV4, rulesV6 }: Scenario): boolean {
  return profile === 'ports' || / --random/.test(rulesV4 + rulesV6);
}

/** Plays a scenario; where there is a difference, again with the ports that the kernel chooses, until it is certain. */
async function differences(scenario: Scenario, place: number): Promise<Compared> {
  const draws = drawsPorts(scenario);
  const first = await play(scenario, place, draws);
  if (first.found.length === 0) return { ...first, how: draws ? 'followed' : 'plain' };
  // Most ports that were drawn stand in the list of connections that there is at the end.
  if (!values.events && !draws) {
    const followed = await compareWith(scenario, first.sent, first.outcome, true);
    if (followed.found.length === 0) return { ...first, ...followed, how: 'followed' };
  }
  let again = first;
  let couldFollow = draws && !first.drew;
  /** What was different each time; with ports that are drawn nothing is said twice in the same words. */
  let standing = first.found;
  for (let n = 1; n < PLAYS; n++) {
    again = await play(scenario, place, true);
    if (again.found.length === 0) {
      const { sent, outcome } = again;
      const isFollowed = draws || (await compareWith(scenario, sent, outcome, false)).found.length > 0;
      return isFollowed && !values.events
        ? { ...again, how: 'followed' }
        : { ...again, found: first.found, how: 'unsteady' };
    }
    couldFollow ||= !again.drew;
    const texts = new Set(again.found.map(({ text }) => text));
    standing = standing.filter(({ text }) => texts.has(text));
    if (standing.length === 0 && !draws) return { ...again, how: 'unsteady' };
  }
  if (!draws) return { ...again, found: standing, how: 'plain' };
  return { ...again, how: couldFollow ? 'plain' : 'unsteady' };
}

/** What all scenarios of a run add up to. */
class Run {
  readonly profiles = new Map<string, ProfileTotal>();
  readonly figures: Figures = new Map();
  refused = 0;
  endless = 0;

  /** Plays one scenario and reports what is to be said about it. */
  async scenario(scenario: Scenario, place: number): Promise<void> {
    const total = this.profiles.get(scenario.profile) ?? noTotal();
    this.profiles.set(scenario.profile, total);
    let result: Awaited<ReturnType<typeof differences>>;
    try {
      result = await differences(scenario, place);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (/(tables-\S*|ipset )restore/.test(text) && !text.startsWith('iptsim')) {
        // The generator drew a rule or a set that the kernel does not take: no comparison, but counted, so that it stays rare.
        this.refused++;
        if (values.keep) process.stdout.write(`refused ${scenario.name}: ${refusedRule(text, scenario)}\n`);
        return;
      }
      if (text === ENDLESS) {
        this.endless++;
        process.stdout.write(`ENDLESS ${scenario.name}: ${text}\n`);
        return;
      }
      total.different++;
      await report(scenario, [{ what: 'packet', packet: -1, text }], place);
      return;
    }
    const { found, sent, outcome, how } = result;
    if (values.record !== undefined && found.length === 0) record(values.record, { variant, scenario, sent, outcome });
    const saves = outcome.saveV4 + outcome.saveV6;
    const rules = rulesOf(saves);
    total.packets += sent.length;
    total.rules.matched += rules.matched;
    total.rules.unmatched += rules.unmatched;
    addFigures(this.figures, figuresOf(saves));
    if (how === 'followed') total.followed++;
    if (how === 'unsteady') {
      total.unsteady++;
      const shown = found.slice(0, 2).map(({ text }) => `  ${text}\n`);
      process.stdout.write(`UNSTEADY ${scenario.name}: the kernel does not do the same twice\n${shown.join('')}`);
    } else if (found.length === 0) {
      total.equal++;
    } else {
      total.different++;
      await report(scenario, found, place);
    }
  }
}

/** The message of a restore tool, with the line that it names. */
function refusedRule(text: string, scenario: Scenario): string {
  const line = Number(/line:? (\d+)/.exec(text)?.[1] ?? 0);
  const rules = /ip6tables/.test(text) ? scenario.rulesV6 : scenario.rulesV4;
  return `${text} ${rules.split('\n')[line - 1] ?? ''}`;
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
  const played = new Run();
  let next = 0;
  const worker = async (place: number): Promise<void> => {
    while (next < count) {
      const i = next++;
      const scenario = scenarios?.[i] ?? generate(profiles[i % profiles.length], first + i);
      await played.scenario(values.entries ? withEntries(scenario) : scenario, place);
      if (values.every !== undefined && next % Number(values.every) === 0) progress(played, next);
    }
  };
  await Promise.all(Array.from({ length: places }, (_, place) => worker(place)));
  changeFingerprints(FINGERPRINTS, 'remove');
  process.stdout.write(figuresText(played.profiles, played.figures));
  if (!log) {
    const why = places > 1 ? 'several scenarios at a time' : 'net.netfilter.nf_log_all_netns is 0 on this machine';
    process.stdout.write(`lines of LOG were not compared: ${why}\n`);
  }
  if (played.refused > 0)
    process.stdout.write(`${played.refused} scenarios not played: the kernel refused a rule or a set\n`);
  if (played.endless > 0) process.stdout.write(`${played.endless} scenarios given up: ${ENDLESS}\n`);
  const { equal, different } = sums(played);
  process.stdout.write(`${equal} passed, ${different} failed\n`);
  return different === 0 ? 0 : 1;
}

function sums({ profiles }: Run): { equal: number; different: number } {
  const all = [...profiles.values()];
  return {
    equal: all.reduce((sum, { equal }) => sum + equal, 0),
    different: all.reduce((sum, { different }) => sum + different, 0),
  };
}

function progress(played: Run, so: number): void {
  const { equal, different } = sums(played);
  process.stderr.write(`${so} played: ${equal} equal, ${different} different\n`);
}

function record(folder: string, recorded: RecordedCase): void {
  mkdirSync(folder, { recursive: true });
  const name = `${recorded.scenario.name}${recorded.variant === 'nft' ? '-nft' : ''}.json`;
  writeFileSync(path.join(folder, name), `${JSON.stringify(recorded)}\n`);
}

async function report(scenario: Scenario, found: Difference[], place: number): Promise<void> {
  let small = scenario;
  let shown = found;
  if (!values['no-shrink']) {
    const what = found[0].what;
    small = await shrink(
      scenario,
      async (candidate) => {
        try {
          const { found: again, how } = await differences(candidate, place);
          if (how !== 'plain') return false;
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
  let text = `DIFF ${scenario.name}: ${found.length} differences\n`;
  for (const difference of shown.slice(0, 4)) text += `  ${difference.text}\n`;
  const rules = `${small.rulesV4}${small.rulesV6}`
    .split('\n')
    .filter((line) => line.startsWith('-A') || / DROP /.test(line) || line.startsWith('*'));
  text +=
    small === scenario
      ? '  (not made smaller)\n'
      : `  with ${small.packets.length} packets and rules:\n${rules.map((line) => `    ${line}\n`).join('')}`;
  process.stdout.write(text);
  if (values.keep) {
    mkdirSync(values.keep, { recursive: true });
    writeFileSync(path.join(values.keep, `${scenario.name}.json`), `${JSON.stringify(small, null, 1)}\n`);
  }
}

void main().then((status) => {
  process.exitCode = status;
});
