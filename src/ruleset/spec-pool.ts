import type { AddressMatch, MatchUse, RuleSpec, TargetUse } from './rule.ts';

/** How many different values of a kind are looked through: neighbouring rules are alike, distant ones are not worth the search. */
const REMEMBERED = 4;

/**
 * Lets the rules of a large set share the parts in which they are alike (`-m conntrack --ctstate NEW`, `-s 10.0.0.0/8`, `-j ACCEPT`), so that
 * a hundred thousand of them do not need a million objects. Parts of rules are plain data that nobody writes into once they are read.
 */
export class SpecPool {
  readonly #uses = new Map<string, Recent<MatchUse>>();
  readonly #sources = new Recent<AddressMatch>();
  readonly #destinations = new Recent<AddressMatch>();
  readonly #targets = new Recent<TargetUse>();
  /** Ranges of ports, which nearly all rules have, by `low << 16 | high`. */
  readonly #ranges = new Map<number, unknown>();

  /** Replaces the parts of a rule by equal ones of earlier rules. */
  share(spec: RuleSpec): RuleSpec {
    if (spec.source !== null) spec.source = this.#sources.of(spec.source);
    if (spec.destination !== null) spec.destination = this.#destinations.of(spec.destination);
    spec.target = this.#targets.of(spec.target);
    if (spec.target.kind === 'extension') this.#shareRanges(spec.target.data);
    for (let i = 0; i < spec.matches.length; i++) {
      const use = spec.matches[i]!;
      let recent = this.#uses.get(use.name);
      if (recent === undefined) {
        recent = new Recent();
        this.#uses.set(use.name, recent);
      }
      const shared = recent.of(use);
      if (shared === use) this.#shareRanges(use.data);
      spec.matches[i] = shared;
    }
    return spec;
  }

  #shareRanges(data: unknown): void {
    if (typeof data !== 'object' || data === null || Object.getPrototypeOf(data) !== Object.prototype) return;
    const fields = data as Record<string, unknown>;
    for (const name in fields) {
      const value = fields[name];
      if (!Array.isArray(value) || value.length !== 2 || !isPort(value[0]) || !isPort(value[1])) continue;
      const key = value[0] * 0x10000 + value[1];
      const known = this.#ranges.get(key);
      if (known === undefined) this.#ranges.set(key, value);
      else fields[name] = known;
    }
  }
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff;
}

/** The last values that differ from each other. */
class Recent<T extends object> {
  readonly #values: T[] = [];
  #oldest = 0;

  /** An equal one of them, or the value itself, which then is the newest. */
  of(value: T): T {
    for (const known of this.#values) if (isEqual(known, value)) return known;
    if (this.#values.length < REMEMBERED) this.#values.push(value);
    else {
      this.#values[this.#oldest] = value;
      this.#oldest = (this.#oldest + 1) % REMEMBERED;
    }
    return value;
  }
}

/** Equality of plain data. Anything else (maps, typed arrays, functions) is equal only to itself. */
function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!isEqual(a[i], b[i])) return false;
    return true;
  }
  if (Object.getPrototypeOf(a) !== Object.prototype || Object.getPrototypeOf(b) !== Object.prototype) return false;
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  let properties = 0;
  for (const key in left) {
    if (!(key in right) || !isEqual(left[key], right[key])) return false;
    properties++;
  }
  for (const _ in right) properties--;
  return properties === 0;
}
