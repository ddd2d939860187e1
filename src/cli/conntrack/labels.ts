import { existsSync, readFileSync } from 'node:fs';

const LABEL_FILES = ['/etc/xtables/connlabel.conf', '/etc/xtables.conf/connlabel.conf'];

/** `bit name` lines of connlabel.conf; null if there is no such file. */
export function readLabelFile(): ReadonlyMap<string, number> | null {
  const file = LABEL_FILES.find((name) => existsSync(name));
  if (file === undefined) return null;
  const names = new Map<string, number>();
  for (const line of readFileSync(file, 'latin1').split('\n')) {
    const match = /^\s*([0-9]+)\s+(\S+)/.exec(line);
    if (match !== null) names.set(match[2]!, Number(match[1]));
  }
  return names;
}
