import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import type { ByteSource } from './source.ts';
import type { ByteSink } from './write.ts';

/** A file as a source, read in order and synchronously; `-` is standard input. It closes itself at its end. */
export function fileSource(path: string): ByteSource {
  const descriptor = path === '-' ? 0 : openSync(path, 'r');
  let open = true;
  return {
    read(into, offset, length) {
      if (!open) return 0;
      const count = readRetrying(descriptor, into, offset, length);
      if (count === 0) {
        open = false;
        if (descriptor !== 0) closeSync(descriptor);
      }
      return count;
    },
  };
}

/** Standard input may be a terminal or a pipe that is not ready yet (EAGAIN); reading waits for it. */
function readRetrying(descriptor: number, into: Uint8Array, offset: number, length: number): number {
  for (;;) {
    try {
      return readSync(descriptor, into, offset, length, null);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** The first bytes of a source, and the source as if they had not been read. */
export function peek(source: ByteSource, count: number): { head: Uint8Array; source: ByteSource } {
  const head = new Uint8Array(count);
  let have = 0;
  while (have < count) {
    const got = source.read(head, have, count - have);
    if (got === 0) break;
    have += got;
  }
  let given = 0;
  return {
    head: head.subarray(0, have),
    source: {
      read(into, offset, length) {
        if (given === have) return source.read(into, offset, length);
        const part = Math.min(length, have - given);
        into.set(head.subarray(given, given + part), offset);
        given += part;
        return part;
      },
    },
  };
}

/** A file as a sink; it is made or emptied at once. */
export function fileSink(path: string): ByteSink {
  const descriptor = openSync(path, 'w');
  return {
    write(bytes) {
      let done = 0;
      while (done < bytes.length) done += writeSync(descriptor, bytes, done, bytes.length - done);
    },
    close() {
      closeSync(descriptor);
    },
  };
}
