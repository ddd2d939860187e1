// Bundles the comparison with the real iptables tools (it is TypeScript) and starts it in a network namespace that ends with
// it: `npm run test:tools -- --help`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { bundle } from '../run.js';

const here = path.dirname(fileURLToPath(import.meta.url));
const directory = mkdtempSync(path.join(tmpdir(), 'iptsim-tools-'));
try {
  const outfile = await bundle('tools', directory);
  const given = process.argv.slice(2);
  const alone = given.includes('--help') || given.includes('-h');
  const one = alone || given.some((word) => /^--variant/.test(word));
  const vectors = given.includes('--vectors');
  const recorded = (variant) => path.join(directory, `${variant}.json`);
  process.exitCode = 0;
  // Each variant has a namespace of its own: nft warns of legacy's tables.
  for (const more of one
    ? [[]]
    : [
        ['--variant', 'legacy'],
        ['--variant', 'nft'],
      ]) {
    const args = [process.execPath, '--enable-source-maps', outfile, ...given, ...more];
    if (vectors) args.push('--record', recorded(more[1]));
    const command = alone ? args : ['unshare', '--net', ...args];
    const done = spawnSync(command[0], command.slice(1), { stdio: 'inherit' });
    if (done.error !== undefined || (done.status === 1 && process.getuid?.() !== 0)) {
      process.stderr.write(
        'NOT RUN: comparing with the real iptables needs root, a Linux kernel with network namespaces, and unshare\n',
      );
      process.exitCode = 3;
      break;
    }
    process.exitCode = Math.max(process.exitCode, done.status ?? 1);
  }
  if (vectors && process.exitCode === 0) {
    const files = [recorded('legacy'), recorded('nft'), path.join(here, '../../src/extensions')];
    const args = files.flatMap((file) => ['--write-vectors', file]);
    process.exitCode = spawnSync(process.execPath, [outfile, ...args], { stdio: 'inherit' }).status ?? 1;
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
