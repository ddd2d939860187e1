import path from 'node:path';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

/** The emulated commands start often, so they carry nothing that only iptsim's own commands need. */
const ROOT = path.resolve(import.meta.dirname, '..');

it.each(['iptables', 'ipset', 'conntrack'])('%s loads nothing but this project at its start', async (name) => {
  const { metafile } = await build({
    entryPoints: [path.join(ROOT, `src/cli/entries/${name}.ts`)],
    absWorkingDir: ROOT,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    metafile: true,
    write: false,
    logLevel: 'silent',
  });
  // What is imported on demand is not loaded at the start.
  const loaded = new Set(Object.keys(metafile.outputs).flatMap((output) => metafile.outputs[output]!.entryPoint ?? []));
  for (const file of loaded) {
    for (const { path: other, kind } of metafile.inputs[file]?.imports ?? []) {
      if (kind !== 'dynamic-import') loaded.add(other);
    }
  }
  expect(loaded.size).toBeGreaterThan(20);
  const packages = [...loaded]
    .filter((file) => file.includes('node_modules/'))
    .map((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)![1]);
  expect([...new Set(packages)]).toEqual([]);
});
