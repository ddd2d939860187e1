import { tableName } from '../host/tables.ts';
import type { Family } from '../packet/family.ts';
import { type Collection, type Entry, type Fields, namesOf, word } from './collection.ts';
import { tableNumber, tableNumbers } from './routes.ts';

/** A policy rule as `ip rule` has it. */
export interface CollectedRule {
  entry: Entry;
  /** In `ip rule` syntax. */
  text: string;
}

/** The rules that every machine has, by preference: the kernel makes them. */
const OWN: Readonly<Record<Family, ReadonlyMap<number, string>>> = {
  4: new Map([
    [0, 'local'],
    [32766, 'main'],
    [32767, 'default'],
  ]),
  6: new Map([
    [0, 'local'],
    [32766, 'main'],
  ]),
};

const KNOWN = new Set([
  'priority',
  'not',
  'src',
  'srclen',
  'dst',
  'dstlen',
  'tos',
  'dscp',
  'fwmark',
  'fwmask',
  'iif',
  'oif',
  'uid_start',
  'uid_end',
  'ipproto',
  'sport',
  'sport_start',
  'sport_end',
  'dport',
  'dport_start',
  'dport_end',
  'table',
  'action',
  'goto',
  'nop',
  'suppress_prefixlen',
  'suppress_prefixlength',
  'suppress_ifgroup',
  'flow_from',
  'flow_to',
]);
const WITHOUT_EFFECT = new Set(['protocol', 'iif_detached', 'oif_detached', 'unresolved']);

/** Reads both families' rules but for those that every machine has. */
export function readRules(collection: Collection): CollectedRule[] {
  return [
    ...readFamily(collection, 4, collection.needed('ip-rule.json')),
    ...readFamily(collection, 6, collection.entries('ip-6-rule.json') ?? []),
  ];
}

function readFamily(collection: Collection, family: Family, entries: readonly Entry[]): CollectedRule[] {
  const missing = new Map(OWN[family]);
  const rules: CollectedRule[] = [];
  for (const entry of entries) {
    const { fields } = entry;
    const priority = Number(fields.priority ?? 0);
    const plain = Object.keys(fields).every((key) => ['priority', 'src', 'table', 'protocol'].includes(key));
    if (plain && word(fields, 'src') === 'all' && missing.get(priority) === word(fields, 'table')) {
      missing.delete(priority);
      continue;
    }
    const text = ruleText(collection, entry, family, priority);
    if (text !== null) rules.push({ entry, text });
  }
  if (entries.length === 0) return [];
  for (const [priority, table] of missing) {
    collection.noteFile(
      entries[0]!.file,
      `the kernel's rule "${priority}: from all lookup ${table}" is not there: iptsim always has it`,
    );
  }
  return rules;
}

function ruleText(collection: Collection, entry: Entry, family: Family, priority: number): string | null {
  const { fields } = entry;
  const subject = `preference ${priority}`;
  const leave = (why: string): null => {
    collection.note(entry, subject, `${why}; left out`);
    return null;
  };
  for (const key of Object.keys(fields)) {
    if (!KNOWN.has(key) && !WITHOUT_EFFECT.has(key)) return leave(`"${key}" is not simulated`);
  }
  const parts = [`-${family}`];
  if ('not' in fields) parts.push('not');
  const end = (name: string, length: string, words: string): void => {
    const address = word(fields, name);
    if (address === null || address === 'all') return;
    const bits = word(fields, length);
    parts.push(words, bits === null ? address : `${address}/${bits}`);
  };
  parts.push(...(word(fields, 'src') === 'all' || word(fields, 'src') === null ? ['from all'] : []));
  end('src', 'srclen', 'from');
  end('dst', 'dstlen', 'to');
  const mark = word(fields, 'fwmark');
  const mask = word(fields, 'fwmask');
  if (mark !== null) parts.push('fwmark', mask === null ? mark : `${mark}/${mask}`);
  for (const name of ['tos', 'dscp', 'iif', 'oif', 'ipproto'] as const) {
    const value = word(fields, name);
    if (value !== null) parts.push(name, value);
  }
  for (const name of ['sport', 'dport'] as const) {
    const range = rangeOf(fields, name);
    if (range !== null) parts.push(name, range);
  }
  const uids = rangeOf(fields, 'uid');
  if (uids !== null) parts.push('uidrange', uids);
  const realms = [word(fields, 'flow_from'), word(fields, 'flow_to')].filter((part) => part !== null);
  if (realms.length > 0) parts.push('realms', realms.join('/'));
  const action = word(fields, 'action');
  if ('goto' in fields) parts.push('goto', word(fields, 'goto')!);
  else if ('nop' in fields) parts.push('nop');
  else if (action !== null && action !== 'to_tbl') parts.push(action);
  else {
    const name = word(fields, 'table') ?? 'main';
    const table = tableNumber(tableNumbers(collection), name);
    if (table === null) return leave(`the number of table "${name}" is not known (rt_tables)`);
    parts.push('lookup', tableName(Number(table)));
  }
  const length = word(fields, 'suppress_prefixlen') ?? word(fields, 'suppress_prefixlength');
  if (length !== null) parts.push('suppress_prefixlength', length);
  const group = word(fields, 'suppress_ifgroup');
  if (group !== null) {
    const number = /^\d+$/.test(group) ? group : namesOf(collection.text('group')).get(group);
    if (number === undefined) return leave(`the number of group "${group}" is not known`);
    parts.push('suppress_ifgroup', number);
  }
  parts.push('pref', String(priority));
  return parts.join(' ');
}

function rangeOf(fields: Fields, name: string): string | null {
  const single = word(fields, name);
  if (single !== null) return single;
  const low = word(fields, `${name}_start`);
  const high = word(fields, `${name}_end`);
  return low === null ? null : high === null || high === low ? low : `${low}-${high}`;
}
