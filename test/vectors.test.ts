import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Simulated } from './tools/players.ts';
import { answersOf, parseVectors, scenarioOfVector } from './tools/vectors.ts';

/** Answers of the real iptables 1.8.9 to rules of each extension, kept beside the extensions. */
const ROOT = path.resolve(import.meta.dirname, '../src/extensions');
const directory = mkdtempSync(path.join(tmpdir(), 'iptsim-vectors-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe.each(['matches', 'targets'])('%s', (kind) => {
  const folder = path.join(ROOT, kind, 'vectors');
  it.each(readdirSync(folder))('%s', (file) => {
    const vectors = parseVectors(readFileSync(path.join(folder, file), 'utf8'));
    expect(vectors.length).toBeGreaterThan(0);
    for (const variant of ['legacy', 'nft'] as const) {
      const simulated = new Simulated(directory, variant);
      for (const vector of vectors) {
        const answers = answersOf(simulated.play(scenarioOfVector(vector), false));
        expect({ rule: vector.args.join(' '), variant, ...answers }).toEqual({
          rule: vector.args.join(' '),
          variant,
          ...vector.answers[variant],
        });
      }
    }
  });
});
