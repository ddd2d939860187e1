import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { interfaceLines } from '../../src/cli/run/interfaces.ts';
import type { Variant } from '../../src/extensions/contract.ts';
import { FRONT_ENDS, type FrontEnd, HOST } from './cases.ts';

/** Runs unmodified front-ends with the real tools and under `iptsim run`, and compares the rules that they leave. */

const root = process.env.IPTSIM_ROOT!;
const here = path.join(root, 'test/front-ends');
const layer = path.join(tmpdir(), 'iptsim-front-ends-layer');
const PARTS = ['v4', 'v6', 'sets'] as const;
const NEEDED = ['apt-get', 'unshare', 'ip', 'pivot_root', 'iptables-nft', 'iptables-legacy'];
/** Seconds for one front-end; shorewall tries dozens of rules. */
const LONGEST = 300;

/** What bin/enter.sh does in the network namespace of a run. */
const DEVICES = `ip link add iptsim0 type dummy && ip link delete iptsim0 ||
sed -i 's/ type dummy$/ type bridge/' /case/interfaces
ip -force -batch /case/interfaces`;

type Saved = Record<(typeof PARTS)[number], string>;

interface Outcome {
  saved: Saved[];
  statuses: string[];
  log: string;
}

function notRun(reason: string): never {
  process.stderr.write(`\n*** FRONT-ENDS NOT COMPARED: ${reason} ***\n\n`);
  process.exit(77);
}

function checkMachine(): void {
  if (process.geteuid?.() !== 0) notRun('this test installs packages into an overlay: it needs root');
  const missing = NEEDED.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);
  if (missing.length > 0) notRun(`this machine lacks ${missing.join(', ')}`);
}

/** Installs the packages once; they are kept for the next time. */
function install(frontEnds: readonly FrontEnd[]): void {
  const packages = FRONT_ENDS.flatMap((each) => each.packages);
  const stamp = path.join(layer, 'packages');
  const wanted = packages.join(' ');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  rmSync(layer, { recursive: true, force: true });
  mkdirSync(layer, { mode: 0o700 });
  process.stdout.write(`installing ${frontEnds.length} front-ends into ${layer}\n`);
  const result = spawnSync('unshare', ['-m', 'sh', path.join(here, 'install.sh'), layer, ...packages], {
    encoding: 'utf8',
  });
  if (result.status !== 0) notRun(`the packages cannot be installed: ${result.stderr.trim().split('\n').pop()}`);
  writeFileSync(stamp, wanted);
}

/** Directories that an overlay of the root file system does not show. */
function otherFileSystems(): string[] {
  const prefix = path.dirname(path.dirname(process.execPath));
  return [root, prefix].filter(
    (directory) => statSync(directory).dev !== statSync('/').dev || directory.startsWith('/tmp'),
  );
}

function script({ steps }: FrontEnd, variant: Variant): string {
  const lines = ['cd /', `export IPTSIM_VARIANT=${variant}`];
  steps.forEach((step, i) => {
    lines.push(
      `sh -c '${step.replaceAll("'", "'\\''")}' >>/case/log 2>&1 </dev/null; echo $? >>/case/statuses`,
      `iptables-${variant}-save >/case/${i}.v4`,
      `ip6tables-${variant}-save >/case/${i}.v6`,
      `ipset save >/case/${i}.sets`,
    );
  });
  return `${lines.join('\n')}\n`;
}

/** Makes plain `iptables` and its relatives those of the variant, as update-alternatives does. */
function alternatives(variant: Variant): string {
  const names = ['', '-save', '-restore'].flatMap((part) => [`iptables${part}`, `ip6tables${part}`]);
  return names
    .map((name) => `ln -sf /usr/sbin/${name.replace('tables', `tables-${variant}`)} /etc/alternatives/${name}`)
    .join('; ');
}

