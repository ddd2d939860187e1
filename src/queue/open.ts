import path from 'node:path';
import { commandHandler } from './command.ts';
import { QueueError } from './handler.ts';
import { fixedHandler, type Handler, type QueueRange } from './listener.ts';
import { moduleHandler } from './module.ts';
import type { Patience } from './patience.ts';

/** What one `--queue A[-B]=HANDLER` says. */
export interface QueueOption {
  first: number;
  last: number;
  handler: string;
}

/**
 * Reads the argument of `--queue`.
 *
 * @throws QueueError with what would be right
 */
export function parseQueueOption(text: string): QueueOption {
  const match = /^(\d+)(?:[-:](\d+))?=(.*)$/s.exec(text);
  if (match === null) {
    throw new QueueError(`"${text}" is not A=HANDLER or A-B=HANDLER, like 0=accept or 50-58=./policy.js`);
  }
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  if (last > 0xffff || first > last) {
    throw new QueueError(`queue numbers ${first}-${last}: expected 0 to 65535, the smaller one first`);
  }
  const handler = match[3]!.trim();
  if (handler === '') throw new QueueError(`"${text}" names no handler: accept, drop, a .js module or a command`);
  return { first, last, handler };
}

/** Of a handler, messages show so many characters. */
const LONG = 100;

/**
 * Loads or starts the handler of an option.
 *
 * @param directory where a module's path starts
 * @throws QueueError if a module cannot be loaded
 */
export async function openHandler(option: QueueOption, directory: string, patience: Patience): Promise<QueueRange> {
  const { first, last, handler } = option;
  const range = first === last ? String(first) : `${first}-${last}`;
  const shown = handler.length > LONG ? `${handler.slice(0, LONG - 3)}...` : handler;
  const name = `--queue ${range}=${shown}`;
  return { first, last, handler: await makeHandler(name, handler, directory, patience) };
}

async function makeHandler(name: string, text: string, directory: string, patience: Patience): Promise<Handler> {
  if (text === 'accept' || text === 'drop') return fixedHandler(name, text);
  if (/^\S+\.m?js$/.test(text)) return moduleHandler(name, path.resolve(directory, text), patience);
  return commandHandler(name, text);
}
