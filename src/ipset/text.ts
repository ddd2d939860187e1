import type { CreateOptions } from './entry.ts';
import { HashSet } from './hash-set.ts';
import type { SetKernel } from './kernel.ts';
import type { IpSet, SetFamily } from './set.ts';
import { parseElement } from './syntax/element.ts';
import type { SetNames } from './syntax/session.ts';
import { ReportType, Session } from './syntax/session.ts';
import { setTypeByName } from './syntax/set-types.ts';
import { errorText } from './tool/error-text.ts';
import { fastAddLine } from './tool/fast-line.ts';
import { listSet } from './tool/listing.ts';
import { readOptions } from './tool/read-options.ts';
import { splitLine } from './tool/words.ts';

/** A text of sets that cannot be read. */
export class SetTextError extends Error {
  /** From 1. */
  readonly line: number;
  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

/** What `ipset save` text does not say of the sets of a machine. */
export interface SetPlaces {
  /** Number of a set's place, where it is not that of its order in the text. */
  places?: Readonly<Record<string, number>>;
  /** Sets made with `forceadd`. */
  forceadd?: readonly string[];
  /**
   * Microseconds by which elements live longer than the whole seconds that the text gives (less, where negative), in the
   * order of the set's lines; sets without such a rest are left out.
   */
  fractions?: Readonly<Record<string, readonly number[]>>;
}

/** Reads `ipset save` text into a kernel. Throws SetTextError. */
export function loadSets(kernel: SetKernel, text: string, names: SetNames, beside: SetPlaces = {}): void {
  const session = new Session(names, () => undefined);
  let fast: IpSet | null = null;
  let line = 0;
  let order = 0;
  const fractions = new Fractions(beside);
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at);
    let to = end < 0 ? text.length : end;
    line++;
    if (fast !== null && text.charCodeAt(at) === 97) {
      const values = fastAddLine(text, at, to, fast.name);
      if (values !== null && (values.cidr === undefined || fast.typeName === 'hash:net')) {
        const error = fast.change('add', values, true);
        if (error !== 0) throw new SetTextError(line, errorText('add', error, fast.typeName));
        at = to + 1;
        continue;
      }
    }
    const first = line;
    // A comment may have line ends in it.
    for (; to < text.length && hasOpenQuote(text.slice(at, to)); line++) {
      const next = text.indexOf('\n', to + 1);
      to = next < 0 ? text.length : next;
    }
    const set = loadLine(kernel, session, text.slice(at, to), first, order, beside, fractions);
    if (set !== null) {
      if (set.created) order++;
      const isFast = set.set instanceof HashSet && set.set.family === 4 && !fractions.has(set.set.name);
      fast = isFast && (set.set.typeName === 'hash:ip' || set.set.typeName === 'hash:net') ? set.set : null;
    }
    at = to + 1;
  }
  for (const set of kernel.all()) if (set instanceof HashSet) set.table.loading = false;
}

/** What elements have beyond whole seconds, line by line. */
class Fractions {
  private readonly all: NonNullable<SetPlaces['fractions']>;
  private readonly next = new Map<string, number>();

  constructor(beside: SetPlaces) {
    this.all = beside.fractions ?? {};
  }

  has(set: string): boolean {
    return this.all[set] !== undefined;
  }

  /** Seconds beyond those of the set's next line. */
  take(set: string): number {
    const line = this.next.get(set) ?? 0;
    this.next.set(set, line + 1);
    return (this.all[set]?.[line] ?? 0) / 1e6;
  }
}

function hasOpenQuote(line: string): boolean {
  return line.includes('"') && line.split('"').length % 2 === 0;
}

