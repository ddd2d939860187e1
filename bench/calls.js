// Many calls of `iptables -A`, as scripts make them: `node bench/calls.js --help`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HELP = `Many calls of iptables -A, as scripts make them: the real tool in a network namespace of its own and iptsim under
iptsim run, in turns, in one run. Needs root, Linux and iptables.

  node bench/calls.js [--calls 1000] [--rounds 3] [--variant nft|legacy]
`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    calls: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '3' },
    variant: { type: 'string', default: 'nft' },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit();
}
const iptsim = fileURLToPath(new URL('../bin/iptsim.js', import.meta.url));
const directory = mkdtempSync(path.join(tmpdir(), 'iptsim-bench-'));
const script = path.join(directory, 'script');
writeFileSync(
  script,
  `set -e
start=$(date +%s%N)
i=1
while [ $i -le ${values.calls} ]; do
  iptables-${values.variant} -A INPUT -p tcp --dport $i -j ACCEPT
  i=$((i + 1))
done
end=$(date +%s%N)
[ $(iptables-${values.variant} -S INPUT | wc -l) = ${Number(values.calls) + 1} ]
echo $(((end - start) / 1000))
`,
);

/** Seconds of the calls alone. */
function measure(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return Number(stdout) / 1e6;
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const real = [];
const simulated = [];
try {
  for (let round = 0; round < Number(values.rounds); round++) {
    real.push(measure('unshare', ['-m', '-n', 'sh', script]));
    const state = path.join(directory, String(round));
    simulated.push(measure(process.execPath, [iptsim, 'run', '--dir', state, '--', 'sh', script]));
    console.log(`round ${round + 1}: real ${real.at(-1).toFixed(2)} s, iptsim ${simulated.at(-1).toFixed(2)} s`);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
const ratio = median(simulated.map((seconds, i) => seconds / real[i]));
console.log(`${values.calls} calls of iptables-${values.variant} -A: ${ratio.toFixed(1)} times the real tool's time`);
