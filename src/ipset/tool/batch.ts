import { HashSet } from '../hash-set.ts';
import type { SetKernel } from '../kernel.ts';
import type { Values } from '../syntax/session.ts';
import { entrySize, fits, headSize } from './message-size.ts';

/** The element that the kernel refused. */
export interface BatchFailure {
  command: 'add' | 'del';
  code: number;
  line: number;
  typeName: string;
}

/** Types for whose elements `add SET ADDRESS[/PREFIX]` needs no further checks. */
const PLAIN_TYPES: readonly string[] = ['hash:ip', 'hash:net'];

/**
 * Additions (or deletions) of one set that restore sends to the kernel together. What has not been sent when a later
 * line turns out to be wrong is lost, as with the real tool.
 */
export class Batch {
  name = '';
  typeName = '';
  /** Lines of the short form can be put in directly. */
  fast = false;
  failure: BatchFailure | null = null;
  private readonly kernel: SetKernel;
  private command: 'add' | 'del' = 'add';
  private exist = false;
  private readonly entries: Values[] = [];
  private readonly lines: number[] = [];
  private size = 0;

  constructor(kernel: SetKernel) {
    this.kernel = kernel;
  }

  /** Whether a line of the short form means an element of the batch's set. */
  takes(values: Values): boolean {
    return this.command === 'add' && (this.typeName === 'hash:net' || values.cidr === undefined);
  }

  /** Puts an element in; true: the kernel refused one (`failure`). */
  put(
    command: 'add' | 'del',
    name: string,
    values: Values,
    line: number,
    family: 4 | 6 | 0,
    typeName: string,
    exist: boolean,
  ): boolean {
    const more = entrySize(values, family);
    const joins = this.entries.length > 0 && this.command === command && this.name === name;
    if (!joins || !fits(this.size, more)) {
      if (!this.commit()) return true;
      this.command = command;
      this.name = name;
      this.typeName = typeName;
      this.exist = exist;
      this.size = headSize(name);
      const set = this.kernel.find(name);
      this.fast = command === 'add' && family === 4 && set instanceof HashSet && PLAIN_TYPES.includes(typeName);
    }
    this.entries.push(values);
    this.lines.push(line);
    this.size += more;
    return false;
  }

  /** Sends what is there; false: the kernel refused an element, the ones before it are in. */
  commit(): boolean {
    const { entries, lines } = this;
    const set = entries.length > 0 ? this.kernel.find(this.name) : undefined;
    for (let i = 0; i < entries.length; i++) {
      const code = set!.change(this.command, entries[i]!, this.exist);
      if (code === 0) continue;
      this.failure = { command: this.command, code, line: lines[i]!, typeName: this.typeName };
      entries.length = 0;
      lines.length = 0;
      this.fast = false;
      return false;
    }
    entries.length = 0;
    lines.length = 0;
    this.size = 0;
    this.fast = false;
    return true;
  }
}
