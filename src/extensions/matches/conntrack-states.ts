import { UsageError } from '../contract.ts';

/** Bits of `--ctstate` (XT_CONNTRACK_STATE_*; BIT(ctinfo) is 1 << (ctinfo + 1)). */
export const StateBit = {
  invalid: 1 << 0,
  established: 1 << 1,
  related: 1 << 2,
  new: 1 << 3,
  sourceNat: 1 << 6,
  destinationNat: 1 << 7,
  untracked: 1 << 8,
} as const;

const WORDS: readonly [string, number][] = [
  ['INVALID', StateBit.invalid],
  ['NEW', StateBit.new],
  ['ESTABLISHED', StateBit.established],
  ['RELATED', StateBit.related],
  ['UNTRACKED', StateBit.untracked],
];
const NAT_WORDS: readonly [string, number][] = [
  ['SNAT', StateBit.sourceNat],
  ['DNAT', StateBit.destinationNat],
];
/** All that `--ctstate` takes. */
export const CTSTATE_WORDS: readonly [string, number][] = [...WORDS, ...NAT_WORDS];
/** All that `--state` takes. */
export const STATE_WORDS = WORDS;

const PRINTED: readonly [string, number][] = [
  ['INVALID', StateBit.invalid],
  ['NEW', StateBit.new],
  ['RELATED', StateBit.related],
  ['ESTABLISHED', StateBit.established],
  ['UNTRACKED', StateBit.untracked],
  ...NAT_WORDS,
];

/**
 * A comma-separated list of words, each abbreviated at will (the first that fits counts). `bad` words the error from
 * the rest of the text at which reading stopped.
 */
export function parseWords(text: string, words: readonly [string, number][], bad: (rest: string) => string): number {
  let mask = 0;
  let rest = text;
  for (;;) {
    const comma = rest.indexOf(',');
    const word = (comma < 0 ? rest : rest.slice(0, comma)).toUpperCase();
    const found = word === '' ? undefined : words.find(([name]) => name.startsWith(word));
    if (found === undefined) throw new UsageError(bad(rest));
    mask |= found[1];
    if (comma < 0) return mask;
    rest = rest.slice(comma + 1);
  }
}

/** ` INVALID,NEW`, in the order of the real tool; '' for none. */
export function statesText(mask: number): string {
  const names = PRINTED.filter(([, bit]) => mask & bit).map(([name]) => name);
  return names.length > 0 ? ` ${names.join(',')}` : '';
}
