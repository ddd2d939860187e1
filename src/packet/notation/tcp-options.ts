import { readUint16, readUint32 } from '../bytes.ts';

/** One TCP option in the notation's words. */
export interface TcpOptionWord {
  key: 'mss' | 'wscale' | 'sackok' | 'sack' | 'ts' | 'nop';
  value: string;
}

/** Encodes one option; null if the value is not one. `nop` takes how many. */
export function encodeTcpOption(key: string, value: string): number[] | null {
  switch (key) {
    case 'mss':
      return number(value, 0xffff, (v) => [2, 4, v >> 8, v & 255]);
    case 'wscale':
      return number(value, 255, (v) => [3, 3, v]);
    case 'sackok':
      return value === '1' || value === 'yes' ? [4, 2] : null;
    case 'nop':
      return number(value, 40, (v) => new Array<number>(v).fill(1));
    case 'sack': {
      const bytes: number[] = [];
      for (const block of value.split(',')) {
        const ends = block.split(/[-:]/).map((end) => parseWord(end));
        if (ends.length !== 2 || ends.includes(-1)) return null;
        for (const end of ends) bytes.push(...word(end));
      }
      return bytes.length > 32 ? null : [5, 2 + bytes.length, ...bytes];
    }
    case 'ts': {
      const [own, echoed] = value.split(/[:/]/).map((part) => parseWord(part));
      if (own === undefined || own < 0 || (echoed ?? 0) < 0) return null;
      return [8, 10, ...word(own), ...word(echoed ?? 0)];
    }
    default:
      return null;
  }
}

/** Options as words, if they can be written so and read back to the same bytes; otherwise null. */
export function decodeTcpOptions(bytes: Uint8Array): TcpOptionWord[] | null {
  const words: TcpOptionWord[] = [];
  let at = 0;
  while (at < bytes.length) {
    const kind = bytes[at]!;
    if (kind === 1) {
      const before = words.at(-1);
      if (before?.key === 'nop') before.value = String(Number(before.value) + 1);
      else words.push({ key: 'nop', value: '1' });
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (kind === 0 || length < 2 || at + length > bytes.length) return null;
    const option = decodeOption(bytes, at, kind, length);
    if (option === null) return null;
    words.push(option);
    at += length;
  }
  return words;
}

function decodeOption(bytes: Uint8Array, at: number, kind: number, length: number): TcpOptionWord | null {
  if (kind === 2 && length === 4) return { key: 'mss', value: String(readUint16(bytes, at + 2)) };
  if (kind === 3 && length === 3) return { key: 'wscale', value: String(bytes[at + 2]) };
  if (kind === 4 && length === 2) return { key: 'sackok', value: '1' };
  if (kind === 8 && length === 10) {
    return { key: 'ts', value: `${readUint32(bytes, at + 2)}:${readUint32(bytes, at + 6)}` };
  }
  if (kind === 5 && length > 2 && (length - 2) % 8 === 0) {
    const blocks: string[] = [];
    for (let i = at + 2; i < at + length; i += 8) blocks.push(`${readUint32(bytes, i)}-${readUint32(bytes, i + 4)}`);
    return { key: 'sack', value: blocks.join(',') };
  }
  return null;
}

function parseWord(text: string): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  return value > 0xffffffff ? -1 : value;
}

function word(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

function number(text: string, max: number, encode: (value: number) => number[]): number[] | null {
  const value = parseWord(text);
  return value < 0 || value > max ? null : encode(value);
}
