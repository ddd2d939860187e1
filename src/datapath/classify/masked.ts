import { type Filing, KeyLists } from './lists.ts';

/** Masks that one field may have; rules with further ones are not filed under it. */
const MOST_MASKS = 64;

/**
 * A field of which rules ask some bits: an address under a prefix, a mark under a mask. For each mask in use a packet's value is looked up once.
 * Keys are 32-bit mixtures of mask and masked words: two that collide share a list, which costs a test more and nothing else.
 */
export class MaskedFiling implements Filing {
  readonly #width: number;
  readonly #masks: number[][] = [];
  /** By rule: number of its mask + 1; 0 if it does not test the field. */
  readonly #maskOf: Uint8Array;
  readonly #keys: Int32Array;
  readonly #counts = new KeyCounts();

  /** @param width how many words a value has */
  constructor(rules: number, width: number) {
    this.#width = width;
    this.#maskOf = new Uint8Array(rules);
    this.#keys = new Int32Array(rules);
  }

  add(rule: number, value: ArrayLike<number>, mask: ArrayLike<number>): void {
    if (this.#maskOf[rule] !== 0) return;
    const number = this.#maskNumber(mask);
    if (number < 0) return;
    const key = mixed(value, 0, mask, this.#width, number);
    this.#maskOf[rule] = number + 1;
    this.#keys[rule] = key;
    this.#counts.add(key);
  }

  #maskNumber(mask: ArrayLike<number>): number {
    const width = this.#width;
    const masks = this.#masks;
    for (let number = 0; number < masks.length; number++) {
      const known = masks[number]!;
      let i = 0;
      while (i < width && known[i] === mask[i]) i++;
      if (i === width) return number;
    }
    if (masks.length === MOST_MASKS) return -1;
    masks.push(Array.from(mask).slice(0, width));
    return masks.length - 1;
  }

  crowd(rule: number): number {
    return this.#maskOf[rule] === 0 ? Number.POSITIVE_INFINITY : this.#counts.of(this.#keys[rule]!);
  }

  /** The lists of these rules, in ascending order. */
  file(rules: readonly number[], first: number): MaskedLists {
    const used = new Set<number>();
    for (const rule of rules) used.add(this.#maskOf[rule]! - 1);
    const numbers = [...used].sort((a, b) => a - b);
    const masks = new Uint32Array(numbers.length * this.#width);
    numbers.forEach((number, at) => {
      masks.set(this.#masks[number]!, at * this.#width);
    });
    const lists = new KeyLists(
      rules.map((rule) => this.#keys[rule]!),
      rules.map((rule) => rule + first),
    );
    return new MaskedLists(masks, Int32Array.from(numbers), this.#width, lists);
  }
}

/** How often each key was added. */
class KeyCounts {
  readonly #counts = new Map<number, number>();

  add(key: number): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  of(key: number): number {
    return this.#counts.get(key) ?? 0;
  }
}

/** Rules filed under a masked field. */
export class MaskedLists {
  readonly masks: Uint32Array;
  readonly numbers: Int32Array;
  readonly width: number;
  readonly lists: KeyLists;

  constructor(masks: Uint32Array, numbers: Int32Array, width: number, lists: KeyLists) {
    this.masks = masks;
    this.numbers = numbers;
    this.width = width;
    this.lists = lists;
  }

  /** Number of the list of the packet's value under the mask at `at`; below 0 if there is none. */
  find(value: ArrayLike<number>, at: number): number {
    if (this.width === 1) {
      return this.lists.find(spread((value[0]! & this.masks[at]!) | 0, this.numbers[at]!));
    }
    let key = this.numbers[at]!;
    const from = at * this.width;
    for (let i = 0; i < this.width; i++) key = spread((value[i]! & this.masks[from + i]!) | 0, key);
    return this.lists.find(key);
  }
}

function mixed(value: ArrayLike<number>, from: number, mask: ArrayLike<number>, width: number, number: number): number {
  let key = number;
  for (let i = 0; i < width; i++) key = spread((value[from + i]! & mask[i]!) | 0, key);
  return key;
}

/** A step of a multiplicative hash; one-to-one for a given seed. */
function spread(word: number, seed: number): number {
  let h = Math.imul(word ^ Math.imul(seed + 1, 0x85ebca6b), 0x9e3779b1);
  h ^= h >>> 15;
  return h | 0;
}
