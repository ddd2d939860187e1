import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { explain } from '../src/cli/commands/explain.ts';
import { matches, targets } from '../src/extensions/registry.ts';
import { parseVectors, type Vector } from './tools/vectors.ts';

/** `iptsim explain` of every rule that is kept beside the extensions. */
const ROOT = path.resolve(import.meta.dirname, '../src/extensions');
const directory = mkdtempSync(path.join(tmpdir(), 'iptsim-explain-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A rule of what no kernel here takes, and the real tool hardly. */
const MORE: Readonly<Record<string, string>> = {
  CLUSTERIP:
    '-A INPUT -j CLUSTERIP --new --hashmode sourceip --clustermac 01:00:5e:00:00:20 --total-nodes 2 --local-node 1',
  SECMARK: '-t security -A INPUT -j SECMARK --selctx system_u:object_r:http_t:s0',
};

function sentence({ family, args }: Vector): string {
  let text = '';
  const status = explain('explain', [...(family === 6 ? ['-6'] : []), '--', ...args], {
    out(part) {
      text += part;
    },
    err(part) {
      text += part;
    },
    readStdin: () => '',
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    directory,
    variant: 'legacy',
    hints: false,
  });
  expect([args.join(' '), status, text]).toEqual([args.join(' '), 0, text]);
  return text.replaceAll(/\n +/g, ' ').trimEnd();
}

/** What the rule's own words say, such as a comment or a prefix, may look like anything. */
function withoutValues(text: string, { args }: Vector): string {
  const own = args.filter((word) => !/^-?-?[a-z-]+$/.test(word)).sort((a, b) => b.length - a.length);
  return own
    .reduce((rest, word) => (word.length > 1 ? rest.replaceAll(word, 'X') : rest), text)
    .replaceAll(/"[^"]*"/g, 'X');
}

describe.each([...matches, ...targets].map((each) => [each.kind === 'match' ? 'matches' : 'targets', each.name]))(
  'explain: %s %s',
  (kind, name) => {
    const folder = path.join(ROOT, kind!, 'vectors');
    const file = readdirSync(folder).find((each) => each === `${name}.txt`);
    const vectors = file === undefined ? [] : parseVectors(readFileSync(path.join(folder, file), 'utf8'));
    // What the kernel alone refuses is a rule too.
    const rules = vectors.filter(
      ({ args, answers: { legacy } }) =>
        !legacy.error?.startsWith('2') && !args.some((word) => /^(--set-counters|-c|-x|)$/.test(word)),
    );
    const more = MORE[name!];
    if (more !== undefined) rules.push({ family: 4, args: more.split(' '), answers: { legacy: {}, nft: {} } });

    it('gives a sentence for each rule', () => {
      expect(rules.length).toBeGreaterThan(0);
      for (const rule of rules) {
        const text = sentence(rule);
        expect(text).toMatch(/^(If .+|Always): .+\.( \(.+\))?$/);
        const plain = withoutValues(text, rule);
        expect(plain).not.toMatch(/ --?[a-z]|undefined|null|NaN|\[object| {2}|: \.|\bis [,.]/);
      }
    });
  },
);
