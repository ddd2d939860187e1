/** Reads a file of a collected directory by its name; null if there is none. */
export type ReadCollected = (name: string) => string | null;

/** Something that iptsim does not take over as it is on the machine. */
export interface Note {
  /** File of the collected directory. */
  file: string;
  /** Line or entry of it, such as `entry 12 (10.40.0.0/16)`; null where all of it is meant. */
  entry: string | null;
  text: string;
}

/** A collected directory that cannot be read; the message is one line. */
export class CollectedError extends Error {
  constructor(file: string, message: string) {
    super(`${file}: ${message}`);
    this.name = 'CollectedError';
  }
}

export type Fields = Readonly<Record<string, unknown>>;

/** An entry of what `ip -j` or `bridge -j` printed, and how notes call it. */
export interface Entry {
  fields: Fields;
  file: string;
  /** From 1. */
  number: number;
}

/** Reads the files of one directory and takes notes. */
export class Collection {
  readonly notes: Note[] = [];
  readonly #read: ReadCollected;

  constructor(read: ReadCollected) {
    this.#read = read;
  }

  text(name: string): string | null {
    return this.#read(name);
  }

  /** The entries of a file of JSON; null if there is no such file. Throws CollectedError. */
  entries(name: string): Entry[] | null {
    const text = this.#read(name);
    if (text === null) return null;
    if (text.trim() === '') return [];
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new CollectedError(
        name,
        `not JSON, as ${name.startsWith('bridge') ? 'bridge' : 'ip'} -j prints it: ${(error as Error).message}`,
      );
    }
    if (!Array.isArray(value)) throw new CollectedError(name, 'a list is needed, as ip -j prints it');
    // `ip -j` gives empty objects for what a filter left out.
    return value.flatMap((fields: unknown, index) =>
      isFields(fields) && Object.keys(fields).length > 0 ? [{ fields, file: name, number: index + 1 }] : [],
    );
  }

  /** The same of a file without which nothing can be said of the machine. */
  needed(name: string): Entry[] {
    const entries = this.entries(name);
    if (entries === null) {
      throw new CollectedError(name, 'no such file in the directory; adapters/collect/iptsim-collect.sh makes it');
    }
    return entries;
  }

  note({ file, number }: Entry, subject: string, text: string): void {
    this.notes.push({ file, entry: `entry ${number} (${subject})`, text });
  }

  noteFile(file: string, text: string, entry: string | null = null): void {
    this.notes.push({ file, entry, text });
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A text or number as text; null if the field is missing or of another kind. */
export function word(fields: Fields, name: string): string | null {
  const value = fields[name];
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
}

export function words(fields: Fields, name: string): string[] {
  const value = fields[name];
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

export function fieldsOf(fields: Fields, name: string): Fields {
  const value = fields[name];
  return isFields(value) ? value : {};
}

export function listOf(fields: Fields, name: string): Fields[] {
  const value = fields[name];
  return Array.isArray(value) ? value.filter(isFields) : [];
}

/** Numbers by name, from a file of iproute2 (`254 main`). */
export function namesOf(text: string | null): Map<string, string> {
  const names = new Map<string, string>();
  for (const line of (text ?? '').split('\n')) {
    const match = /^\s*(0x[0-9a-fA-F]+|\d+)\s+(\S+)/.exec(line);
    if (match !== null) names.set(match[2]!, String(Number(match[1])));
  }
  return names;
}

/** `note` as one line. */
export function noteText({ file, entry, text }: Note): string {
  return `${file}${entry === null ? '' : `, ${entry}`}: ${text}`;
}
