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

  /** Replaces the parts of a rule by equal ones of earlier rules. */
  share(spec: RuleSpec): RuleSpec {
    if (spec.source !== null) spec.source = this.#sources.of(spec.source);
    if (spec.destination !== null) spec.destination = this.#destinations.of(spec.destination);
    spec.target = this.#targets.of(spec.target);
    for (let i = 0; i < spec.matches.length; i++) {
      const use = spec.matches[i]!;
      let recent = this.#uses.get(use.name);
      if (recent === undefined) {
        recent = new Recent();
        this.#uses.set(use.name, recent);
      }
      spec.matches[i] = recent.of(use);
    }
    return spec;
  }
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
