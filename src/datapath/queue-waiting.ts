import type { Connection } from '../conntrack/connection.ts';
import type { ConnectionChange } from './queueing.ts';

/** Packets that wait in queues for their verdicts, by queue and id. */
export class Waiting<T> {
  readonly #queues = new Map<number, Map<number, T>>();

  count(queue: number): number {
    return this.#queues.get(queue)?.size ?? 0;
  }

  add(queue: number, id: number, entry: T): void {
    let entries = this.#queues.get(queue);
    if (entries === undefined) {
      entries = new Map();
      this.#queues.set(queue, entries);
    }
    entries.set(id, entry);
  }

  /** Takes it out; undefined if it does not wait. */
  take(queue: number, id: number): T | undefined {
    const entries = this.#queues.get(queue);
    const entry = entries?.get(id);
    if (entry === undefined) return undefined;
    entries!.delete(id);
    if (entries!.size === 0) this.#queues.delete(queue);
    return entry;
  }

  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  some(test: (entry: T) => boolean): boolean {
    for (const entries of this.#queues.values()) for (const entry of entries.values()) if (test(entry)) return true;
    return false;
  }
}

/** Mark and labels given with a verdict (ctnetlink_change_mark, nf_connlabels_replace). */
export function changeConnection(connection: Connection, change: ConnectionChange): void {
  const { mark, labels, labelsMask } = change;
  if (mark !== undefined) connection.mark = ((connection.mark & ~(change.markMask ?? 0xffffffff)) ^ mark) >>> 0;
  if (labels === undefined) return;
  const words = labels.map((word, i) => {
    const mask = labelsMask?.[i] ?? 0xffffffff;
    return (((connection.labels()[i] ?? 0) & ~mask) ^ word) >>> 0;
  });
  connection.replaceLabels(words);
}
