/** A place that bytes come from, read in order: a file, or a buffer in memory. */
export interface ByteSource {
  /** Puts up to `length` bytes into `into` from `offset` on; returns how many, 0 only at the end. */
  read(into: Uint8Array, offset: number, length: number): number;
}

/** A capture that cannot be read. The message says where and why; the caller adds the name of the file. */
export class CaptureError extends Error {}

/** Bytes in memory as a source. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  let position = 0;
  return {
    read(into, offset, length) {
      const count = Math.min(length, bytes.length - position);
      into.set(bytes.subarray(position, position + count), offset);
      position += count;
      return count;
    },
  };
}

/** Small enough for memory that the process has used before: of large buffers each would be new memory, page by page. */
const CHUNK = 1 << 16;

/**
 * A source seen through a window: `need(n)` makes the next `n` bytes available in `buffer` at `position`.
 * A new chunk is taken when one is used up and the old one is never written again, so views on it stay valid
 * as long as somebody keeps them; memory is bounded by what is kept.
 */
export class Window {
  buffer: Uint8Array;
  position = 0;
  end = 0;
  /** Bytes of the source that lie before `buffer`. */
  private before = 0;
  private readonly source: ByteSource;

  constructor(source: ByteSource) {
    this.source = source;
    this.buffer = new Uint8Array(0);
  }

  /** Offset in the whole source, for messages. */
  get offset(): number {
    return this.before + this.position;
  }

  /** Whether that many bytes follow; if not, whatever is left is available. */
  need(count: number): boolean {
    if (this.end - this.position >= count) return true;
    const rest = this.end - this.position;
    const next = new Uint8Array(Math.max(CHUNK, count));
    next.set(this.buffer.subarray(this.position, this.end));
    this.before += this.position;
    this.buffer = next;
    this.position = 0;
    this.end = rest;
    while (this.end < count) {
      const got = this.source.read(next, this.end, next.length - this.end);
      if (got === 0) return false;
      this.end += got;
    }
    return true;
  }
}
