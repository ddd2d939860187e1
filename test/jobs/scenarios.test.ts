import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { silentIo } from '../../src/cli/trace/part.ts';
import { generate, PROFILES } from '../kernel/generate/profiles.ts';
import { readRecord, recordsIn } from '../kernel/records.ts';
import type { RecordedCase, Scenario, SentPacket } from '../kernel/scenario.ts';
import { writeInputs } from '../kernel/simulate.ts';
import { playParts, playWhole } from './whole.ts';

// Packets that are shared out to several machines come to what they come to on one: verdicts, counters of all rules, connections.

const RECORDS = path.resolve(import.meta.dirname, '../../../shared/truth/kernel');

const JOBS = 3;

/** Plays a scenario on one machine and on several; says whether it could be shared out. */
async function isShared(scenario: Scenario, sent: SentPacket[], variant: 'legacy' | 'nft'): Promise<boolean> {
  const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-parts-'));
  try {
    const pcaps = writeInputs(scenario, sent, folder).filter((word) => word !== '--pcap');
    if (pcaps.length === 0) return false;
    const io = silentIo(path.join(folder, 'state'), variant);
    const parts = await playParts(io, pcaps, JOBS);
    if (typeof parts === 'string') return false;
    expect(parts).toEqual(await playWhole(io, pcaps));
    return true;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function sentOf(scenario: Scenario): SentPacket[] {
  let time = 1_700_000_000e6;
  return scenario.packets.flatMap(({ dev, hex, sourceMac, destinationMac, gap }) => {
    time += gap ?? 200;
    if (hex === undefined) return [];
    const macs = { ...(sourceMac && { sourceMac }), ...(destinationMac && { destinationMac }) };
    return [{ dev, hex, time, ...macs }];
  });
}

describe('several machines come to what one comes to', () => {
  it('with the packets of the recorded comparisons with the kernel', async () => {
    const cases = path.join(import.meta.dirname, '../kernel/cases');
    let shared = 0;
    for (const file of readdirSync(cases).sort()) {
      const { scenario, sent, variant } = JSON.parse(readFileSync(path.join(cases, file), 'utf8')) as RecordedCase;
      if (await isShared(scenario, sent, variant)) shared++;
    }
    expect(shared).toBeGreaterThan(30);
  });

  it('with random rulesets and packets', async () => {
    let shared = 0;
    for (const profile of Object.keys(PROFILES)) {
      for (const [seed, variant] of [
        [1, 'nft'],
        [2, 'legacy'],
      ] as const) {
        const scenario = generate(profile, seed);
        if (await isShared(scenario, sentOf(scenario), variant)) shared++;
      }
    }
    expect(shared).toBeGreaterThan(15);
  });

  const records = recordsIn(RECORDS);
  it.runIf(records.length > 0)('with what the kernel was sent', async () => {
    let shared = 0;
    for (const file of records) {
      const { scenario, sent } = readRecord(file);
      if (await isShared(scenario, sent, 'nft')) shared++;
    }
    expect(shared).toBeGreaterThan(15);
  });
});
