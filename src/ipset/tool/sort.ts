/** strtol() with base 16: the value and where the number ends; `end` is `at` if there is none. */
function hexNumber(text: string, at: number): { value: number; end: number } {
  let i = at;
  while (i < text.length && ' \t\n\v\f\r'.includes(text[i]!)) i++;
  let sign = 1;
  if (text[i] === '-' || text[i] === '+') sign = text[i++] === '-' ? -1 : 1;
  if (text[i] === '0' && (text[i + 1] === 'x' || text[i + 1] === 'X') && /[0-9a-fA-F]/.test(text[i + 2] ?? '')) i += 2;
  const start = i;
  while (i < text.length && /[0-9a-fA-F]/.test(text[i]!)) i++;
  if (i === start) return { value: 0, end: at };
  return { value: sign * Number.parseInt(text.slice(start, i), 16), end: i };
}

function wordLength(text: string, at: number): number {
  let i = at;
  while (i < text.length && text[i] !== ':' && text[i] !== ',') i++;
  return i - at;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Compares two printed elements as `-sorted` does: number by number in base 16, shorter prefixes last. */
export function compareElements(a: string, b: string): number {
  let i = 0;
  let j = 0;
  let sign = 1;
  while (i < a.length && j < b.length) {
    const x = hexNumber(a, i);
    const y = hexNumber(b, j);
    if (x.end === i || y.end === j) {
      const m = wordLength(a, i);
      const n = wordLength(b, j);
      if (m === 0 && n === 0) return compareText(a.slice(i), b.slice(j));
      if (m !== n) return m < n ? -1 : 1;
      const order = compareText(a.slice(i, i + m), b.slice(j, j + n));
      if (order !== 0) return order;
      i += m + 1;
      j += n + 1;
      sign = 1;
      continue;
    }
    if (x.value !== y.value) return sign * (x.value - y.value);
    const ends = [a[x.end], b[y.end]];
    if (ends.includes('/')) {
      if (ends[0] !== ends[1]) return ends[0] === '/' ? 1 : -1;
      sign = -1;
    }
    i = x.end + 1;
    j = y.end + 1;
    const colons = [a[i] === ':', b[j] === ':'];
    if (colons[0] !== colons[1]) return colons[0] ? -1 : 1;
    if (colons[0]) {
      i++;
      j++;
    }
  }
  return i < a.length ? 1 : j < b.length ? -1 : 0;
}
