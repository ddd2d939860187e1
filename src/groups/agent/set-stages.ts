import { isOwnSet, isTrackingSet, spareSet } from './own.ts';
import { covers, forMember, type Permit } from './permits.ts';
import { type Element, holds, placeKey, readSets, type SetState } from './set-text.ts';
import { STAGES, type Stage } from './stages.ts';

/** A set of the host that stands where one of the agent's has to be; `message` names it. */
export class ForeignSetError extends Error {}

/** What the sets of a host are to be like. */
export interface SetGoal {
  /** `ipset save` text. */
  present: string;
  /** Sets that stay, and those that rules need until the stage `clean`, as `ipset restore` text. */
  goal: string;
  leaving: string;
  /** Sets that present rules name, and those that rules of others name. */
  used: ReadonlySet<string>;
  usedByOthers: ReadonlySet<string>;
  /** The chains with rules of machines, old and new: each a list of what it lets through. */
  oldChains: readonly (readonly Permit[])[];
  newChains: readonly (readonly Permit[])[];
}

/** Lines of `ipset restore` for each stage. */
export type SetStages = Record<Stage, string[]> & {
  /** Sets that must stay because others use them. */
  kept: string[];
};

/** The fewest commands that bring the sets of a host to their goal. Throws ForeignSetError. */
export function planSets(goal: SetGoal): SetStages {
  const present = readSets(goal.present);
  const lasting = readSets(goal.goal);
  const wanted = new Map([...readSets(goal.leaving), ...lasting]);
  const stages: SetStages = { close: [], open: [], clean: [], kept: [] };
  for (const family of [4, 6] as const) {
    // Left behind by an agent that was killed.
    if (present.delete(spareSet(family))) stages.close.push(`destroy ${spareSet(family)}`);
  }
  const moves = new Moves(goal, present, wanted);
  const usedLines = (): UsedLines => ({ first: [], comes: [], goes: [], last: [] });
  const lines = { close: usedLines(), open: usedLines(), clean: usedLines() };
  for (const set of wanted.values()) {
    const old = present.get(set.name);
    if (old === undefined) stages.close.push(...creation(set));
    else if (!goal.used.has(set.name)) stages.close.push(...unseen(old, set));
    else changeUsed(old, set, moves, lines);
  }
  for (const stage of STAGES) {
    const { first, comes, goes, last } = lines[stage];
    stages[stage].push(...first, ...comes, ...goes, ...last);
  }
  for (const name of present.keys()) {
    if (!isOwnSet(name) || lasting.has(name)) continue;
    if (goal.usedByOthers.has(name) || isListed(name, goal.present)) stages.kept.push(name);
    else stages.clean.push(`destroy ${name}`);
  }
  for (const name of wanted.keys()) {
    if (!lasting.has(name) && !present.has(name)) stages.clean.push(`destroy ${name}`);
  }
  return stages;
}

function creation(set: SetState, name = set.name): string[] {
  return [`create ${name} ${set.header}`, ...[...set.elements.values()].map(({ text }) => `add ${name} ${text}`)];
}

function fits(old: SetState, set: SetState): boolean {
  return old.typeName === set.typeName && old.family === set.family && old.maximum >= set.maximum;
}

/** A set that no rule names: nobody sees in which order it changes. */
function unseen(old: SetState, set: SetState): string[] {
  if (!fits(old, set)) return [`destroy ${set.name}`, ...creation(set)];
  const { removed, added } = difference(old, set);
  return [
    ...removed.map((element) => removal(set.name, element)),
    ...added.map(({ text }) => `add ${set.name} ${text}`),
  ];
}

function difference(old: SetState, set: SetState): { removed: Element[]; added: Element[] } {
  return {
    removed: [...old.elements].filter(([key]) => !set.elements.has(key)).map(([, element]) => element),
    added: [...set.elements].filter(([key]) => !old.elements.has(key)).map(([, element]) => element),
  };
}

function removal(name: string, { text }: Element): string {
  return `del ${name} ${text.replace(/ nomatch$/, '')}`;
}

/** Changes of sets that rules name now, for one stage: what must go first, then what comes, then what goes, in all sets. */
interface UsedLines {
  first: string[];
  comes: string[];
  goes: string[];
  last: string[];
}

