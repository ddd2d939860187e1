/** Routing tables (rtnetlink(7), `rt_tables`). */
import { parseNumber } from './numbers.ts';

export const TABLE_LOCAL = 255;
export const TABLE_MAIN = 254;
export const TABLE_DEFAULT = 253;

/** A table by name or number; -1 if it is neither. */
export function parseTable(word: string): number {
  if (word === 'local') return TABLE_LOCAL;
  if (word === 'main') return TABLE_MAIN;
  if (word === 'default') return TABLE_DEFAULT;
  return parseNumber(word, 1, 0xffffffff);
}

export function tableName(table: number): string {
  if (table === TABLE_LOCAL) return 'local';
  if (table === TABLE_MAIN) return 'main';
  return table === TABLE_DEFAULT ? 'default' : String(table);
}
