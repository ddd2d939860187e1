import { execFileSync, spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { saveSets } from '../../src/ipset/text.ts';
import { Random } from '../kernel/random.ts';
import type { Call } from './generate.ts';
import { generateCalls } from './generate.ts';
import { knownReason } from './known.ts';
import { roundTrip } from './round-trips.ts';
import { ALL_TYPES, availableTypes, names, normalize, real, removeFile, Simulated } from './tools.ts';

const HELP = `Runs random sequences of ipset commands in the real ipset (in a network namespace) and in iptsim and compares what they
print, their exit status and every listing, byte for byte.

  npm run test:ipset -- [--seed S] [--count N] [--length N] [--type TYPE]... [--reload] [--trips N]

--reload: the sets of iptsim are written and read again after each command (the order of elements and sizes in memory are then
not compared). At the end of a sequence the real ipset has to take iptsim's \`ipset save\` and give it back unchanged.
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '20' },
    length: { type: 'string', default: '60' },
    type: { type: 'string', multiple: true },
    reload: { type: 'boolean', default: false },
    trips: { type: 'string', default: '5' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

function show(calls: readonly Call[]): string {
  return calls
    .map(({ args, stdin }) => {
      const words = args.map((word) => (/^[\w.:,/!-]+$/.test(word) ? word : `'${word}'`)).join(' ');
      return stdin === undefined ? `ipset ${words}` : `ipset ${words} <<E\n${stdin}E`;
    })
    .join('\n');
}

/** Whether the real ipset makes other sets of its own text. */
function changesWhenRestored(namespace: string): boolean {
  const own = real(namespace, { args: ['save'] });
  real(namespace, { args: ['flush'] });
  real(namespace, { args: ['destroy'] });
  const restored = real(namespace, { args: ['restore'], stdin: own.out });
  return restored.status !== 0 || normalize(real(namespace, { args: ['save'] }).out, true) !== normalize(own.out, true);
}

/** Reasons of answers that ended a sequence, and how many. */
const known = new Map<string, number>();

/** Plays one sequence; the index of the first call whose answers differ, or -1. */
function play(namespace: string, calls: readonly Call[], missing: ReadonlySet<string>): { at: number; report: string } {
  real(namespace, { args: ['flush'] });
  real(namespace, { args: ['destroy'] });
  removeFile();
  const simulated = new Simulated(missing);
  for (const [i, call] of calls.entries()) {
    const wanted = real(namespace, call);
    const got = simulated.call(call);
    const parts = (['status', 'out', 'err'] as const).filter(
      (part) => normalize(String(wanted[part]), values.reload) !== normalize(String(got[part]), values.reload),
    );
    if (parts.length > 0) {
      const reason = knownReason(call, wanted);
      if (reason !== null) {
        known.set(reason, (known.get(reason) ?? 0) + 1);
        return { at: -1, report: '' };
      }
      const detail = parts.map((part) => `${part}\n- ${wanted[part]}\n+ ${got[part]}`).join('\n');
      return { at: i, report: `${show([call])}\n${detail}` };
    }
    if (!values.reload) continue;
    const changed = simulated.reload();
    // What a range put in unmasked is not what its own text puts in, in the real tool neither.
    if (changed !== null) {
      if (changesWhenRestored(namespace)) return { at: -1, report: '' };
      return { at: i, report: `${show([call])}\nreading changes the sets to\n${changed}` };
    }
  }
  const text = saveSets(simulated.kernel, names);
  const own = real(namespace, { args: ['save'] });
  real(namespace, { args: ['flush'] });
  real(namespace, { args: ['destroy'] });
  // What a range put in cannot always be added alone (0.0.0.0): then not even the real ipset takes its own text.
  if (real(namespace, { args: ['restore'], stdin: own.out }).status !== 0) return { at: -1, report: '' };
  real(namespace, { args: ['flush'] });
  real(namespace, { args: ['destroy'] });
  const loaded = real(namespace, { args: ['restore'], stdin: text });
  const back = real(namespace, { args: ['save'] });
  if (loaded.status !== 0 || normalize(back.out, true) !== normalize(text, true)) {
    return {
      at: calls.length - 1,
      report: `the real ipset does not take the sets:\n${loaded.err}\n- ${back.out}\n+ ${text}`,
    };
  }
  return { at: -1, report: '' };
}

/** Leaves out whatever is not needed for a difference. */
function shorten(namespace: string, calls: readonly Call[], missing: ReadonlySet<string>): Call[] {
  let shortest = [...calls];
  for (let step = Math.max(1, shortest.length >> 1); step >= 1; step >>= 1) {
    for (let at = 0; at + step < shortest.length; ) {
      const candidate = [...shortest.slice(0, at), ...shortest.slice(at + step)];
      const { at: found } = play(namespace, candidate, missing);
      if (found >= 0) shortest = candidate.slice(0, found + 1);
      else at += step;
    }
  }
  return shortest;
}

function main(): number {
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const namespace = `ipset-${process.pid}`;
  if (process.getuid?.() !== 0 || spawnSync('ipset', ['version']).error !== undefined) {
    process.stderr.write('SKIPPED: comparing with the real ipset needs root and ipset\n');
    return 0;
  }
  execFileSync('ip', ['netns', 'add', namespace]);
  try {
    const available = availableTypes(namespace);
    const missing = new Set(ALL_TYPES.filter((type) => !available.has(type)));
    const wanted = values.type ?? ALL_TYPES;
    const types = [...wanted, ...wanted].filter((type) => available.has(type) || values.type === undefined);
    let different = 0;
    let commands = 0;
    for (let i = 0; i < Number(values.count); i++) {
      const seed = Number(values.seed) + i;
      const calls = generateCalls(new Random(seed), types, Number(values.length));
      commands += calls.reduce((sum, { stdin }) => sum + (stdin?.split('\n').length ?? 1), 0);
      const { at, report } = play(namespace, calls, missing);
      if (at < 0) continue;
      different++;
      const shortest = shorten(namespace, calls.slice(0, at + 1), missing);
      const last = play(namespace, shortest, missing);
      process.stdout.write(`-- seed ${seed}\n${show(shortest)}\n${last.at >= 0 ? last.report : report}\n`);
    }
    for (const [reason, times] of known) process.stdout.write(`${times} times: ${reason}\n`);
    process.stdout.write(
      `${Number(values.count) - different} of ${values.count} sequences equal, ${commands} commands\n`,
    );
    let trips = 0;
    let failed = 0;
    for (const type of wanted.filter((name) => available.has(name))) {
      for (let i = 0; i < Number(values.trips); i++) {
        const seed = Number(values.seed) + i;
        const report = roundTrip(namespace, new Random(seed), type, missing);
        trips++;
        if (report === null) continue;
        failed++;
        process.stdout.write(`-- ${type}, seed ${seed}\n${report}\n`);
      }
    }
    process.stdout.write(`${trips - failed} of ${trips} sets the same after both ways\n`);
    return different + failed === 0 ? 0 : 1;
  } finally {
    removeFile();
    execFileSync('ip', ['netns', 'del', namespace]);
  }
}

process.exitCode = main();
