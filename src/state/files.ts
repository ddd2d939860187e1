import { existsSync, mkdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** A state file that cannot be read or written: `message` names the file (and the line) and what is wrong. */
export class StateError extends Error {}

/** Text of a state file, one byte in each character; null if it does not exist. Throws StateError. */
export function readStateFile(directory: string, name: string): string | null {
  const file = path.join(directory, name);
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new StateError(`${file}: ${reason(code)}`);
  }
}

/**
 * Makes a directory and those above it that are missing; one that is there is fine. Throws StateError. (Node's own recursive
 * `mkdir` never ends where the system says "no such file" although the directory above is there, as /proc does.)
 */
export function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory);
  } catch (error) {
    const { code } = error as { code?: string };
    if (existsSync(directory) && statSync(directory).isDirectory()) return;
    const parent = path.dirname(path.resolve(directory));
    if (code !== 'ENOENT' || existsSync(parent)) throw new StateError(`${directory}: ${reason(code)}`);
    makeDirectory(parent);
    makeDirectory(directory);
  }
}

/** Replaces a state file as a whole: a reader sees the old text or the new one. Makes the directory. Throws StateError. */
export function writeStateFile(directory: string, name: string, text: string): void {
  const file = path.join(directory, name);
  const temporary = `${file}.${process.pid}.tmp`;
  makeDirectory(directory);
  try {
    writeFileSync(temporary, text, 'latin1');
    renameSync(temporary, file);
  } catch (error) {
    try {
      unlinkSync(temporary);
    } catch {
      // It was not made.
    }
    throw new StateError(`${file}: ${reason((error as { code?: string }).code)}`);
  }
}

function reason(code: string | undefined): string {
  const texts: Readonly<Record<string, string>> = {
    EACCES: 'Permission denied',
    ENOENT: 'No such file or directory',
    EPERM: 'Operation not permitted',
    EROFS: 'Read-only file system',
    ENOSPC: 'No space left on device',
    EISDIR: 'Is a directory',
    ENOTDIR: 'Not a directory',
    EEXIST: 'File exists',
  };
  return texts[code ?? ''] ?? code ?? 'cannot be used';
}
