import { existsSync } from 'node:fs';
import path from 'node:path';

/** A file of `adapters/`: the same whether this runs from `src/queue` or bundled, from `dist`. */
export function adapterFile(name: string): string {
  const above = path.join(import.meta.dirname, '..');
  const root = existsSync(path.join(above, 'adapters')) ? above : path.join(above, '..');
  return path.join(root, 'adapters', name);
}
