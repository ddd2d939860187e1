/** Colours by meaning; each function only adds escape sequences. */
export interface Palette {
  bold(text: string): string;
  dim(text: string): string;
  hook(text: string): string;
  table(text: string): string;
  match(text: string): string;
  miss(text: string): string;
  change(text: string): string;
  state(text: string): string;
  good(text: string): string;
  bad(text: string): string;
}

const same = (text: string): string => text;

export const PLAIN: Palette = {
  bold: same,
  dim: same,
  hook: same,
  table: same,
  match: same,
  miss: same,
  change: same,
  state: same,
  good: same,
  bad: same,
};

/** Columns that a text takes; escape sequences take none. */
function columns(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character begins a colour
  return text.replace(/\x1b\[[0-9;]*m/g, '').length;
}

/**
 * Breaks a text at blanks so that no line is longer than `width`, where words allow.
 *
 * @param indent blanks before the first line
 * @param hang further blanks before all other lines
 */
export function wrap(text: string, width: number, indent: number, hang: number): string[] {
  const lines: string[] = [];
  let line = ' '.repeat(indent);
  let empty = true;
  for (const word of text.split(' ')) {
    if (!empty && columns(line) + 1 + columns(word) > width) {
      lines.push(line);
      line = ' '.repeat(indent + hang);
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  lines.push(line);
  return lines.map((full) => full.trimEnd());
}
