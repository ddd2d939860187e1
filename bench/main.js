// How fast iptsim is, beside the real kernel and the real tools of the same run: `npm run bench -- --help`.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildSender, inNamespace, missing, route, timed } from './kernel.js';
import { plot } from './plot.js';
import { captures, HOST_YAML, KINDS, mixedRules, rulesText, setsText } from './workloads.js';

const HELP = `How fast iptsim is, beside the real kernel and the real tools of the same run.

  npm run bench -- [--quick] [--kinds ${KINDS.join()}] [--rounds N] [--write]

Prints a table, and compares its ratios with those of bench/results.json. --write puts the figures there and the plot into docs/.
Without root, Linux, iptables or gcc only iptsim is measured.
`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    quick: { type: 'boolean', default: false },
    kinds: { type: 'string', default: KINDS.join() },
    rounds: { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit();
}
const iptsim = fileURLToPath(new URL('../bin/iptsim.js', import.meta.url));
const resultsFile = fileURLToPath(new URL('results.json', import.meta.url));
const plotFile = fileURLToPath(new URL('../docs/performance.svg', import.meta.url));
const PACKETS = values.quick ? 100_000 : 500_000;
const ROUNDS = Number(values.rounds) || (values.quick ? 1 : 3);
const SECONDS = values.quick ? 1 : 3;
/** Packets that are shared out to two cores: fewer are not worth loading the rules twice. */
const SHARED = 2_000_000;
const VARIANTS = ['legacy', 'nft'];

const directory = mkdtempSync(path.join(os.tmpdir(), 'iptsim-bench-'));
const why = missing();
/** Other work on the machine falsifies all figures, and iptsim's more than the kernel's, which comes first. */
const load = Number(os.loadavg()[0].toFixed(1));
const rows = [];
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

function simulated(state, args, input) {
  const started = process.hrtime.bigint();
  const done = spawnSync(process.execPath, [iptsim, '--dir', state, ...args], {
    input,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (done.status !== 0) throw new Error(`iptsim ${args.join(' ')}: ${done.stderr}`);
  return { seconds: Number(process.hrtime.bigint() - started) / 1e9, out: done.stdout };
}

/** Runs every player in turn, some rounds; the median of each. */
function inTurns(players) {
  const all = Object.fromEntries(Object.keys(players).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, play] of Object.entries(players)) all[name].push(play());
  }
  return Object.fromEntries(Object.entries(all).map(([name, figures]) => [name, median(figures)]));
}

function report(row) {
  rows.push(row);
  const cell = (value) => (value === undefined ? '-' : value >= 1000 ? Math.round(value).toString() : value.toFixed(3));
  const figures = [row.iptsim, ...VARIANTS.map((variant) => row[variant])]
    .map((value) => cell(value).padStart(10))
    .join('');
  const ratios = VARIANTS.filter((variant) => row[variant] > 0)
    .map((variant) => `${variant} ${(row.iptsim / row[variant]).toFixed(2)}`)
    .join('  ');
  console.log(`${row.name.padEnd(24)} ${row.unit.padEnd(10)}${figures}   ${ratios}${row.note ?? ''}`);
}

function trace(kind, n, sender) {
  const state = path.join(directory, `${kind}-${n}`);
  mkdirSync(state);
  const rules = rulesText(kind, n);
  writeFileSync(path.join(state, 'rules.v4'), rules);
  const sets = setsText(kind, n);
  if (sets !== '') writeFileSync(path.join(state, 'ipsets'), sets);
  writeFileSync(path.join(state, 'host.yaml'), HOST_YAML);
  const files = [0, 1].map((d) => path.join(state, `eth${d}.pcap`));
  captures(kind, n, PACKETS).forEach((bytes, d) => {
    writeFileSync(files[d], bytes);
  });
  const one = path.join(state, 'one.pcap');
  writeFileSync(one, readFileSync(files[0]).subarray(0, 24 + 16 + 54));
  const pcaps = files.flatMap((file, d) => ['--pcap', `eth${d}=${file}`]);
  const loads = [];
  const shares = {};
  const players = {
    iptsim: () => {
      const load = simulated(state, ['trace', '--pcap', `eth0=${one}`, '--summary']).seconds;
      const whole = simulated(state, ['trace', ...pcaps, '--summary']);
      loads.push(load);
      shares.iptsim = Number(/(\d+) forwarded/.exec(whole.out)?.[1]) / PACKETS;
      return PACKETS / Math.max(whole.seconds - load, 1e-3);
    },
  };
  for (const variant of why === null ? VARIANTS : []) {
    players[variant] = () => {
      const { rate, received, forwarded } = route(sender, variant, rules, sets, files, SECONDS);
      if (received === PACKETS) shares[variant] = forwarded;
      return rate;
    };
  }
  const figures = inTurns(players);
  const differs = VARIANTS.some((v) => shares[v] !== undefined && Math.abs(shares[v] - shares.iptsim) > 0.001);
  report({
    name: `trace ${kind} ${n}`,
    kind,
    rules: n,
    unit: 'packets/s',
    ...figures,
    load: median(loads),
    note: `  load ${median(loads).toFixed(2)} s${differs ? '  VERDICTS DIFFER' : ''}`,
  });
  rmSync(state, { recursive: true });
}

