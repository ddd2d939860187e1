// Large sets: iptsim beside the real ipset: `node bench/sets.js --help`.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { inNamespace } from './kernel.js';

const HELP = `Large sets: iptsim beside the real ipset of the same run.

  node bench/sets.js [--quick]

Processor time of ipset restore, of single commands on the loaded sets and of listings (user and kernel, as other work on the
machine makes it no longer), memory an entry, and tests by packets a second. Without root or ipset only iptsim is measured.
`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    quick: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit();
}
const iptsim = fileURLToPath(new URL('../bin/iptsim.js', import.meta.url));
const directory = mkdtempSync(path.join(os.tmpdir(), 'iptsim-bench-sets-'));
const share = values.quick ? 10 : 1;
const real = process.getuid?.() === 0 && spawnSync('ipset', ['version']).status === 0;

/** Addresses spread over the whole space, none twice (an odd factor is one to one on 32 bits). */
const address = (i) => {
  const n = Math.imul(i + 1, 0x9e3779b1) >>> 0;
  return `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
};
const WORKLOADS = [
  { type: 'hash:ip', count: 1_000_000 / share, element: address },
  {
    type: 'hash:net',
    count: 500_000 / share,
    element: (i) => `${(1 + (i >>> 16)) & 255}.${(i >>> 8) & 255}.${i & 255}.0/${24 + (i % 8)}`,
  },
];

const figure = (value) => (value === undefined ? '-' : value >= 1000 ? Math.round(value).toString() : value.toFixed(3));
function report(name, unit, mine, theirs) {
  const ratio = theirs === undefined ? '' : `   ${(mine / theirs).toFixed(2)}`;
  console.log(
    `${name.padEnd(28)} ${unit.padEnd(12)}${figure(mine).padStart(10)}${figure(theirs).padStart(10)}${ratio}`,
  );
}

/** Processor seconds that a command takes, that of the kernel for it included. */
function measured(argv, input = '') {
  const script = 'TIMEFORMAT="%U %S"; time "$@" >/dev/null';
  const done = spawnSync('bash', ['-c', script, 'bash', ...argv], { input, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (done.status !== 0) throw new Error(`${argv.join(' ')}: ${done.stderr}`);
  const [user, system] = done.stderr.trim().split('\n').at(-1).split(' ').map(Number);
  return user + system;
}

const simulated = (state, args, input) => measured([process.execPath, iptsim, '--dir', state, 'ipset', ...args], input);

/** Memory and packet tests, in a process of its own whose heap holds nothing else. */
async function inside(text, type, count, element) {
  const outfile = path.join(directory, 'inside.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('sets-inside.ts', import.meta.url))],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile,
  });
  const file = path.join(directory, 'sets');
  writeFileSync(file, text);
  const probes = Array.from({ length: 1000 }, (_, i) => element(i * Math.floor(count / 1000)).split('/')[0]);
  const out = execFileSync(process.execPath, ['--expose-gc', outfile, file, String(count), type], {
    input: probes.join('\n'),
    encoding: 'utf8',
  });
  return JSON.parse(out);
}

console.log(`${''.padEnd(28)} ${''.padEnd(12)}${'iptsim'.padStart(10)}${'ipset'.padStart(10)}   ratio`);
try {
  for (const { type, count, element } of WORKLOADS) {
    const lines = [`create big ${type} family inet hashsize 1024 maxelem ${count + 10}`];
    for (let i = 0; i < count; i++) lines.push(`add big ${element(i)}`);
    const text = `${lines.join('\n')}\n`;
    const state = path.join(directory, type.replace(':', '-'));
    const theirs = {};
    const add = ['add', 'big', '240.0.0.1'];
    if (real) {
      inNamespace((name) => {
        const ipset = (args, input) => measured(['ip', 'netns', 'exec', name, 'ipset', ...args], input);
        theirs.restore = ipset(['restore'], text);
        theirs.add = ipset(add);
        theirs.test = ipset(['test', 'big', '240.0.0.1']);
        theirs.save = ipset(['save']);
        theirs.list = ipset(['list']);
        const listing = execFileSync('ip', ['netns', 'exec', name, 'ipset', '-t', 'list'], { encoding: 'utf8' });
        theirs.memory = Number(/Size in memory: (\d+)/.exec(listing)?.[1]) / count;
      });
    }
    report(`${type} restore ${count}`, 'seconds', simulated(state, ['restore'], text), theirs.restore);
    report(`${type} add one`, 'seconds', simulated(state, add), theirs.add);
    report(`${type} test one`, 'seconds', simulated(state, ['test', 'big', '240.0.0.1']), theirs.test);
    report(`${type} save`, 'seconds', simulated(state, ['save']), theirs.save);
    report(`${type} list`, 'seconds', simulated(state, ['list']), theirs.list);
    const small = await inside(`${lines.slice(0, 1001).join('\n')}\n`, type, 1000, element);
    const large = await inside(text, type, count, element);
    report(`${type} memory an entry`, 'bytes', large.memory, theirs.memory);
    report(`${type} packet tests of 1000`, 'tests/s', small.tests);
    report(`${type} packet tests of ${count}`, 'tests/s', large.tests);
  }
} finally {
  rmSync(directory, { recursive: true });
}
