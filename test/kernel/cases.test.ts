import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { compare } from './compare.ts';
import type { RecordedCase } from './scenario.ts';
import { runSimulation } from './simulate.ts';

/** Small scenarios in which iptsim once differed from Linux 6.18, with what the kernel did (`npm run test:kernel -- --record`). */
const CASES = path.join(import.meta.dirname, 'cases');

describe('what the kernel did', () => {
  for (const file of readdirSync(CASES).sort()) {
    it(file.replace('.json', ''), async () => {
      const { variant, scenario, sent, outcome } = JSON.parse(
        readFileSync(path.join(CASES, file), 'utf8'),
      ) as RecordedCase;
      const folder = mkdtempSync(path.join(tmpdir(), 'iptsim-case-'));
      try {
        const simulated = await runSimulation(scenario, sent, folder, variant, outcome);
        expect(compare(sent, outcome, simulated.outcome).map((difference) => difference.text)).toEqual([]);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
});
