import { SetKernel } from '../../src/ipset/kernel.ts';
import { loadSets, saveSets } from '../../src/ipset/text.ts';
import type { Random } from '../kernel/random.ts';
import { Writer } from './generate.ts';
import { names, normalize, real, Simulated } from './tools.ts';

const MOST_ELEMENTS = 120;

/**
 * A random set with all that the type can have, made in both; then the text of each goes through the other. Null: everything
 * is equal (but for order and memory), or the options were wrong and both refused.
 */
export function roundTrip(
  namespace: string,
  random: Random,
  type: string,
  missing: ReadonlySet<string>,
): string | null {
  const writer = new Writer(random);
  const family = random.chance(0.6) ? 4 : 6;
  const simulated = new Simulated(missing);
  clear(namespace);
  const make = (args: string[]): string | null => {
    const wanted = real(namespace, { args });
    const got = simulated.call({ args });
    const equal = wanted.status === got.status && wanted.err === got.err;
    return equal ? null : `ipset ${args.join(' ')}\n- ${wanted.err}\n+ ${got.err}`;
  };
  const commands: string[][] = [];
  // Members of lists.
  if (type === 'list:set')
    for (const name of ['a', 'b', 'c', 'd']) commands.push(['create', name, 'hash:ip', 'initval', '7']);
  commands.push(['create', 'set', type, ...writer.createOptions(type, family)]);
  const count = random.int(1, MOST_ELEMENTS);
  for (let i = 0; i < count; i++) {
    commands.push(['-!', 'add', 'set', writer.element(type, family), ...writer.entryOptions(type, 'add')]);
  }
  for (const command of commands) {
    const difference = make(command);
    if (difference !== null) return difference;
  }
  const own = real(namespace, { args: ['save'] }).out;
  const text = saveSets(simulated.kernel, names);
  const made = differ('made by the same commands', own, text);
  if (made !== null) return made;
  // What a range put in cannot always be added alone: then the real ipset does not take its own text either.
  if (differ('', own, restoredByReal(namespace, own)) !== null) return null;
  return (
    differ('saved by iptsim, restored by the real ipset', text, restoredByReal(namespace, text)) ??
    differ('saved by the real ipset, restored by iptsim', own, restored(own, missing)) ??
    differ('saved by the real ipset, read as state', own, loaded(own))
  );
}

function clear(namespace: string): void {
  real(namespace, { args: ['flush'] });
  real(namespace, { args: ['destroy'] });
}

function restoredByReal(namespace: string, text: string): string {
  clear(namespace);
  const { err } = real(namespace, { args: ['restore'], stdin: text });
  return err + real(namespace, { args: ['save'] }).out;
}

function restored(text: string, missing: ReadonlySet<string>): string {
  const simulated = new Simulated(missing);
  const { err } = simulated.call({ args: ['restore'], stdin: text });
  return err + saveSets(simulated.kernel, names);
}

function loaded(text: string): string {
  const kernel = new SetKernel({ clock: { now: 0 }, random: () => 1 });
  loadSets(kernel, text, names);
  return saveSets(kernel, names);
}

function differ(what: string, wanted: string, got: string): string | null {
  const [a, b] = [normalize(wanted, true), normalize(got, true)];
  if (a === b) return null;
  const lines = (text: string, other: string, sign: string) => {
    const there = new Set(other.split('\n'));
    return text
      .split('\n')
      .filter((line) => !there.has(line))
      .map((line) => `${sign} ${line}`);
  };
  return [what, ...lines(a, b, '-'), ...lines(b, a, '+')].join('\n');
}
