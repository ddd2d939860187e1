import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { conntrack } from '../../src/cli/commands/conntrack.ts';
import { Random } from '../kernel/random.ts';
import { type Call, generateCalls } from './generate.ts';
import { type Answer, knownReason } from './known.ts';

const HELP = `Runs random sequences of conntrack commands in the real conntrack (in a network namespace) and in iptsim and compares what
they print and their exit status; ids, the order of a listing and seconds that pass meanwhile are not compared.

  npm run test:conntrack -- [--seed S] [--count N] [--length N]
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '20' },
    length: { type: 'string', default: '60' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

function real(namespace: string, call: Call): Answer {
  const done = spawnSync('ip', ['netns', 'exec', namespace, 'conntrack', ...call], {
    encoding: 'latin1',
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
    timeout: 10_000,
  });
  return { status: done.status ?? -1, out: done.stdout, err: done.stderr };
}

async function simulated(directory: string, call: Call): Promise<Answer> {
  const answer: Answer = { status: 0, out: '', err: '' };
  answer.status = await conntrack('conntrack', call, {
    out(text) {
      answer.out += text;
    },
    err(text) {
      answer.err += text;
    },
    readStdin: () => '',
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    directory,
    variant: 'nft',
    hints: false,
  });
  return answer;
}

/** Whole timeouts that commands give; what is left of them counts as them. */
const TIMES = [1000, 5000, 100000, 432000];

function whole(text: string): string {
  const left = Number(text);
  return String(TIMES.find((time) => time - left >= 0 && time - left < 200) ?? left);
}

function normalize(text: string): string {
  const lines = text
    .replace(/( id=|<id>)\d+/g, '$1N')
    .replace(/^((?:ipv\d +\d+ +)?[\w-]+ +\d+ )(\d+)/gm, (_, head: string, left: string) => head + whole(left))
    // Figures of one processor.
    .replace(/^cpu=[1-9].*\n/gm, '')
    .replace(
      /delta-time=\d+( \[start=[^\]]*\])?/g,
      (_, start?: string) => `delta-time=N${start === undefined ? '' : ' [start]'}`,
    )
    .replace(/<start>\d+<\/start>/g, '<start>N</start>')
    .replace(/<delta(-?time)?>\d+/g, '<delta$1>N')
    .replace(/(<timeout>|-t )(\d+)/g, (_, head: string, left: string) => head + whole(left))
    .split('\n');
  return lines.length > 2 ? lines.sort().join('\n') : lines.join('\n');
}

function show(calls: readonly Call[]): string {
  return calls.map((call) => `conntrack ${call.join(' ')}`).join('\n');
}

interface Difference {
  at: number;
  report: string;
}

/** Reasons of answers that were left aside, and how many. */
const known = new Map<string, number>();

function sameTables(wanted: Answer, got: Answer): boolean {
  return normalize(wanted.out) === normalize(got.out);
}

/** Plays one sequence; null if all answers are equal. `measured`: connections have counters and times. */
async function play(namespace: string, calls: readonly Call[], measured: boolean): Promise<Difference | null> {
  real(namespace, ['-F']);
  const directory = mkdtempSync(path.join(tmpdir(), 'iptsim-conntrack-'));
  try {
    const sysctls = ['acct', 'timestamp'].map((name) => `net.netfilter.nf_conntrack_${name}`);
    for (const name of sysctls) {
      const write = ['netns', 'exec', namespace, 'sysctl', '-qw', `${name}=${measured ? 1 : 0}`];
      execFileSync('ip', write);
    }
    const lines = sysctls.map((name) => `  ${name}: 1\n`).join('');
    if (measured) writeFileSync(path.join(directory, 'host.yaml'), `interfaces: {}\nsysctl:\n${lines}`);
    for (const [i, call] of calls.entries()) {
      const entries = Number(real(namespace, ['-C']).out);
      const wanted = real(namespace, call);
      const got = await simulated(directory, call);
      const parts = (['status', 'out', 'err'] as const).filter(
        (part) => normalize(String(wanted[part])) !== normalize(String(got[part])),
      );
      if (parts.length === 0) continue;
      const reason = knownReason(calls.slice(0, i + 1), wanted, got, entries);
      if (reason !== null) {
        known.set(reason, (known.get(reason) ?? 0) + 1);
        // What has been changed may differ now: equal tables go on, others end the sequence.
        if (sameTables(real(namespace, ['-L']), await simulated(directory, ['-L']))) continue;
        return null;
      }
      return { at: i, report: parts.map((part) => `${part}\n- ${wanted[part]}\n+ ${got[part]}`).join('\n') };
    }
    return null;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Leaves out whatever is not needed for a difference. */
async function shorten(namespace: string, calls: readonly Call[], measured: boolean): Promise<Call[]> {
  let shortest = [...calls];
  for (let step = Math.max(1, shortest.length >> 1); step >= 1; step >>= 1) {
    for (let at = 0; at + step < shortest.length; ) {
      const candidate = [...shortest.slice(0, at), ...shortest.slice(at + step)];
      const found = await play(namespace, candidate, measured);
      if (found !== null) shortest = candidate.slice(0, found.at + 1);
      else at += step;
    }
  }
  return shortest;
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (process.getuid?.() !== 0 || spawnSync('conntrack', ['-V']).error !== undefined) {
    process.stderr.write('SKIPPED: comparing with the real conntrack needs root and conntrack\n');
    return 0;
  }
  const namespace = `conntrack-${process.pid}`;
  execFileSync('ip', ['netns', 'add', namespace]);
  try {
    const count = Number(values.count);
    let different = 0;
    for (let i = 0; i < count; i++) {
      const seed = Number(values.seed) + i;
      const calls = generateCalls(new Random(seed), Number(values.length));
      const measured = seed % 3 === 0;
      const found = await play(namespace, calls, measured);
      if (found === null) continue;
      different++;
      const shortest = await shorten(namespace, calls.slice(0, found.at + 1), measured);
      const last = await play(namespace, shortest, measured);
      process.stdout.write(
        `-- seed ${seed}${measured ? ', with nf_conntrack_acct and nf_conntrack_timestamp' : ''}\n${show(shortest)}\n${(last ?? found).report}\n`,
      );
    }
    for (const [reason, times] of known) process.stdout.write(`${times} times: ${reason}\n`);
    process.stdout.write(
      `${count - different} of ${count} sequences equal, ${count * Number(values.length)} commands\n`,
    );
    return different === 0 ? 0 : 1;
  } finally {
    execFileSync('ip', ['netns', 'del', namespace]);
  }
}

process.exitCode = await main();
