import { execFileSync, spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { setNames } from '../../src/cli/commands/ipset.ts';
import { SetKernel } from '../../src/ipset/kernel.ts';
import { loadSets, placesOf, saveSets } from '../../src/ipset/text.ts';
import { Tool } from '../../src/ipset/tool/tool.ts';
import { systemNames } from '../../src/state/names.ts';
import { Random } from '../kernel/random.ts';
import type { Call } from './generate.ts';
import { generateCalls } from './generate.ts';

const HELP = `Runs random sequences of ipset commands in the real ipset (in a network namespace) and in iptsim and compares what they
print, their exit status and every listing, byte for byte.

  npm run test:ipset -- [--seed S] [--count N] [--length N] [--type TYPE]... [--reload]

--reload: the sets of iptsim are written and read again after each command (the order of elements and sizes in memory are then
not compared). At the end of a sequence the real ipset has to take iptsim's \`ipset save\` and give it back unchanged.
`;

const ALL_TYPES = [
  'bitmap:ip',
  'bitmap:ip,mac',
  'bitmap:port',
  'hash:ip',
  'hash:mac',
  'hash:ip,mac',
  'hash:ip,mark',
  'hash:ip,port',
  'hash:ip,port,ip',
  'hash:ip,port,net',
  'hash:net',
  'hash:net,net',
  'hash:net,iface',
  'hash:net,port',
  'hash:net,port,net',
  'list:set',
];

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
    type: { type: 'string', multiple: true },
    reload: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const names = setNames(systemNames());

class Simulated {
  kernel: SetKernel;
  private readonly types: ReadonlySet<string>;
  constructor(types: ReadonlySet<string>) {
    this.types = types;
    this.kernel = this.fresh();
  }

  private fresh(): SetKernel {
    return new SetKernel({ clock: { now: 0 }, random: () => 1, missingTypes: this.types });
  }

  call({ args, stdin }: Call): Answer {
    let out = '';
    let err = '';
    const tool = new Tool(this.kernel, names, {
      out(text) {
        out += text;
      },
      err(text) {
        err += text;
      },
      readStdin: () => stdin ?? '',
      readFile: () => null,
      writeFile: () => null,
    });
    const status = tool.run(args);
    return { status, out, err };
  }

  /** Writes and reads the sets; null, or what the text then is where it changes. */
  reload(): string | null {
    const text = saveSets(this.kernel, names);
    const places = placesOf(this.kernel) ?? {};
    this.kernel = this.fresh();
    loadSets(this.kernel, text, names, places);
    const again = saveSets(this.kernel, names);
    return again === text ? null : again;
  }
}

function real(namespace: string, { args, stdin }: Call): Answer {
  const done = spawnSync('ip', ['netns', 'exec', namespace, 'ipset', ...args], {
    input: stdin ?? '',
    encoding: 'latin1',
    env: { ...process.env, LC_ALL: 'C' },
  });
  return { status: done.status ?? -1, out: done.stdout, err: done.stderr };
}

/** Makes listings comparable where order and memory may differ: elements sorted, times within a few seconds equal. */
function normalize(text: string, loosely: boolean): string {
  // Time passes for the real sets.
  let result = text.replace(/(timeout |<timeout>)(\d+)/g, (_, word: string, n: string) => {
    const near = [100, 1000, 2147483].find((whole) => whole - Number(n) >= 0 && whole - Number(n) < 60);
    return `${word}${near ?? n}`;
  });
  // The real tool prints a byte of `initval` behind a bitmask if the set before it had two networks in its elements.
  result = result.replace(/(bitmask>?\s?[0-9a-f.:]+)\/\d+/g, '$1');
  if (!loosely) return result;
  result = result.replace(/(Size in memory: |<memsize>)\d+/g, '$1N');
  const lines = result.split('\n');
  const isElement = (line: string): boolean => line.startsWith('add ') || line.startsWith('<member>');
  const sorted: string[] = [];
  let run: string[] = [];
  let members = false;
  for (const line of lines) {
    if (isElement(line) || (members && line !== '')) {
      run.push(line);
      continue;
    }
    sorted.push(...run.sort());
    run = [];
    members = line === 'Members:';
    sorted.push(line);
  }
  return [...sorted, ...run.sort()].join('\n');
}

function show(calls: readonly Call[]): string {
  return calls
    .map(({ args, stdin }) => {
      const words = args.map((word) => (/^[\w.:,/!-]+$/.test(word) ? word : `'${word}'`)).join(' ');
      return stdin === undefined ? `ipset ${words}` : `ipset ${words} <<E\n${stdin}E`;
    })
    .join('\n');
}

function availableTypes(namespace: string): Set<string> {
  const available = new Set<string>();
  for (const type of ALL_TYPES) {
    const range = type === 'bitmap:port' ? ['range', '1-9'] : type.startsWith('bitmap') ? ['range', '10.0.0.0/24'] : [];
    if (real(namespace, { args: ['create', 'probe', type, ...range] }).status === 0) available.add(type);
    real(namespace, { args: ['destroy', 'probe'] });
  }
  return available;
}

/** Whether the real ipset makes other sets of its own text. */
function changesWhenRestored(namespace: string): boolean {
  const own = real(namespace, { args: ['save'] });
  real(namespace, { args: ['flush'] });
  real(namespace, { args: ['destroy'] });
  const restored = real(namespace, { args: ['restore'], stdin: own.out });
  return restored.status !== 0 || normalize(real(namespace, { args: ['save'] }).out, true) !== normalize(own.out, true);
}

/** Plays one sequence; the index of the first call whose answers differ, or -1. */
function play(namespace: string, calls: readonly Call[], missing: ReadonlySet<string>): { at: number; report: string } {
  real(namespace, { args: ['flush'] });
  real(namespace, { args: ['destroy'] });
  const simulated = new Simulated(missing);
  for (const [i, call] of calls.entries()) {
    const wanted = real(namespace, call);
    const got = simulated.call(call);
    // A crash of the real tool is nothing to be like.
    if (wanted.status === -1) return { at: -1, report: '' };
    const parts = (['status', 'out', 'err'] as const).filter(
      (part) => normalize(String(wanted[part]), values.reload) !== normalize(String(got[part]), values.reload),
    );
    if (parts.length > 0) {
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
    for (let i = 0; i < Number(values.count); i++) {
      const seed = Number(values.seed) + i;
      const calls = generateCalls(new Random(seed), types, Number(values.length));
      const { at, report } = play(namespace, calls, missing);
      if (at < 0) continue;
      different++;
      const shortest = shorten(namespace, calls.slice(0, at + 1), missing);
      const last = play(namespace, shortest, missing);
      process.stdout.write(`-- seed ${seed}\n${show(shortest)}\n${last.at >= 0 ? last.report : report}\n`);
    }
    process.stdout.write(`${Number(values.count) - different} of ${values.count} sequences equal\n`);
    return different === 0 ? 0 : 1;
  } finally {
    execFileSync('ip', ['netns', 'del', namespace]);
  }
}

process.exitCode = main();
