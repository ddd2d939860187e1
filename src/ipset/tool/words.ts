const MAX_WORDS = 30;

/**
 * Takes a line of restore apart like the real tool: blanks separate, double quotes group (and vanish). A text is the
 * reason why it cannot be.
 */
export function splitLine(line: string): string[] | string {
  const words: string[] = [];
  let word = '';
  let quoted = false;
  for (let i = 0; i < line.length; i++) {
    if (words.length >= MAX_WORDS) return 'Line is too long to parse.';
    const c = line[i]!;
    const last = i === line.length - 1;
    if (c === '"') {
      quoted = !quoted;
      if (!last) continue;
    } else if (c === ' ' || c === '\r' || c === '\n' || c === '\t') {
      if (quoted) {
        word += c;
        if (!last) continue;
        // The real tool does not notice a quote that ends in a blank.
        return words;
      }
    } else {
      word += c;
      if (!last) continue;
    }
    if (last && quoted) return 'Missing close quote!';
    if (word === '') continue;
    words.push(word);
    word = '';
  }
  return words;
}

/** Lines are read in pieces of this length, like fgets() into the tool's buffer. */
const MAX_LINE = 1023;

/** Where the lines of a text begin and end (behind the line end), as the tool reads them. */
export function* pieces(text: string): Generator<readonly [from: number, next: number]> {
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at);
    const next = Math.min(end < 0 ? text.length : end + 1, at + MAX_LINE);
    yield [at, next];
    at = next;
  }
}