function runCase(frontEnd: FrontEnd, variant: Variant, simulated: boolean): Outcome {
  const directory = mkdtempSync(path.join(tmpdir(), 'iptsim-front-end-'));
  try {
    mkdirSync(path.join(directory, 'files'));
    mkdirSync(path.join(directory, 'state'));
    for (const [name, text] of Object.entries(frontEnd.files)) {
      const file = path.join(directory, 'files', name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    // JSON is YAML.
    writeFileSync(path.join(directory, 'state/host.yaml'), JSON.stringify(HOST));
    writeFileSync(path.join(directory, 'interfaces'), `${interfaceLines(HOST).join('\n')}\n`);
    writeFileSync(path.join(directory, 'script'), script(frontEnd, variant));
    const sandbox = ['sh', path.join(here, 'sandbox.sh'), layer, directory];
    const command = simulated
      ? [
          ...['-m', ...sandbox, 'UNPRIVILEGED', process.execPath, path.join(root, 'bin/iptsim.js')],
          ...['run', '--dir', '/case/state', '--', 'sh', '/case/script'],
        ]
      : ['-m', '-n', ...sandbox, 'PLAIN', 'sh', '-c', `${alternatives(variant)}; ${DEVICES}; sh /case/script`];
    const result = spawnSync('unshare', command, {
      encoding: 'utf8',
      timeout: LONGEST * 1000,
      env: {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: '/root',
        LC_ALL: 'C',
        VISIBLE: otherFileSystems().join(' '),
      },
    });
    const read = (name: string): string => {
      const file = path.join(directory, name);
      return existsSync(file) ? readFileSync(file, 'utf8') : '';
    };
    return {
      saved: frontEnd.steps.map((_, i) => ({ v4: read(`${i}.v4`), v6: read(`${i}.v6`), sets: read(`${i}.sets`) })),
      statuses: read('statuses').trim().split('\n'),
      log: `${read('log')}${result.stdout}${result.stderr}`,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What is by chance: dates, packets that a live interface counted, a hash of the time, the order of a set's members. */
function normal(part: string, text: string): string {
  if (part === 'sets')
    return text
      .replace(/ (initval|bucketsize) \S+/g, '')
      .split('\n')
      .sort()
      .join('\n');
  return text
    .replace(/ on \w{3} \w{3} .*$/gm, '')
    .replace(/^(:\S+ \S+) \[\d+:\d+\]/gm, '$1')
    .replace(/\bsha-([lr]h)-[0-9a-f]{20}/g, 'sha-$1-X');
}

/** Lines of one text that the other lacks. */
function difference(real: string, simulated: string): string[] {
  const a = real.split('\n');
  const b = simulated.split('\n');
  const lines = [
    ...a.filter((line) => !b.includes(line)).map((line) => `      - ${line}`),
    ...b.filter((line) => !a.includes(line)).map((line) => `      + ${line}`),
  ];
  return lines.length > 0 ? lines.slice(0, 20) : ['      the order of lines differs'];
}

function compare(frontEnd: FrontEnd, variant: Variant): boolean {
  const real = runCase(frontEnd, variant, false);
  const simulated = runCase(frontEnd, variant, true);
  let equal = true;
  let rules = 0;
  const report: string[] = [];
  frontEnd.steps.forEach((step, i) => {
    if (real.statuses[i] !== simulated.statuses[i]) {
      equal = false;
      report.push(`    ${step}\n      status ${simulated.statuses[i]}, not ${real.statuses[i]}`);
    }
    for (const part of PARTS) {
      const a = normal(part, real.saved[i]![part]);
      const b = normal(part, simulated.saved[i]![part]);
      rules += a.split('\n').filter((line) => line.startsWith('-A ')).length;
      if (a === b) continue;
      equal = false;
      report.push(`    ${step}\n      ${part}:`, ...difference(a, b));
    }
  });
  // A front-end that did nothing with either proves nothing.
  if (rules === 0) {
    equal = false;
    report.push('    no rules at all, with the real tools either', real.log.slice(-1500));
  }
  const head = `${equal ? 'ok  ' : 'FAIL'} ${frontEnd.name} (${variant}): ${frontEnd.steps.length} steps, ${rules} rules, statuses ${real.statuses.join(' ')}`;
  process.stdout.write(`${[head, ...report].join('\n')}\n`);
  if (!equal) process.stdout.write(`${simulated.log.slice(-3000)}\n`);
  return equal;
}

checkMachine();
const names = process.argv.slice(2);
const chosen = FRONT_ENDS.filter(({ name }) => names.length === 0 || names.includes(name));
install(chosen);
const runs = chosen.flatMap((frontEnd) => frontEnd.variants.map((variant) => [frontEnd, variant] as const));
const equal = runs.filter(([frontEnd, variant]) => compare(frontEnd, variant)).length;
process.stdout.write(`front-ends: ${equal}/${runs.length} equal\n`);
process.exitCode = equal === runs.length ? 0 : 1;
