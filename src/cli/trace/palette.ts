import { Chalk } from 'chalk';
import { type Palette, PLAIN } from '../../trace/reporters/text-layout.ts';

/** Colours for a terminal; none where NO_COLOR is set (https://no-color.org) or `wanted` is false. */
export function palette(wanted: boolean, env: Readonly<Record<string, string | undefined>>): Palette {
  if (!wanted || (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb') return PLAIN;
  const chalk = new Chalk({ level: 1 });
  return {
    bold: chalk.bold,
    dim: chalk.dim,
    hook: chalk.cyan,
    table: chalk.blue,
    match: chalk.green,
    miss: chalk.yellow,
    change: chalk.magenta,
    state: chalk.bold,
    good: chalk.green,
    bad: chalk.red,
  };
}
