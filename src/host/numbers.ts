/** A number in C notation within bounds; -1 if it is none. */
export function parseNumber(word: string, min: number, max: number): number {
  if (!/^(0[xX][0-9a-fA-F]+|[0-9]+)$/.test(word)) return -1;
  const octal = /^0[0-7]+$/.test(word);
  const value = octal ? Number.parseInt(word, 8) : Number(word);
  return value >= min && value <= max ? value : -1;
}
