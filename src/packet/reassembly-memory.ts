/** Fragments that wait, as plain data for keeping between runs. */
import { fromHex, toHex } from './bytes.ts';
import { loadedFirstFragment, type StoredFirstFragment, storedFirstFragment } from './first-fragment.ts';
import type { FragmentQueue } from './fragment-queue.ts';

interface StoredRun {
  start: number;
  end: number;
  fragments: { bytes: string; payload: number; start: number; end: number; first?: StoredFirstFragment }[];
}

export type StoredQueue = Omit<FragmentQueue, 'runs'> & { runs: StoredRun[] };

/** All queues by their keys, and how many fragments each sender has sent. */
export interface ReassemblyMemory {
  queues: [key: string, queue: StoredQueue][];
  senders: [address: string, fragments: number][];
}

export function storedQueue(queue: FragmentQueue): StoredQueue {
  const runs = queue.runs.map((run) => ({
    ...run,
    fragments: run.fragments.map(({ first, ...fragment }) => ({
      ...fragment,
      bytes: toHex(fragment.bytes),
      ...(first === undefined ? {} : { first: storedFirstFragment(first) }),
    })),
  }));
  return { ...queue, runs };
}

export function loadedQueue(stored: StoredQueue): FragmentQueue {
  const runs = stored.runs.map((run) => ({
    ...run,
    fragments: run.fragments.map(({ first, ...fragment }) => ({
      ...fragment,
      bytes: fromHex(fragment.bytes) ?? new Uint8Array(0),
      ...(first === undefined ? {} : { first: loadedFirstFragment(first) }),
    })),
  }));
  return { ...stored, runs };
}
