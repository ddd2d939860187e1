/** Rules sorted by the value of one field, before it is decided which of them are filed there. */
export interface Filing {
  /** About how many rules a packet that gets to this rule's list finds there; infinite if the rule cannot be filed under the field. */
  crowd(rule: number): number;
}

/** Lists of slots, one after the other in one array; each is ascending. */
export class SlotLists {
  /** List `n` is `slots[starts[n]..starts[n + 1])`. */
  readonly starts: Int32Array;
  readonly slots: Int32Array;

  /**
   * @param listOf for each entry the list it goes to
   * @param slots for each entry its slot, ascending
   */
  constructor(lists: number, listOf: ArrayLike<number>, slots: ArrayLike<number>) {
    const starts = new Int32Array(lists + 1);
    for (let i = 0; i < listOf.length; i++) starts[listOf[i]! + 1]!++;
    for (let i = 0; i < lists; i++) starts[i + 1]! += starts[i]!;
    const next = starts.slice();
    this.starts = starts;
    this.slots = new Int32Array(listOf.length);
    for (let i = 0; i < listOf.length; i++) this.slots[next[listOf[i]!]!++] = slots[i]!;
  }
}

/** Lists found by a 32-bit key: open addressing in two flat arrays. */
export class KeyLists extends SlotLists {
  readonly #keys: Int32Array;
  /** List + 1; 0: free. */
  readonly #lists: Int32Array;
  readonly #shift: number;

  constructor(keys: readonly number[], slots: readonly number[]) {
    const numbers = new Map<number, number>();
    const listOf = new Int32Array(keys.length);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      let list = numbers.get(key);
      if (list === undefined) {
        list = numbers.size;
        numbers.set(key, list);
      }
      listOf[i] = list;
    }
    super(numbers.size, listOf, slots);
    let bits = 3;
    while (1 << bits < numbers.size * 2) bits++;
    this.#shift = 32 - bits;
    this.#keys = new Int32Array(1 << bits);
    this.#lists = new Int32Array(1 << bits);
    for (const [key, list] of numbers) {
      let at = place(key, this.#shift);
      while (this.#lists[at] !== 0) at = (at + 1) & (this.#lists.length - 1);
      this.#keys[at] = key;
      this.#lists[at] = list + 1;
    }
  }

  /** Below 0 if there is no list for the key. */
  find(key: number): number {
    const lists = this.#lists;
    let at = place(key, this.#shift);
    for (;;) {
      const list = lists[at]!;
      if (list === 0 || this.#keys[at] === key) return list - 1;
      at = (at + 1) & (lists.length - 1);
    }
  }
}

function place(key: number, shift: number): number {
  return Math.imul(key, 0x9e3779b1) >>> shift;
}
