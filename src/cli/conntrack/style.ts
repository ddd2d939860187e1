import type { Entry } from '../../conntrack/entry.ts';
import type { OutputWord } from './request.ts';

/** How entries are written, and what is needed for it. */
export interface Style {
  output: ReadonlySet<OutputWord>;
  /** Names of label bits that are shown: none where no option has asked for labels. */
  labelNames: ReadonlyMap<number, string>;
  /** Clock of the directory, microseconds since the epoch: for the age of entries. */
  clock: number;
  use: number;
}

/** Life of an entry, microseconds since the epoch; `stopped` only of one that is gone. */
export interface Life {
  started: number;
  stopped: number | null;
}

/** Whole seconds of the two clock readings are compared, as the tool does. */
export function ageOf(style: Style, { started, stopped }: Life): number {
  return Math.max(0, Math.floor((stopped ?? style.clock) / 1e6) - Math.floor(started / 1e6));
}

/** Names of the labels that are set. */
export function labelText(entry: Entry, names: ReadonlyMap<number, string>): string[] {
  const bits = entry.labels();
  const result: string[] = [];
  for (let bit = 0; bit < 128; bit++) {
    const name = names.get(bit);
    if ((bits[bit >>> 5]! >>> (bit & 31)) & 1 && name !== undefined) result.push(name);
  }
  return result;
}
