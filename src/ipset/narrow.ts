/** A part of the text of sets that is enough for a command, and the way back into the whole. */
export interface NarrowedText {
  /** The set's `create` line and the elements that the command can concern. */
  text: string;
  /** The whole text after the command; `after`: what became of `text`. */
  merge(after: string): string;
}

const COMMANDS: ReadonlySet<string> = new Set(['add', 'del', 'test', '-A', '-D', '-T']);
const FLAGS: ReadonlySet<string> = new Set(['-!', '-exist', '-q', '-quiet']);
const BYTE = '(?:0|[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])';
const ELEMENT = new RegExp(`^(${BYTE}(?:\\.${BYTE}){3})(?:/([1-9]|[12][0-9]|3[0-2]))?$`);

/**
 * What of a large text a command needs that adds, deletes or tests one IPv4 address or network: of a hash only the elements that
 * it is equal to or lies in. null: the command needs all of it (other types, ranges, a set that is full, ...).
 */
export function narrowText(text: string, args: readonly string[]): NarrowedText | null {
  const words = args.filter((word) => !FLAGS.has(word));
  const [command, name, element, ...options] = words;
  if (command === undefined || !COMMANDS.has(command) || name === undefined || element === undefined) return null;
  // Comments may hold anything, line ends too; options before the command may ask for anything.
  if (!/^[\w.:-]+$/.test(name) || options.some((word) => word.startsWith('-')) || text.includes('"')) return null;
  const match = ELEMENT.exec(element);
  const block = match === null ? null : findBlock(text, name);
  if (match === null || block === null) return null;
  if (block.type === 'hash:ip' && match[2] !== undefined) return null;
  if (command === 'add' || command === '-A') {
    if (countLines(text, block.body, block.end) >= block.maxElements) return null;
  }
  const keys = candidates(match[1]!, block.type).map((candidate) => `add ${name} ${candidate}`);
  const lines = keys.flatMap((key) => lineOf(text, key, block) ?? []);
  const header = text.slice(block.start, block.body);
  return {
    text: header + lines.map(({ from, to }) => text.slice(from, to)).join(''),
    merge: (after) => merge(text, block, lines, after),
  };
}

interface Block {
  type: 'hash:ip' | 'hash:net';
  maxElements: number;
  /** Where the `create` line begins, where the elements do, and where they end. */
  start: number;
  body: number;
  end: number;
}

function findBlock(text: string, name: string): Block | null {
  const head = `create ${name} hash:`;
  const start = text.startsWith(head) ? 0 : text.indexOf(`\n${head}`) + 1;
  if (start === 0 && !text.startsWith(head)) return null;
  const body = text.indexOf('\n', start) + 1;
  if (body === 0) return null;
  const words = text.slice(start, body).trimEnd().split(' ');
  const type = words[2];
  const value = (word: string): string | undefined => words[words.indexOf(word, 3) + 1];
  if (type !== 'hash:ip' && type !== 'hash:net') return null;
  if (value('family') !== 'inet' || words.includes('netmask') || words.includes('bitmask')) return null;
  const next = text.indexOf('\ncreate ', body - 1);
  const end = next < 0 ? text.length : next + 1;
  return { type, maxElements: Number(value('maxelem') ?? 65536), start, body, end };
}

function countLines(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) count++;
  return count;
}

/** The elements, as they are saved, that an address or network can be or lie in. */
function candidates(address: string, type: Block['type']): string[] {
  if (type === 'hash:ip') return [address];
  const word = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const all = [address];
  for (let length = 31; length >= 0; length--) {
    const masked = length === 0 ? 0 : (word & (0xffffffff << (32 - length))) >>> 0;
    all.push(`${masked >>> 24}.${(masked >>> 16) & 255}.${(masked >>> 8) & 255}.${masked & 255}/${length}`);
  }
  return all;
}

interface Line {
  /** `add NAME ELEMENT`. */
  key: string;
  from: number;
  /** Behind the line end. */
  to: number;
}

function lineOf(text: string, key: string, block: Block): Line | null {
  for (let at = text.indexOf(`\n${key}`, block.body - 1); at >= 0 && at < block.end; ) {
    const following = text[at + 1 + key.length];
    if (following === '\n' || following === ' ') {
      const end = text.indexOf('\n', at + 1);
      return { key, from: at + 1, to: end < 0 ? text.length : end + 1 };
    }
    at = text.indexOf(`\n${key}`, at + 1);
  }
  return null;
}

function merge(text: string, block: Block, lines: readonly Line[], after: string): string {
  const left = new Map<string, string>();
  for (const line of after.split('\n')) {
    if (line.startsWith('add ')) left.set(line.split(' ', 3).join(' '), `${line}\n`);
  }
  const parts: string[] = [];
  let at = 0;
  for (const { key, from, to } of [...lines].sort((a, b) => a.from - b.from)) {
    parts.push(text.slice(at, from), left.get(key) ?? '');
    left.delete(key);
    at = to;
  }
  parts.push(text.slice(at, block.end), ...left.values(), text.slice(block.end));
  return parts.join('');
}
