import type { WrittenItem } from '../trace/written.ts';
export function parseTcpdump(_text: string): { items: WrittenItem[]; remarks: string[] } {
  return { items: [], remarks: [] };
}
