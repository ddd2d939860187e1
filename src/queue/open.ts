import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { commandHandler } from './command.ts';
import { QueueError, type QueueHandler } from './handler.ts';
import { fixedHandler, functionHandler, type Handler, type QueueRange } from './listener.ts';

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

/** Loads or starts the handler of an option. */
export async function openHandler(option: QueueOption, directory: string): Promise<QueueRange> {
  const { first, last, handler } = option;
  const range = first === last ? String(first) : `${first}-${last}`;
  const name = `--queue ${range}=${handler}`;
  return { first, last, handler: await makeHandler(name, handler, directory) };
}

async function makeHandler(name: string, text: string, directory: string): Promise<Handler> {
  if (text === 'accept' || text === 'drop') return fixedHandler(name, text);
  if (/^\S+\.m?js$/.test(text)) return functionHandler(name, await loadModule(name, path.resolve(directory, text)));
  return commandHandler(name, text);
}

async function loadModule(name: string, file: string): Promise<QueueHandler> {
  let loaded: { default?: unknown };
  try {
    loaded = (await import(pathToFileURL(file).href)) as { default?: unknown };
  } catch (error) {
    throw new QueueError(
      `${name}: ${file} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  // A CommonJS module compiled from `export default` holds it one level deeper.
  const nested = loaded.default as { default?: unknown } | undefined;
  const handler = typeof nested === 'function' ? nested : nested?.default;
  if (typeof handler !== 'function') {
    throw new QueueError(`${name}: ${file} has no default export that is a function`);
  }
  return handler as QueueHandler;
}
