import { closeSync, linkSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import path from 'node:path';
import { makeDirectory, StateError } from './files.ts';

/** Name of the lock file in the state directory. */
const LOCK = 'xtables.lock';

function errorCode(error: unknown): string | undefined {
  return (error as { code?: string }).code;
}

/** Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat), or null if there is none such. */
function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function isAlive(owner: string): boolean {
  const [pid, started] = owner.trim().split(' ');
  const number = Number(pid);
  // A file that is still being written has no owner yet: it counts as held.
  if (!Number.isInteger(number) || number <= 0 || started === undefined) return true;
  const actual = startTime(number);
  if (actual !== null) return actual === started;
  try {
    process.kill(number, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** Makes the lock file; false if somebody has it. The text is written under another name first, so that it is whole. */
function tryLock(file: string): boolean {
  const own = `${file}.${process.pid}`;
  const handle = openSync(own, 'w', 0o600);
  try {
    writeSync(handle, `${process.pid} ${startTime(process.pid) ?? 0}\n`);
  } finally {
    closeSync(handle);
  }
  try {
    linkSync(own, file);
    return true;
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    return false;
  } finally {
    unlinkSync(own);
  }
}

/** Removes the lock of an owner that has died; leaves any other alone. Whether it is worth trying again at once. */
function removeStale(file: string): boolean {
  let owner: string;
  try {
    owner = readFileSync(file, 'latin1');
  } catch {
    return true;
  }
  if (isAlive(owner)) return false;
  const aside = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    return true;
  }
  // Somebody may have taken the lock over between reading and renaming: then give it back.
  const taken = readFileSync(aside, 'latin1');
  if (taken !== owner) {
    try {
      linkSync(aside, file);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
  }
  unlinkSync(aside);
  return true;
}

const sleepCell = new Int32Array(new SharedArrayBuffer(4));

/** The lock was not to be had in the time given. */
export class LockTimeout extends Error {}

/**
 * Takes the lock of a state directory, waiting up to `seconds` (-1: for ever), and returns what gives it back. Null if
 * the directory cannot be written, where nothing needs protection. Throws LockTimeout.
 */
export function lockDirectory(directory: string, seconds = -1): (() => void) | null {
  const file = path.join(directory, LOCK);
  const end = seconds < 0 ? Number.POSITIVE_INFINITY : performance.now() + seconds * 1000;
  for (let made = false; ; ) {
    try {
      if (tryLock(file)) break;
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT' && !made) {
        made = true;
        try {
          makeDirectory(directory);
          continue;
        } catch (failure) {
          if (!(failure instanceof StateError)) throw failure;
          // No such directory and none to be made, as in /proc: what is written will say so.
          return null;
        }
      }
      if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM' || code === 'ENOTDIR') return null;
      throw error;
    }
    if (removeStale(file)) continue;
    if (performance.now() >= end) throw new LockTimeout();
    Atomics.wait(sleepCell, 0, 0, 5);
  }
  return () => {
    try {
      unlinkSync(file);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  };
}
