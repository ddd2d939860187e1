import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { conntrack } from '../../src/cli/commands/conntrack.ts';
import { Random } from '../kernel/random.ts';
import { type Call, generateCalls } from './generate.ts';
import { knownReason } from './known.ts';

const HELP = `Runs random sequences of conntrack commands in the real conntrack (in a network namespace) and in iptsim and compares what
they print and their exit status; ids, the order of a listing and seconds that pass meanwhile are not compared.

  npm run test:conntrack -- [--seed S] [--count N] [--length N]
`;

interface Answer {
  status: number;
  out: string;
  err: string;
}

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

/** Plays one sequence; null if all answers are equal. */
async function play(namespace: string, calls: readonly Call[]): Promise<Difference | null> {
  real(namespace, ['-F']);
  const directory = mkdtempSync(path.join(tmpdir(), 'iptsim-conntrack-'));
  try {
    for (const [i, call] of calls.entries()) {
      const wanted = real(namespace, call);
      const got = await simulated(directory, call);
      // Of several entries that -U changes the tool shows the first, by its hash.
      const several = /\): [2-9]\d* flow entries have been updated/.test(wanted.err);
      const parts = (several ? (['status', 'err'] as const) : (['status', 'out', 'err'] as const)).filter(
        (part) => normalize(String(wanted[part])) !== normalize(String(got[part])),
      );
      if (parts.length === 0) continue;
      if (knownReason(call, wanted) !== null) {
        // From here on the tables may differ.
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
async function shorten(namespace: string, calls: readonly Call[]): Promise<Call[]> {
  let shortest = [...calls];
  for (let step = Math.max(1, shortest.length >> 1); step >= 1; step >>= 1) {
    for (let at = 0; at + step < shortest.length; ) {
      const candidate = [...shortest.slice(0, at), ...shortest.slice(at + step)];
      const found = await play(namespace, candidate);
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
      const found = await play(namespace, calls);
      if (found === null) continue;
      different++;
      const shortest = await shorten(namespace, calls.slice(0, found.at + 1));
      const last = await play(namespace, shortest);
      process.stdout.write(`-- seed ${seed}\n${show(shortest)}\n${(last ?? found).report}\n`);
    }
    process.stdout.write(
      `${count - different} of ${count} sequences equal, ${count * Number(values.length)} commands\n`,
    );
    return different === 0 ? 0 : 1;
  } finally {
    execFileSync('ip', ['netns', 'del', namespace]);
  }
}

process.exitCode = await main();
