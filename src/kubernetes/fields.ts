import { parsePrefix } from '../host/route-text.ts';
import { formatAddress, parseAddress } from '../packet/address-text.ts';
import type { Address, Cidr } from './model.ts';

/** A manifest that cannot be read; the message is one line: file, line, object, field, what is wrong. */
export class ManifestError extends Error {}

/** Names of objects and ports (RFC 1123). */
export const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

type Path = readonly (string | number)[];

/** Tells where in its file a field stands, and what is wrong with it. */
export type Fail = (path: Path, message: string) => ManifestError;

/** A mapping of a manifest. What is asked of it has the right kind; a missing field is null or empty. Throws ManifestError. */
export class Fields {
  readonly path: Path;
  readonly #value: Readonly<Record<string, unknown>>;
  readonly #fail: Fail;

  constructor(value: unknown, path: Path, fail: Fail) {
    if (value !== undefined && value !== null && (typeof value !== 'object' || Array.isArray(value))) {
      throw fail(path, 'a mapping is needed');
    }
    this.#value = (value ?? {}) as Readonly<Record<string, unknown>>;
    this.path = path;
    this.#fail = fail;
  }

  error(key: string | null, message: string): ManifestError {
    return this.#fail(key === null ? this.path : [...this.path, key], message);
  }

  has(key: string): boolean {
    return this.#value[key] != null;
  }

  map(key: string): Fields {
    return new Fields(this.#value[key], [...this.path, key], this.#fail);
  }

  list(key: string): Fields[] {
    return this.entries(key).map((entry, index) => new Fields(entry, [...this.path, key, index], this.#fail));
  }

  text(key: string): string | null {
    const value = this.#value[key] ?? null;
    if (value !== null && typeof value !== 'string') throw this.error(key, 'a text is needed');
    return value;
  }

  texts(key: string): string[] {
    return this.entries(key).map((entry, index) => {
      if (typeof entry !== 'string') throw this.#fail([...this.path, key, index], 'a text is needed');
      return entry;
    });
  }

  /** A mapping of texts, such as labels. */
  textMap(key: string): Map<string, string> {
    const { path } = this.map(key);
    const texts = new Map<string, string>();
    for (const [name, text] of Object.entries((this.#value[key] ?? {}) as Record<string, unknown>)) {
      if (typeof text !== 'string') throw this.#fail([...path, name], 'a text is needed');
      texts.set(name, text);
    }
    return texts;
  }

  /** A text or a whole number, as `port` of a policy is. */
  textOrNumber(key: string): string | number | null {
    const value = this.#value[key] ?? null;
    if (value !== null && typeof value !== 'string' && !Number.isInteger(value)) {
      throw this.error(key, 'a number or a name is needed');
    }
    return value as string | number | null;
  }

  flag(key: string): boolean | null {
    const value = this.#value[key] ?? null;
    if (value !== null && typeof value !== 'boolean') throw this.error(key, 'true or false is needed');
    return value;
  }

  integer(key: string, min: number, max: number): number | null {
    const value = this.#value[key] ?? null;
    if (value === null) return null;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      throw this.error(key, `${JSON.stringify(value)}: a number from ${min} to ${max} is needed`);
    }
    return value;
  }

  word<T extends string>(key: string, words: readonly T[]): T | null {
    const value = this.text(key);
    if (value === null) return null;
    const known = words.find((word) => word === value);
    if (known === undefined) throw this.error(key, `"${value}" is none of ${words.join(', ')}`);
    return known;
  }

  /** A name of an object or a port (RFC 1123). */
  name(key: string): string {
    const value = this.text(key);
    if (value === null || !NAME.test(value)) {
      throw this.error(
        key,
        `${value === null ? 'a name is missing' : `"${value}" is no name`}: lower case, digits, - and .`,
      );
    }
    return value;
  }

  address(key: string): Address {
    const value = this.text(key) ?? '';
    return readAddress(value) ?? this.#throw([key], `"${value}" is no IP address`);
  }

  addresses(key: string): Address[] {
    return this.texts(key).map(
      (text, index) => readAddress(text) ?? this.#throw([key, index], `"${text}" is no IP address`),
    );
  }

  cidr(key: string): Cidr {
    const value = this.text(key) ?? '';
    return readCidr(value) ?? this.#throw([key], `"${value}" is no CIDR such as 10.244.0.0/16`);
  }

  cidrs(key: string): Cidr[] {
    return this.texts(key).map(
      (text, index) => readCidr(text) ?? this.#throw([key, index], `"${text}" is no CIDR such as 10.244.0.0/16`),
    );
  }

  /** The entries of a list, as they stand. */
  entries(key: string): unknown[] {
    const value = this.#value[key] ?? [];
    if (!Array.isArray(value)) throw this.error(key, 'a list is needed');
    return value;
  }

  #throw(path: Path, message: string): never {
    throw this.#fail([...this.path, ...path], message);
  }
}

/** Null if it is none. */
export function readAddress(text: string): Address | null {
  const found = parseAddress(text);
  return found && { ...found, text: formatAddress(found.family, found.words) };
}

/** `10.244.0.0/16`, blanks around it allowed as the API allows them; null if it is none. */
export function readCidr(text: string): Cidr | null {
  const trimmed = text.trim();
  const found = /^[^/]*[.:][^/]*\/\d+$/.test(trimmed) ? parsePrefix(trimmed) : null;
  if (found === null || found.family === 0) return null;
  const { family, words, length } = found;
  return { family, words, length, text: `${formatAddress(family, words)}/${length}` };
}
