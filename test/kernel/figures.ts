import { counters } from './compare.ts';

/** How often rules of an extension matched. */
export interface Reached {
  /** Rules that matched some packet, and rules that matched none. */
  matched: number;
  unmatched: number;
  /** Packets that they matched. */
  packets: number;
}

/** By extension (`-m tcp`, `-j DNAT`): what the counters of a save text say. */
export type Figures = Map<string, Reached>;

const VERDICTS = ['ACCEPT', 'DROP', 'RETURN', 'QUEUE'];

/** Reads off the figures of one save text. */
export function figuresOf(save: string): Figures {
  const figures: Figures = new Map();
  for (const { counter, rule } of counters(save).values()) {
    const packets = Number(counter.split(':')[0]);
    const names = new Set(
      [...rule.matchAll(/(?:^| )(-[mj]) ([A-Za-z0-9_]+)/g)].map(([, kind, name]) => `${kind} ${name}`),
    );
    for (const name of names) {
      // Jumps to chains of the user are no extension.
      if (/^-j user/.test(name)) continue;
      add(figures, name, { matched: packets > 0 ? 1 : 0, unmatched: packets > 0 ? 0 : 1, packets });
    }
  }
  return figures;
}

function add(figures: Figures, name: string, { matched, unmatched, packets }: Reached): void {
  const sum = figures.get(name);
  if (sum === undefined) figures.set(name, { matched, unmatched, packets });
  else {
    sum.matched += matched;
    sum.unmatched += unmatched;
    sum.packets += packets;
  }
}

/** Adds the figures of one scenario to those of all. */
export function addFigures(sum: Figures, figures: Figures): void {
  for (const [name, reached] of figures) add(sum, name, reached);
}

/** What became of the scenarios of one profile. */
export interface ProfileTotal {
  equal: number;
  different: number;
  unsteady: number;
  /** Of the equal ones: where iptsim was told which ports the kernel had drawn. */
  followed: number;
  packets: number;
  rules: Reached;
}

export function noTotal(): ProfileTotal {
  return {
    equal: 0,
    different: 0,
    unsteady: 0,
    followed: 0,
    packets: 0,
    rules: { matched: 0, unmatched: 0, packets: 0 },
  };
}

/** All rules of a save text together. */
export function rulesOf(save: string): Reached {
  const sum: Reached = { matched: 0, unmatched: 0, packets: 0 };
  for (const [where, { counter }] of counters(save)) {
    if (where.endsWith('/0')) continue;
    const packets = Number(counter.split(':')[0]);
    sum.matched += packets > 0 ? 1 : 0;
    sum.unmatched += packets > 0 ? 0 : 1;
    sum.packets += packets;
  }
  return sum;
}

/** The table of profiles and the table of extensions. */
export function figuresText(profiles: ReadonlyMap<string, ProfileTotal>, figures: Figures): string {
  const lines = ['profile      equal/played   packets sent   rules matched/never'];
  for (const [name, { equal, different, unsteady, followed, packets, rules }] of profiles) {
    const shown = `${equal}/${equal + different}`;
    let line = `${name.padEnd(12)} ${shown.padEnd(14)} ${String(packets).padEnd(14)} ${rules.matched}/${rules.unmatched}`;
    if (followed > 0) line += `   ${followed} with the ports that the kernel drew`;
    if (unsteady > 0) line += `   and ${unsteady} in which the kernel is not steady`;
    lines.push(line);
  }
  lines.push('extension    rules matched/never   packets matched');
  const isVerdict = (name: string): boolean => VERDICTS.includes(name.slice(3));
  for (const [name, { matched, unmatched, packets }] of [...figures].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (isVerdict(name)) continue;
    lines.push(`${name.padEnd(16)} ${`${matched}/${unmatched}`.padEnd(17)} ${packets}`);
  }
  const never = [...figures].filter(([name, { matched }]) => matched === 0 && !isVerdict(name)).map(([name]) => name);
  const always = [...figures].filter(([name, { unmatched }]) => unmatched === 0 && !isVerdict(name));
  if (never.length > 0) lines.push(`never matched: ${never.join(', ')}`);
  if (always.length > 0) lines.push(`always matched: ${always.map(([name]) => name).join(', ')}`);
  return `${lines.join('\n')}\n`;
}
