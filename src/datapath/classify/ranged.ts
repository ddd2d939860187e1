import { type Filing, SlotLists } from './lists.ts';

export type Range = readonly [number, number];

/** From this many classes on a table of all values stands before them instead of a binary search. */
const DENSE_FROM = 256;

/**
 * A field of which rules ask for ranges (ports, protocol). The ends of all ranges cut the values into classes within which all rules
 * agree; each class has the list of its rules.
 */
export class RangedFiling implements Filing {
  readonly #values: number;
  readonly #ranges: (readonly Range[] | null)[];
  #cuts: Int32Array | null = null;
  /** Up to each cut, rules times values. */
  #weights = new Float64Array(0);
  /** Widest rule, in classes, that is filed: what is wider would stand in too many lists. */
  #widest = 0;

  /** @param values how many values the field has */
  constructor(rules: number, values: number) {
    this.#values = values;
    this.#ranges = new Array<readonly Range[] | null>(rules).fill(null);
  }

  add(rule: number, ranges: readonly Range[]): void {
    this.#ranges[rule] ??= ranges;
    this.#cuts = null;
  }

  crowd(rule: number): number {
    const ranges = this.#ranges[rule]!;
    if (ranges === null) return Number.POSITIVE_INFINITY;
    this.#cuts ??= this.#weigh();
    let weight = 0;
    let width = 0;
    let classes = 0;
    for (const [low, high] of ranges) {
      if (low > high) continue;
      const from = indexOf(this.#cuts, low);
      const to = indexOf(this.#cuts, high + 1);
      weight += this.#weights[to]! - this.#weights[from]!;
      width += high + 1 - low;
      classes += to - from;
    }
    if (classes > this.#widest) return Number.POSITIVE_INFINITY;
    return width === 0 ? 0 : weight / width;
  }

  #weigh(): Int32Array {
    const all: Range[] = [];
    for (const ranges of this.#ranges) if (ranges !== null) all.push(...ranges);
    const cuts = cutsOf(all, this.#values);
    const cover = new Float64Array(cuts.length + 1);
    for (const [low, high] of all) {
      if (low > high) continue;
      cover[indexOf(cuts, low)]! += 1;
      cover[indexOf(cuts, high + 1)]! -= 1;
    }
    this.#weights = new Float64Array(cuts.length);
    let rules = 0;
    for (let i = 0; i + 1 < cuts.length; i++) {
      rules += cover[i]!;
      this.#weights[i + 1] = this.#weights[i]! + rules * (cuts[i + 1]! - cuts[i]!);
    }
    this.#widest = this.#widestFor(cuts);
    return cuts;
  }

  /** Keeps all lists together at some entries a rule. */
  #widestFor(cuts: Int32Array): number {
    const widths: number[] = [];
    for (const ranges of this.#ranges) if (ranges !== null) widths.push(classesOf(ranges, cuts));
    const most = widths.length * 16 + 4096;
    let widest = widths.reduce((a, b) => Math.max(a, b), 0);
    while (widths.reduce((sum, width) => sum + (width <= widest ? width : 0), 0) > most) widest >>>= 1;
    return widest;
  }

  /** The lists of these rules, in ascending order. */
  file(rules: readonly number[], first: number): RangedLists {
    const cuts = cutsOf(
      rules.flatMap((rule) => this.#ranges[rule]!),
      this.#values,
    );
    const listOf: number[] = [];
    const slots: number[] = [];
    for (const rule of rules) {
      const classes = new Set<number>();
      for (const [low, high] of this.#ranges[rule]!) {
        const to = low > high ? -1 : indexOf(cuts, high + 1);
        for (let i = indexOf(cuts, low); i < to; i++) classes.add(i);
      }
      for (const each of classes) {
        listOf.push(each);
        slots.push(first + rule);
      }
    }
    return new RangedLists(cuts, this.#values, new SlotLists(cuts.length, listOf, slots));
  }
}

function classesOf(ranges: readonly Range[], cuts: Int32Array): number {
  return ranges.reduce((sum, [low, high]) => sum + (low > high ? 0 : indexOf(cuts, high + 1) - indexOf(cuts, low)), 0);
}

/** Where classes begin, ascending, with 0 and the number of values. */
function cutsOf(ranges: readonly Range[], values: number): Int32Array {
  const all = new Int32Array(ranges.length * 2 + 2);
  let count = 0;
  for (const [low, high] of ranges) {
    if (low > high) continue;
    all[count++] = low;
    all[count++] = high + 1;
  }
  all[count++] = 0;
  all[count++] = values;
  const sorted = all.subarray(0, count).sort();
  let unique = 0;
  for (let i = 0; i < count; i++) if (i === 0 || sorted[i] !== sorted[i - 1]) sorted[unique++] = sorted[i]!;
  return sorted.slice(0, unique);
}

/** Index of the last cut that is not above the value. */
function indexOf(cuts: Int32Array, value: number): number {
  let low = 0;
  let high = cuts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (cuts[middle]! <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Rules filed under a ranged field. */
export class RangedLists {
  readonly lists: SlotLists;
  readonly #cuts: Int32Array;
  readonly #dense: Int32Array | null;

  constructor(cuts: Int32Array, values: number, lists: SlotLists) {
    this.lists = lists;
    this.#cuts = cuts;
    this.#dense = null;
    if (cuts.length >= DENSE_FROM) {
      this.#dense = new Int32Array(values);
      for (let i = 0; i + 1 < cuts.length; i++) this.#dense.fill(i, cuts[i]!, cuts[i + 1]!);
    }
  }

  find(value: number): number {
    return this.#dense !== null ? this.#dense[value]! : indexOf(this.#cuts, value);
  }
}
