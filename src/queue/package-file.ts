import { existsSync } from 'node:fs';
import path from 'node:path';

/** A file of this package, by its path in it: the same whether this runs from `src/queue` or bundled, from `dist`. */
export function packageFile(name: string): string {
  const above = path.join(import.meta.dirname, '..');
  return path.join(existsSync(path.join(above, 'adapters')) ? above : path.join(above, '..'), name);
}
