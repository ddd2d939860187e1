/** Whether a long option takes an argument, as in `struct option`. */
export type ArgumentNeed = 'none' | 'required' | 'optional';

/** A long option; `id` tells options apart (two names with one id are the same option). */
export interface LongOption<Id> {
  name: string;
  need: ArgumentNeed;
  id: Id;
}

/**
 * What one call of `next` found. `word` is `argv[optind - 1]`, which error texts quote; `problem` is what getopt itself would
 * say after the program's name.
 */
export type Found<Id> =
  | { kind: 'option'; id: Id; argument: string | null; word: string }
  | { kind: 'plain'; argument: string }
  | { kind: 'unknown'; word: string; problem: string }
  | { kind: 'missing-argument'; word: string; problem: string }
  | { kind: 'end' };

/** Several different options that an abbreviation fits. */
export interface Ambiguous {
  possibilities: readonly string[];
}

/** Where long options are looked up: an exact name first, then by abbreviation. */
export interface LongOptions<Id> {
  exact(name: string): LongOption<Id> | undefined;
  abbreviated(name: string): LongOption<Id> | Ambiguous | undefined;
}

/** Options from one list, in the order of the list. */
export function longOptions<Id>(list: readonly LongOption<Id>[]): LongOptions<Id> {
  const byName = new Map<string, LongOption<Id>>();
  for (const option of list) if (!byName.has(option.name)) byName.set(option.name, option);
  return {
    exact: (name) => byName.get(name),
    abbreviated: (name) => abbreviation(name, list),
  };
}

/** The one option that `name` is an abbreviation of; options count as the same if id and need agree (as glibc decides). */
export function abbreviation<Id>(
  name: string,
  options: readonly LongOption<Id>[],
): LongOption<Id> | Ambiguous | undefined {
  const fitting = options.filter((option) => option.name.startsWith(name));
  const [first] = fitting;
  if (fitting.some(({ id, need }) => id !== first?.id || need !== first?.need)) {
    return { possibilities: fitting.map((option) => option.name) };
  }
  return first;
}

/**
 * GNU `getopt_long` over an argument vector whose element 0 is the program name. `inOrder` is the `-` mode of the
 * option string (other words are reported where they stand); otherwise words are moved to the end and `rest` gives them.
 */
export class Getopt<Id> {
  /** Index of the next element to look at. */
  index = 1;
  private cluster = '';
  private readonly words: string[];
  private readonly shorts: ReadonlyMap<string, ArgumentNeed>;
  private readonly shortId: (letter: string) => Id;
  private readonly longs: LongOptions<Id>;
  private readonly inOrder: boolean;
  private readonly skipped: string[] = [];

  /** `shorts` is an option string of getopt without its leading `-` and `:`, e.g. `A:F::n`. */
  constructor(
    words: string[],
    shorts: ReadonlyMap<string, ArgumentNeed>,
    shortId: (letter: string) => Id,
    longs: LongOptions<Id>,
    inOrder: boolean,
  ) {
    this.words = words;
    this.shorts = shorts;
    this.shortId = shortId;
    this.longs = longs;
    this.inOrder = inOrder;
  }

  /** Words that are no options, once `next` has said `end`. */
  rest(): string[] {
    return [...this.skipped, ...this.words.slice(this.index)];
  }

  /** The next word, if there is one and it begins neither with `-` nor with `!` (`xs_has_arg`); it is taken. */
  takeWord(): string | null {
    const word = this.words[this.index];
    if (word === undefined || word.startsWith('-') || word.startsWith('!')) return null;
    this.index++;
    return word;
  }

  /** Goes back by one word, so that an option is read again after more options have become known. */
  again(): void {
    // What is left of a cluster of letters stays to be read first, as in glibc.
    this.index--;
  }

  next(): Found<Id> {
    if (this.cluster !== '') return this.short();
    for (;;) {
      const word = this.words[this.index];
      if (word === undefined) return { kind: 'end' };
      if (word === '--') {
        this.index++;
        return { kind: 'end' };
      }
      if (word.charCodeAt(0) === 45 && word.length > 1) {
        if (word.charCodeAt(1) === 45) return this.long(word);
        this.cluster = word.slice(1);
        return this.short();
      }
      this.index++;
      if (this.inOrder) return { kind: 'plain', argument: word };
      this.skipped.push(word);
    }
  }

  private long(word: string): Found<Id> {
    this.index++;
    const equals = word.indexOf('=', 2);
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    const option = this.longs.exact(name) ?? this.longs.abbreviated(name);
    if (option === undefined) return { kind: 'unknown', word, problem: `unrecognized option '${word}'` };
    if ('possibilities' in option) {
      const names = option.possibilities.map((each) => ` '--${each}'`).join('');
      return { kind: 'unknown', word, problem: `option '${word}' is ambiguous; possibilities:${names}` };
    }
    if (equals >= 0) {
      if (option.need === 'none') {
        return { kind: 'unknown', word, problem: `option '--${option.name}' doesn't allow an argument` };
      }
      return { kind: 'option', id: option.id, argument: word.slice(equals + 1), word };
    }
    if (option.need !== 'required') return { kind: 'option', id: option.id, argument: null, word };
    const argument = this.words[this.index];
    if (argument === undefined) {
      return { kind: 'missing-argument', word, problem: `option '--${option.name}' requires an argument` };
    }
    this.index++;
    return { kind: 'option', id: option.id, argument, word: argument };
  }

  private short(): Found<Id> {
    const letter = this.cluster.charAt(0);
    this.cluster = this.cluster.slice(1);
    const need = this.shorts.get(letter);
    if (this.cluster === '') this.index++;
    const before = (): string => this.words[this.index - 1] ?? '';
    if (need === undefined) return { kind: 'unknown', word: before(), problem: `invalid option -- '${letter}'` };
    const id = this.shortId(letter);
    if (need === 'none') return { kind: 'option', id, argument: null, word: before() };
    if (this.cluster !== '') {
      const argument = this.cluster;
      this.cluster = '';
      this.index++;
      return { kind: 'option', id, argument, word: before() };
    }
    if (need === 'optional') return { kind: 'option', id, argument: null, word: before() };
    const argument = this.words[this.index];
    if (argument === undefined) {
      return { kind: 'missing-argument', word: before(), problem: `option requires an argument -- '${letter}'` };
    }
    this.index++;
    return { kind: 'option', id, argument, word: argument };
  }
}

/** Reads getopt's option string (`A:F::n`) into a table. */
export function shortOptions(text: string): ReadonlyMap<string, ArgumentNeed> {
  const table = new Map<string, ArgumentNeed>();
  for (const [, letter, colons] of text.matchAll(/([^:])(:{0,2})/g)) {
    table.set(letter as string, colons === '' ? 'none' : colons === ':' ? 'required' : 'optional');
  }
  return table;
}