/** A set that rules name now. */
function changeUsed(old: SetState, set: SetState, moves: Moves, lines: Record<Stage, UsedLines>): void {
  const { name } = set;
  if (old.typeName !== set.typeName || old.family !== set.family) {
    throw new ForeignSetError(`set ${name} is a ${old.header}, and in use: it is none of the agent's`);
  }
  const { removed, added } = difference(old, set);
  // An element that only becomes an exception, or is one no longer, has to go before it comes.
  const places = [removed, added].map((elements) => new Set(elements.map(placeKey)));
  const isReplaced = (element: Element): boolean => places.every((keys) => keys.has(placeKey(element)));
  const tracking = isTrackingSet(name);
  const grows = old.maximum < set.maximum;
  for (const element of removed) {
    const late = element.nomatch || (!isReplaced(element) && moves.mayGoLate(name, element));
    const stage = tracking ? 'clean' : late ? 'open' : 'close';
    lines[stage][isReplaced(element) ? 'first' : 'goes'].push(removal(name, element));
  }
  for (const element of added) {
    const early = element.nomatch || tracking || (!isReplaced(element) && !grows && moves.mayComeEarly(name, element));
    lines[early ? 'close' : 'open'].comes.push(`add ${name} ${element.text}`);
  }
  if (grows) lines.close.last.push(...enlarged(old, set, Object.values(lines.close).flat()));
}

/** A larger set takes the place of the present one at once, with what that holds when this stage ends. */
function enlarged(old: SetState, set: SetState, lines: readonly string[]): string[] {
  const spare = spareSet(set.family);
  const texts = new Set([...old.elements.values()].map(({ text }) => text));
  for (const line of lines) {
    if (line.startsWith(`add ${set.name} `)) texts.add(line.slice(`add ${set.name} `.length));
    else if (line.startsWith(`del ${set.name} `)) {
      const text = line.slice(`del ${set.name} `.length);
      texts.delete(text);
      texts.delete(`${text} nomatch`);
    }
  }
  return [
    `create ${spare} ${set.header}`,
    ...[...texts].map((text) => `add ${spare} ${text}`),
    `swap ${spare} ${set.name}`,
    `destroy ${spare}`,
  ];
}

/** Whether a set is in a set of sets. */
function isListed(name: string, text: string): boolean {
  return new RegExp(`^add \\S+ ${name.replace(/[.+]/g, '\\$&')}(?: |$)`, 'm').test(text);
}

/**
 * Machines that go from one group to another keep what both may do: their addresses come to the one set early if all that it stands for
 * was allowed to them before, or leave the other late if all of it stays allowed.
 */
class Moves {
  private readonly goal: SetGoal;
  private readonly old: ReadonlyMap<string, SetState>;
  private readonly next: ReadonlyMap<string, SetState>;

  constructor(goal: SetGoal, old: ReadonlyMap<string, SetState>, next: ReadonlyMap<string, SetState>) {
    this.goal = goal;
    this.old = old;
    this.next = next;
  }

  mayComeEarly(set: string, element: Element): boolean {
    return this.isElsewhere(this.old, set, element) && this.allCovered(this.goal.oldChains, this.old, set, element);
  }

  mayGoLate(set: string, element: Element): boolean {
    if (!this.isElsewhere(this.next, set, element)) return false;
    // Where it comes early to its new set it need not stay.
    const early = [...this.next.values()].some(
      (other) =>
        other.name !== set &&
        !holds(this.old.get(other.name), element) &&
        holds(other, element) &&
        this.mayComeEarly(other.name, element),
    );
    return !early && this.allCovered(this.goal.newChains, this.next, set, element);
  }

  private isElsewhere(sets: ReadonlyMap<string, SetState>, set: string, element: Element): boolean {
    for (const other of sets.values())
      if (holds(other, element) && (other.name !== set || this.isWider(other, element))) return true;
    return false;
  }

  private isWider(set: SetState, { length, address, family }: Element): boolean {
    return [...set.elements.values()].some((other) => other.length < length) && holds(set, { family, address, length });
  }

  /** Whether chains let through by other rules or elements all that this element of the set stands for. */
  private allCovered(
    chains: readonly (readonly Permit[])[],
    sets: ReadonlyMap<string, SetState>,
    set: string,
    element: Element,
  ): boolean {
    for (const side of ['oldChains', 'newChains'] as const) {
      const named = this.goal[side];
      for (let i = 0; i < named.length; i++) {
        for (const permit of named[i]!) {
          const alone = forMember(permit, set);
          if (alone === null) continue;
          const inner = withRemote(alone, permit, set, element);
          if (inner === null || !chains[i]?.some((outer) => coversMember(outer, inner, element, sets))) return false;
        }
      }
    }
    return true;
  }
}

/** What a rule lets through for one element of the set that it names. */
function withRemote(alone: Permit, permit: Permit, set: string, { family, address, length }: Element): Permit | null {
  const isSource = permit.others.includes(`set --match-set ${set} src`);
  const range = { family, address, length } as const;
  if (isSource) return alone.source === null ? { ...alone, source: range } : null;
  return alone.destination === null ? { ...alone, destination: range } : null;
}

function coversMember(outer: Permit, inner: Permit, element: Element, sets: ReadonlyMap<string, SetState>): boolean {
  const side = inner.source !== null ? 'src' : 'dst';
  const others = outer.others.filter((condition) => {
    const match = /^set --match-set (\S+) (src|dst)$/.exec(condition);
    return match === null || match[2] !== side || !holds(sets.get(match[1]!), element);
  });
  return covers({ ...outer, others }, inner);
}