function loadLine(
  kernel: SetKernel,
  session: Session,
  line: string,
  number: number,
  order: number,
  beside: SetPlaces,
  fractions: Fractions,
): { set: IpSet; created: boolean } | null {
  const trimmed = line.trim();
  if (trimmed === '' || trimmed.startsWith('#') || trimmed === 'COMMIT') return null;
  const words = splitLine(line);
  if (typeof words === 'string') throw new SetTextError(number, words);
  // The kernel takes an empty name.
  if (/^(create|add) "" /.test(trimmed)) words.splice(1, 0, '');
  // Scripts for `ipset restore` have these here and there.
  const [command, name, third, ...rest] = words.filter((word) => word !== '-exist' && word !== '-!');
  if ((command !== 'create' && command !== 'add') || name === undefined || third === undefined) {
    throw new SetTextError(number, `\`create SET TYPE\` or \`add SET ELEMENT\` expected: ${trimmed}`);
  }
  session.reset();
  session.clearReport();
  session.setName = name;
  const fail = (): never => {
    throw new SetTextError(number, session.report.trimEnd().replace(/^Syntax error: /, ''));
  };
  const check = (fault: ReturnType<typeof readOptions>): void => {
    if (fault === null) return;
    if (fault.kind === 'report') fail();
    else throw new SetTextError(number, fault.text);
  };
  if (command === 'create') {
    const type = setTypeByName(third);
    if (type === undefined) throw new SetTextError(number, `typename '${third}' is unknown`);
    const family: SetFamily = type.family === 'none' ? 0 : 4;
    session.family = family;
    session.familyIsDefault = type.family === 'both';
    session.type = type;
    check(readOptions(session, type.create, rest, true));
    check(readOptions(session, type.create, rest, false));
    const { createComment, comment: _element, ...values } = session.values;
    const options: CreateOptions = createComment ? { ...values, comment: true } : values;
    if (beside.forceadd?.includes(name)) options.forceadd = true;
    const place = beside.places?.[name] ?? order;
    const error = kernel.create(name, type.name, session.family ?? family, options, false, place);
    if (error !== 0) throw new SetTextError(number, errorText('create', error, type.name));
    const set = kernel.find(name)!;
    // A range can put in what could not be added alone (0.0.0.0).
    if (set instanceof HashSet) set.table.loading = true;
    return { set, created: true };
  }
  const set = kernel.find(name);
  if (set === undefined) throw new SetTextError(number, `there is no set ${name}`);
  const type = setTypeByName(set.typeName)!;
  session.type = type;
  session.family = set.family;
  if (parseElement(session, third) !== 0 || session.reportType === ReportType.error) fail();
  check(readOptions(session, type.add, rest, false));
  const { values } = session;
  if (values.timeout !== undefined && fractions.has(name)) values.timeout += fractions.take(name);
  const error = set.change('add', values, true);
  if (error !== 0) throw new SetTextError(number, errorText('add', error, set.typeName));
  return { set, created: false };
}

/** All sets as `ipset save` prints them; names with blanks are quoted, so that they can be read back. */
export function saveSets(kernel: SetKernel, names: SetNames): string {
  const parts: string[] = [];
  for (const set of kernel.all()) {
    const options = { mode: 'save', names, resolve: false, sorted: false, terse: false, members: true } as const;
    listSet(kernel, set, options, (text) => parts.push(text), true);
  }
  return parts.join('');
}

/** What has to be kept beside the text; null if nothing has. */
export function placesOf(kernel: SetKernel): SetPlaces | null {
  const places: Record<string, number> = {};
  const forceadd: string[] = [];
  const fractions: Record<string, number[]> = {};
  let moved = false;
  let order = 0;
  for (const set of kernel.all()) {
    const place = kernel.slotOf(set.name);
    places[set.name] = place;
    if (place !== order++) moved = true;
    if (set.header().forceadd) forceadd.push(set.name);
    if (set.extensions.timeout !== null) {
      const rests: number[] = [];
      set.forEach((entry) => {
        rests.push(entry.fraction ?? 0);
      });
      if (rests.some((rest) => rest !== 0)) fractions[set.name] = rests;
    }
  }
  const result: SetPlaces = {
    ...(moved ? { places } : {}),
    ...(forceadd.length > 0 ? { forceadd } : {}),
    ...(Object.keys(fractions).length > 0 ? { fractions } : {}),
  };
  return Object.keys(result).length > 0 ? result : null;
}

/** What rules have to know of a set. */
export interface SetHeaderLine {
  name: string;
  typeName: string;
  /** Parts of an element: the number of `src`/`dst` that a rule gives. */
  dimension: number;
  family: SetFamily;
}

/** The `create` lines of `ipset save` text; elements are not looked at. */
export function readSetHeaders(text: string): SetHeaderLine[] {
  const headers: SetHeaderLine[] = [];
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at);
    const to = end < 0 ? text.length : end;
    if (text.startsWith('create ', at)) {
      const [, name, typeName, ...rest] = text.slice(at, to).trim().split(/\s+/);
      const type = typeName === undefined ? undefined : setTypeByName(typeName);
      if (type !== undefined) {
        const six = rest.includes('-6') || /^(inet6|ipv6)$/.test(rest[rest.indexOf('family') + 1] ?? '');
        const family = type.family === 'none' ? 0 : six ? 6 : 4;
        headers.push({ name: name!, typeName: type.name, dimension: type.elements.length, family });
      }
    }
    at = to + 1;
  }
  return headers;
}

/** How many times rules (as iptables-save text) refer to each set. */
export function setReferences(rules: string, counts = new Map<string, number>()): Map<string, number> {
  for (const match of rules.matchAll(/ --(?:match-set|add-set|del-set|map-set) ("[^"]*"|\S+)/g)) {
    const name = match[1]!.replace(/^"|"$/g, '');
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}
