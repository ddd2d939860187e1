import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setNames } from '../../src/cli/commands/ipset.ts';
import { SetKernel } from '../../src/ipset/kernel.ts';
import { loadSets, placesOf, saveSets } from '../../src/ipset/text.ts';
import { Tool } from '../../src/ipset/tool/tool.ts';
import { systemNames } from '../../src/state/names.ts';
import type { Call } from './generate.ts';

export const ALL_TYPES = [
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

export interface Answer {
  status: number;
  out: string;
  err: string;
}

export const names = setNames(systemNames());

/** The sets of iptsim and its ipset. */
export class Simulated {
  kernel: SetKernel;
  private readonly types: ReadonlySet<string>;
  private readonly files = new Map<string, string>();
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
    let written = '';
    const tool = new Tool(this.kernel, names, {
      out(text) {
        out += text;
      },
      err(text) {
        err += text;
      },
      readStdin: () => stdin ?? '',
      readFile: (path) => this.files.get(path) ?? null,
      writeFile: (path, text) => {
        this.files.set(path, text);
        written = text;
        return null;
      },
    });
    const status = tool.run(args.map((word) => word.replace('@FILE', FILE)));
    return { status, out: out + written, err };
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

/** Stands for `@FILE` in calls. */
const FILE = path.join(tmpdir(), `iptsim-ipset-${process.pid}`);

/** A call of the real ipset; what it writes to a file follows what it prints. */
export function real(namespace: string, { args, stdin }: Call): Answer {
  const words = args.map((word) => word.replace('@FILE', FILE));
  const writes = words.includes('-f') && words.includes(FILE);
  const done = spawnSync('ip', ['netns', 'exec', namespace, 'ipset', ...words], {
    input: stdin ?? '',
    encoding: 'latin1',
    env: { ...process.env, LC_ALL: 'C' },
  });
  const written = writes && existsSync(FILE) ? readFileSync(FILE, 'latin1') : '';
  return { status: done.status ?? -1, out: done.stdout + written, err: done.stderr };
}

/** Makes listings comparable where order and memory may differ: elements sorted, times within a few seconds equal. */
export function normalize(text: string, loosely: boolean): string {
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

/** The types that this machine's kernel has. */
export function availableTypes(namespace: string): Set<string> {
  const available = new Set<string>();
  for (const type of ALL_TYPES) {
    const range = type === 'bitmap:port' ? ['range', '1-9'] : type.startsWith('bitmap') ? ['range', '10.0.0.0/24'] : [];
    if (real(namespace, { args: ['create', 'probe', type, ...range] }).status === 0) available.add(type);
    real(namespace, { args: ['destroy', 'probe'] });
  }
  return available;
}

/** Removes the file that calls have written. */
export function removeFile(): void {
  rmSync(FILE, { force: true });
}
