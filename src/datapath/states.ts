/**
 * State of rules that outlives a packet: of one rule, or shared by name. What a state is, its extension knows; kept are plain
 * JSON-able data, and Maps and Sets of them.
 */
export class NamedStates {
  readonly #rules = new Map<string, unknown>();
  readonly #named = new Map<string, Map<string, unknown>>();

  /** State of a rule, by `"FAMILY TABLE CHAIN RULE SLOT"`; `make` gives it the first time. */
  rule<T>(key: string, make: () => T): T {
    if (!this.#rules.has(key)) this.#rules.set(key, make());
    return this.#rules.get(key) as T;
  }

  /** State shared by name; `make` gives it the first time. */
  named<T>(kind: string, name: string, make: () => T): T {
    let states = this.#named.get(kind);
    if (states === undefined) {
      states = new Map();
      this.#named.set(kind, states);
    }
    if (!states.has(name)) states.set(name, make());
    return states.get(name) as T;
  }

  saveRules(): Record<string, unknown> {
    return Object.fromEntries([...this.#rules].map(([key, state]) => [key, toPlain(state)]));
  }

  saveNamed(): Record<string, Record<string, unknown>> {
    const saved: Record<string, Record<string, unknown>> = {};
    for (const [kind, states] of this.#named) {
      saved[kind] = Object.fromEntries([...states].map(([name, state]) => [name, toPlain(state)]));
    }
    return saved;
  }

  load(rules: Record<string, unknown>, named: Record<string, Record<string, unknown>>): void {
    for (const [key, state] of Object.entries(rules)) this.#rules.set(key, fromPlain(state));
    for (const [kind, states] of Object.entries(named)) {
      this.#named.set(kind, new Map(Object.entries(states).map(([name, state]) => [name, fromPlain(state)])));
    }
  }
}

/** JSON has no Map, Set, bigint, typed array, undefined member: each is written as `{ "$TYPE": ... }`. */
function toPlain(value: unknown): unknown {
  if (typeof value === 'bigint') return { $bigint: value.toString() };
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Map) return { $map: [...value].map(([key, item]) => [toPlain(key), toPlain(item)]) };
  if (value instanceof Set) return { $set: [...value].map(toPlain) };
  for (const [name, type] of Object.entries(TYPED)) {
    if (value instanceof type) return { [`$${name}`]: [...value] };
  }
  if (Array.isArray(value)) return value.map(toPlain);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toPlain(item)]));
}

const TYPED = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, int32: Int32Array, float64: Float64Array };

function fromPlain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(fromPlain);
  const entries = Object.entries(value);
  const [only] = entries;
  if (entries.length === 1 && only !== undefined && only[0].startsWith('$')) {
    const [kind, content] = only;
    if (kind === '$bigint') return BigInt(String(content));
    if (kind === '$map') {
      return new Map((content as [unknown, unknown][]).map(([key, item]) => [fromPlain(key), fromPlain(item)]));
    }
    if (kind === '$set') return new Set((content as unknown[]).map(fromPlain));
    const type = TYPED[kind.slice(1) as keyof typeof TYPED];
    if (type !== undefined) return type.from(content as number[]);
  }
  return Object.fromEntries(entries.map(([key, item]) => [key, fromPlain(item)]));
}
