import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeDirectory, StateError } from './files.ts';
import { LockTimeout, lockDirectory } from './lock.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'iptsim-lock-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('lets one in at a time', () => {
  const unlock = lockDirectory(directory);
  expect(() => lockDirectory(directory, 0)).toThrow(LockTimeout);
  unlock?.();
  lockDirectory(directory, 0)?.();
});

it('takes over from an owner that has died, or whose pid has another process now', () => {
  const file = path.join(directory, 'xtables.lock');
  for (const owner of ['999999999 1', `${process.pid} 1`]) {
    writeFileSync(file, `${owner}\n`);
    lockDirectory(directory, 0)?.();
    expect(existsSync(file)).toBe(false);
  }
});

it('respects a file whose owner has not written its name yet', () => {
  writeFileSync(path.join(directory, 'xtables.lock'), '');
  expect(() => lockDirectory(directory, 0)).toThrow(LockTimeout);
});

it('makes the directory', () => {
  lockDirectory(path.join(directory, 'a', 'b'))?.();
  expect(existsSync(path.join(directory, 'a', 'b'))).toBe(true);
});

it('gives up where the system makes no directory, instead of trying for ever', () => {
  // Linux says "no such file" of a directory below /proc; elsewhere the parent is a file.
  expect(lockDirectory('/proc/iptsim-no-such')).toBeNull();
  expect(() => makeDirectory('/proc/iptsim-no-such/a')).toThrow(StateError);
  expect(() => makeDirectory('/dev/null/a/b')).toThrow('/dev/null/a');
  const deep = path.join(directory, 'a', 'b');
  makeDirectory(deep);
  makeDirectory(deep);
  expect(existsSync(deep)).toBe(true);
});
