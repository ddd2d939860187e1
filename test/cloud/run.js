// Bundles the proof in real namespaces (it is TypeScript) and starts it: `npm run test:cloud -- --help`.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const outfile = path.join(mkdtempSync(path.join(tmpdir(), 'iptsim-cloud-')), 'main.cjs');
await build({
  entryPoints: [path.join(here, 'main.ts')],
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  outfile,
});
process.env.IPTSIM_ROOT = path.resolve(here, '../..');
await import(pathToFileURL(outfile).href);
