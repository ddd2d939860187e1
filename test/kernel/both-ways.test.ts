import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { fixtureScenarios } from './fixtures.ts';
import { generate, PROFILES } from './generate/profiles.ts';
import { readRecord, recordsIn } from './records.ts';
import type { RecordedCase, Scenario, SentPacket } from './scenario.ts';
import { runSimulation, runSummary } from './simulate.ts';

// Steps come from the plain evaluator, which tests rule by rule; without them the compiled one works, and with --summary packet objects are used
// again. All three must do the same to every packet, counter, set and connection that is compared with the kernel elsewhere.

const ROOT = path.resolve(import.meta.dirname, '../..');
/** Longer records of the kernel, where they lie beside this checkout. */
const RECORDS = path.resolve(ROOT, '../shared/truth/kernel');
/** Chains shorter than this are not filed; rules that match nothing fill them up, behind all others. */
const FILED_FROM = 16;

const NOBODY = { 4: '-s 240.0.0.1/32 -d 240.0.0.2/32', 6: '-s 3fff::1/128 -d 3fff::2/128' } as const;

/** The ruleset with chains that all are filed. */
function filled(text: string, family: 4 | 6): string {
  let chains: string[] = [];
  return text
    .split('\n')
    .flatMap((line) => {
      if (line.startsWith('*')) chains = [];
      const chain = /^:(\S+)/.exec(line)?.[1];
      if (chain !== undefined) chains.push(chain);
      if (line !== 'COMMIT') return [line];
      const rules = chains.flatMap((name) => Array<string>(FILED_FROM).fill(`-A ${name} ${NOBODY[family]} -j ACCEPT`));
      return [...rules, line];
    })
    .join('\n');
}

/** Saved rulesets say when they were written. */
function undated<T extends { saveV4: string; saveV6: string }>(outcome: T): T {
  const undate = (text: string): string => text.replaceAll(/^# .*\n/gm, '');
  return { ...outcome, saveV4: undate(outcome.saveV4), saveV6: undate(outcome.saveV6) };
}

async function playThreeWays(scenario: Scenario, sent: SentPacket[], variant: 'legacy' | 'nft'): Promise<void> {
  const folders = [1, 2, 3].map(() => mkdtempSync(path.join(tmpdir(), 'iptsim-ways-')));
  try {
    const plain = await runSimulation(scenario, sent, folders[0]!, variant);
    const compiled = await runSimulation(scenario, sent, folders[1]!, variant, { options: ['--no-steps'] });
    const counted = await runSummary(scenario, sent, folders[2]!, variant);
    const lines = plain.lines.filter((line) => line !== '').map((line) => JSON.parse(line) as { verdict: string });
    const verdicts: Record<string, number> = {};
    for (const each of lines) {
      verdicts[each.verdict] = (verdicts[each.verdict] ?? 0) + 1;
      delete (each as { steps?: unknown }).steps;
    }
    expect(compiled.lines.filter((line) => line !== '').map((line) => JSON.parse(line) as object)).toEqual(lines);
    expect(undated(compiled.outcome)).toEqual(undated(plain.outcome));
    const { saveV4, saveV6, ipset, conntrack, expectations } = plain.outcome;
    expect(undated(counted.after)).toEqual(undated({ saveV4, saveV6, ipset, conntrack, expectations }));
    expect(counted.verdicts).toEqual(verdicts);
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
}

/** With all chains filed. */
async function playFilled(scenario: Scenario, sent: SentPacket[], variant: 'legacy' | 'nft'): Promise<void> {
  const rulesV4 = filled(scenario.rulesV4, 4);
  const rulesV6 = filled(scenario.rulesV6, 6);
  await playThreeWays({ ...scenario, rulesV4, rulesV6 }, sent, variant);
}

/** As it is, and with all chains filed. */
async function play(scenario: Scenario, sent: SentPacket[], variant: 'legacy' | 'nft'): Promise<void> {
  await playThreeWays(scenario, sent, variant);
  await playFilled(scenario, sent, variant);
}

/** The packets whose bytes are known beforehand, as the kernel would be sent them. */
function sentOf(scenario: Scenario): SentPacket[] {
  let time = 1_700_000_000e6;
  return scenario.packets.flatMap(({ dev, hex, sourceMac, destinationMac, gap }) => {
    time += gap ?? 200;
    if (hex === undefined) return [];
    const macs = { ...(sourceMac && { sourceMac }), ...(destinationMac && { destinationMac }) };
    return [{ dev, hex, time, ...macs }];
  });
}

describe('the plain evaluator and the compiled one', () => {
  const cases = path.join(import.meta.dirname, 'cases');
  it.each(readdirSync(cases).sort())('agree on %s', async (file) => {
    const recorded = JSON.parse(readFileSync(path.join(cases, file), 'utf8')) as RecordedCase;
    await play(recorded.scenario, recorded.sent, recorded.variant);
  });

  it.each(Object.keys(PROFILES))('agree on random rulesets and packets: %s', async (profile) => {
    for (const [seed, variant] of [
      [1, 'nft'],
      [2, 'legacy'],
    ] as const) {
      const scenario = generate(profile, seed);
      await play(scenario, sentOf(scenario), variant);
    }
  });

  it('agree on the scenarios under fixtures', async () => {
    for (const scenario of fixtureScenarios(ROOT)) await playFilled(scenario, sentOf(scenario), 'nft');
  });

  const records = recordsIn(RECORDS);
  it.runIf(records.length > 0)('agree on what the kernel was sent', async () => {
    for (const file of records) {
      const { scenario, sent } = readRecord(file);
      await playFilled(scenario, sent, 'nft');
    }
  });
});
