// Bundles the comparison of a folder (it is TypeScript) and starts it: `npm run test:kernel -- --help`.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));

/** Bundles `main.ts` of the folder into the directory; the path of the bundle. */
export async function bundle(folder, directory) {
  const outfile = path.join(directory, 'main.mjs');
  await build({
    entryPoints: [path.join(here, folder, 'main.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'error',
    // Packages that are CommonJS ask for node's own modules.
    banner: {
      js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
    },
    outfile,
  });
  return outfile;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  let [folder] = process.argv.splice(2, 1);
  // Whole networks are compared with the kernel by a program of their own.
  const networks = process.argv.indexOf('--networks');
  if (folder === 'kernel' && networks > 0) {
    process.argv.splice(networks, 1);
    folder = 'cloud';
  }
  const directory = mkdtempSync(path.join(tmpdir(), `iptsim-${folder}-`));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  process.env.IPTSIM_ROOT = path.resolve(here, '..');
  await import(pathToFileURL(await bundle(folder, directory)).href);
}
