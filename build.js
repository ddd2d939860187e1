// Builds dist/: one bundle per entry (CommonJS: it starts faster than ESM), the library as ESM, and its types.
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

const common = {
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  sourcemap: true,
  logLevel: 'warning',
};

/** Entries under src/cli/entries: `iptables` (the whole family), `ipset`, `conntrack`, `run` (`run` and `shims`), `main` (iptsim's other commands),
 * `part` (threads of `trace --jobs`). */
const entries = ['iptables', 'ipset', 'conntrack', 'run', 'main', 'part'].filter((name) =>
  existsSync(`src/cli/entries/${name}.ts`),
);

const fast = process.argv.includes('--fast');
if (!fast) rmSync('dist', { recursive: true, force: true });
const results = await Promise.allSettled([
  ...entries.map((name) =>
    build({
      ...common,
      entryPoints: [`src/cli/entries/${name}.ts`],
      outfile: `dist/${name}.cjs`,
      format: 'cjs',
      minify: true,
      define: { 'import.meta.dirname': '__dirname' },
    }),
  ),
  existsSync('src/index.ts')
    ? build({
        ...common,
        entryPoints: ['src/index.ts'],
        outfile: 'dist/index.js',
        format: 'esm',
        platform: 'neutral',
        mainFields: ['module', 'main'],
      })
    : undefined,
]);
if (results.some((result) => result.status === 'rejected')) process.exit(1); // esbuild has said why
const sample = 'fixtures/kube-proxy';
/** A short run of each entry that starts often: what V8 has compiled by its end is kept for bin/iptsim.js. */
const warmUps = {
  iptables: ['iptables', '-A', 'INPUT', '-p', 'tcp', '--dport', '22', '-j', 'ACCEPT'],
  ipset: ['ipset', 'list'],
  conntrack: ['conntrack', '-L'],
  main: ['trace', '--summary', `--host=${sample}/host.yaml`, `--rules=${sample}/rules.v4`, `${sample}/packets.txt`],
  // Compiled only.
  part: [],
};
for (const [name, args] of Object.entries(warmUps)) {
  if (!entries.includes(name)) continue;
  execFileSync(process.execPath, ['bin/code-cache.cjs', `dist/${name}.cjs`, ...args], { stdio: 'ignore' });
}
if (!fast && existsSync('src/index.ts')) {
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json'], {
    stdio: 'inherit',
  });
}