/** How many times as fast two cores are as one, loading included, with a capture that is worth it. */
function sharing(kind) {
  const state = path.join(directory, `sharing-${kind}`);
  mkdirSync(state);
  writeFileSync(path.join(state, 'rules.v4'), rulesText(kind, 1000));
  writeFileSync(
    path.join(state, 'host.yaml'),
    HOST_YAML.replace('sysctl: {', 'sysctl: { net.netfilter.nf_conntrack_max: 4000000,'),
  );
  const pcaps = captures(kind, 1000, SHARED).flatMap((bytes, d) => {
    const file = path.join(state, `eth${d}.pcap`);
    writeFileSync(file, bytes);
    return ['--pcap', `eth${d}=${file}`];
  });
  const seconds = (jobs) => simulated(state, ['trace', ...pcaps, '--summary', '--jobs', `${jobs}`]).seconds;
  report({ name: `--jobs 2, ${kind} 1000`, unit: 'times', ...inTurns({ iptsim: () => seconds(1) / seconds(2) }) });
  rmSync(state, { recursive: true });
}

function loading(n) {
  const text = mixedRules(n);
  const state = path.join(directory, `load-${n}`);
  const restore = { iptsim: () => simulated(state, ['iptables-restore'], text).seconds };
  const save = { iptsim: () => simulated(state, ['iptables-save']).seconds };
  const run = (namespaces) => {
    for (const [variant, name] of Object.entries(namespaces)) {
      restore[variant] = () => timed(name, [`iptables-${variant}-restore`], text);
      save[variant] = () => timed(name, [`iptables-${variant}-save`]);
    }
    report({ name: `restore ${n}`, unit: 'seconds', ...inTurns(restore) });
    report({ name: `save ${n}`, unit: 'seconds', ...inTurns(save) });
  };
  if (why !== null) run({});
  else inNamespace((legacy) => inNamespace((nft) => run({ legacy, nft })));
}

function command(n) {
  const state = path.join(directory, `command-${n}`);
  const text = mixedRules(n);
  simulated(state, ['iptables-restore'], text);
  const args = ['-A', 'INPUT', '-p', 'tcp', '--dport', '22', '-j', 'ACCEPT'];
  const players = { iptsim: () => simulated(state, ['iptables', ...args]).seconds };
  const run = (namespaces) => {
    for (const [variant, name] of Object.entries(namespaces)) {
      if (n > 0) timed(name, [`iptables-${variant}-restore`], text);
      players[variant] = () => timed(name, [`iptables-${variant}`, ...args]);
    }
    report({ name: `-A on ${n} rules`, unit: 'seconds', ...inTurns(players) });
  };
  if (why !== null) run({});
  else inNamespace((legacy) => inNamespace((nft) => run({ legacy, nft })));
}

/** Ratios to the real ones that moved by more than a quarter since the committed figures. */
function compareWith(committed) {
  for (const row of rows) {
    const before = committed.rows.find((other) => other.name === row.name);
    for (const variant of VARIANTS) {
      if (!(before?.[variant] > 0 && row[variant] > 0)) continue;
      const change = row.iptsim / row[variant] / (before.iptsim / before[variant]);
      const faster = row.unit === 'seconds' ? 1 / change : change;
      if (faster < 0.75)
        console.log(`slower: ${row.name} beside ${variant}: ${faster.toFixed(2)} of the committed ratio`);
    }
  }
}

console.log(
  `${os.cpus()[0].model}, ${os.cpus().length} CPUs, Linux ${os.release()}, node ${process.version}, load ${load}`,
);
if (why !== null) console.log(`iptsim alone: ${why}`);
console.log(
  `${''.padEnd(24)} ${''.padEnd(10)}${['iptsim', ...VARIANTS].map((name) => name.padStart(10)).join('')}   iptsim / real`,
);
try {
  const sender = why === null ? buildSender(directory) : null;
  const sizes = values.quick ? [10, 1000, 10_000] : [10, 100, 1000, 10_000, 100_000];
  for (const kind of values.kinds.split(',')) for (const n of sizes) trace(kind, n, sender);
  if (!values.quick && os.cpus().length > 1) for (const kind of ['addr', 'ct']) sharing(kind);
  for (const n of values.quick ? [10_000] : [10_000, 100_000]) loading(n);
  for (const n of [0, 40_000]) command(n);
  if (existsSync(resultsFile)) compareWith(JSON.parse(readFileSync(resultsFile, 'utf8')));
  if (values.write) {
    const machine = {
      cpu: os.cpus()[0].model,
      cpus: os.cpus().length,
      kernel: os.release(),
      node: process.version,
      load,
    };
    writeFileSync(
      resultsFile,
      `${JSON.stringify({ machine, packets: PACKETS, rows: rows.map(({ note, ...row }) => row) }, null, 2)}\n`,
    );
    writeFileSync(plotFile, plot(rows.filter((row) => row.kind !== undefined)));
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
