import { QueueError } from './handler.ts';

/** How long a handler may take. */
export interface Patience {
  milliseconds: number;
  /** The option that says so, for messages. */
  option?: string;
}

/** What is wrong with a handler that took longer. */
export function tooLate(what: string, { milliseconds, option }: Patience): QueueError {
  return new QueueError(`${what} within ${milliseconds / 1000} s${option === undefined ? '' : ` (${option})`}`);
}
