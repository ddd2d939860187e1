// Bundles the comparison (it is TypeScript) and starts it: `npm run test:front-ends`.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const directory = mkdtempSync(path.join(tmpdir(), 'iptsim-front-ends-'));
const outfile = path.join(directory, 'main.cjs');
await build({
  entryPoints: [path.join(here, 'main.ts')],
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  outfile,
});
process.env.IPTSIM_ROOT = path.resolve(here, '../..');
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
await import(pathToFileURL(outfile).href);
