import type { EntryLine } from './store.ts';

/**
 * What ties connections of a kept table to others between other addresses: translated addresses, helpers, expected connections. In words for people; null
 * if there is nothing of the kind.
 *
 * @param text as `Conntrack.save` wrote it
 */
export function tieOfKept(text: string): string | null {
  for (const content of text.split('\n')) {
    if (content === '') continue;
    const line = JSON.parse(content) as object;
    if ('expect' in line || 'call' in line) return 'expects others';
    if (!('original' in line)) continue;
    const { original, reply, helper, master, synproxy } = line as EntryLine;
    if (helper !== undefined) return `has the helper ${helper.name}`;
    if (master !== undefined) return 'was expected by another';
    if (synproxy !== undefined) return 'is one of SYNPROXY';
    if (original[0] !== reply[1] || original[1] !== reply[0]) return 'is translated';
  }
  return null;
}
