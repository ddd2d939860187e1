import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import type { MachineFiles } from './load.ts';

/** A text that changes when one of the files does of which a machine is made: two threads that find the same have read the same. */
export function stateSignature(directory: string, files: MachineFiles): string {
  const named = [files.rules, files.rules6, files.sets, files.host].filter((file) => file !== null);
  return [...listed(directory), ...named].map(signatureOf).join('\n');
}

/** Files of the state directory, but those that only say who is at work there. */
function listed(directory: string): string[] {
  try {
    const names = readdirSync(directory).filter((name) => !name.endsWith('.tmp') && !name.startsWith('xtables.lock'));
    return names.sort().map((name) => path.join(directory, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function signatureOf(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false });
  return found === undefined ? file : `${file} ${found.ino} ${found.size} ${found.mtimeMs}`;
}
