import { parsePrefix } from '../host/route-text.ts';
import { TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN, tableName } from '../host/tables.ts';
import { formatAddress } from '../packet/address-text.ts';
import type { Family } from '../packet/family.ts';
import {
  type Collection,
  type Entry,
  type Fields,
  fieldsOf,
  isFields,
  listOf,
  namesOf,
  word,
  words,
} from './collection.ts';

/** A route as `ip route show table all` has it. */
export interface CollectedRoute {
  entry: Entry;
  family: Family;
  /** What tells it from others of its table: `4 254 unicast 10.0.0.0/8 lan 0`. */
  key: string;
  /** `src`, as an address; null if there is none. */
  source: string | null;
  /** In `ip route` syntax. */
  text: string;
  viaGateway: boolean;
}

/** What of a route changes nothing that is simulated. */
const WITHOUT_EFFECT = new Set(['protocol', 'pref', 'expires', 'nhid', 'users', 'age', 'lastuse', 'used', 'hoplimit']);
const KNOWN = new Set([
  'type',
  'dst',
  'gateway',
  'via',
  'dev',
  'table',
  'scope',
  'prefsrc',
  'metric',
  'metrics',
  'tos',
  'flags',
  'flow',
  'nexthops',
]);

/** Reads both families' routes; what cannot be had is noted and left out. */
export function readRoutes(collection: Collection): CollectedRoute[] {
  const tables = tableNumbers(collection);
  const four = collection.needed('ip-route.json');
  const six = collection.entries('ip-6-route.json') ?? [];
  const routes: CollectedRoute[] = [];
  const seen = new Set<string>();
  for (const entry of [...four, ...six]) {
    const route = readRoute(collection, entry, entry.file === 'ip-6-route.json' ? 6 : familyOf(entry.fields), tables);
    // `ip route show table all` without -4 has the routes of both families.
    if (route === null || (seen.has(route.text) && route.family === 6)) continue;
    seen.add(route.text);
    routes.push(route);
  }
  return routes;
}

function familyOf(fields: Fields): Family {
  return 'pref' in fields || `${word(fields, 'dst')} ${word(fields, 'gateway')}`.includes(':') ? 6 : 4;
}

/** Numbers of tables by name. */
export function tableNumbers(collection: Collection): ReadonlyMap<string, string> {
  const names = namesOf(collection.text('rt_tables'));
  for (const [name, number] of [
    ['local', TABLE_LOCAL],
    ['main', TABLE_MAIN],
    ['default', TABLE_DEFAULT],
  ] as const) {
    names.set(name, String(number));
  }
  return names;
}

export function tableNumber(tables: ReadonlyMap<string, string>, name: string): string | null {
  return /^\d+$/.test(name) ? name : (tables.get(name) ?? null);
}

function readRoute(
  collection: Collection,
  entry: Entry,
  family: Family,
  tables: ReadonlyMap<string, string>,
): CollectedRoute | null {
  const { fields } = entry;
  const destination = word(fields, 'dst') ?? 'default';
  const leave = (why: string): null => {
    collection.note(entry, destination, `${why}; left out`);
    return null;
  };
  const prefix = parsePrefix(destination);
  if (prefix === null) return leave('is no prefix');
  const table = tableNumber(tables, word(fields, 'table') ?? 'main');
  if (table === null) return leave(`the number of table "${word(fields, 'table')}" is not known (rt_tables)`);
  if ('from' in fields && word(fields, 'from') !== 'all')
    return leave('routes by source address (from) are not simulated');
  const flags = words(fields, 'flags');
  if (flags.includes('dead')) return leave('is dead');
  for (const key of Object.keys(fields)) {
    if (key === 'encap')
      collection.note(entry, destination, 'its encapsulation is not simulated: packets leave as they are');
    else if (key !== 'from' && !KNOWN.has(key) && !WITHOUT_EFFECT.has(key)) {
      collection.note(entry, destination, `"${key}" is not simulated`);
    }
  }
  const hops = listOf(fields, 'nexthops');
  const hop = hops.find((each) => !words(each, 'flags').includes('dead')) ?? hops[0] ?? fields;
  if (hops.length > 1) {
    collection.note(
      entry,
      destination,
      `has ${hops.length} next hops, of which the kernel picks one by a hash seeded at boot: all packets take the first, ${hopText(hop)}`,
    );
  }
  const type = word(fields, 'type') ?? 'unicast';
  const device =
    type === 'blackhole' || type === 'unreachable' || type === 'prohibit' || type === 'throw' ? null : word(hop, 'dev');
  const bits = family === 4 ? 32 : 128;
  const length = prefix.family === 0 ? 0 : prefix.length;
  const target = `${formatAddress(family, prefix.words)}${length === bits ? '' : `/${length}`}`;
  const metric = word(fields, 'metric') ?? '0';
  const hasGateway = word(hop, 'gateway') !== null || isFields(hop.via);
  const source = word(fields, 'prefsrc');
  const parts = [type === 'unicast' ? '' : type, length === 0 ? 'default' : target];
  const tos = word(fields, 'tos');
  if (tos !== null) parts.push('tos', tos);
  if (hasGateway) parts.push(gatewayText(hop));
  if (device !== null) parts.push('dev', device);
  if (table !== String(TABLE_MAIN) || type === 'local' || type === 'broadcast' || type === 'anycast') {
    parts.push('table', tableName(Number(table)));
  }
  if (family === 4) {
    const scope = word(fields, 'scope');
    if (scope !== null) parts.push('scope', scope);
    else if (device !== null && !hasGateway && type === 'unicast') parts.push('scope global');
  }
  if (source !== null) parts.push('src', source);
  if (family === 6 || metric !== '0') parts.push('metric', metric);
  for (const each of listOf(fields, 'metrics')) if (word(each, 'mtu') !== null) parts.push('mtu', word(each, 'mtu')!);
  const realm = realmText(collection, entry, destination, fieldsOf(fields, 'flow'));
  if (realm !== '') parts.push('realm', realm);
  if (flags.includes('onlink') || words(hop, 'flags').includes('onlink')) parts.push('onlink');
  return {
    entry,
    family,
    key: routeKey(family, table, type, `${formatAddress(family, prefix.words)}/${length}`, device ?? '', metric),
    source,
    text: withFamily(family, parts.filter((part) => part !== '').join(' ')),
    viaGateway: hasGateway,
  };
}

/** A default route of IPv6 without a gateway says so. */
function withFamily(family: Family, text: string): string {
  return family === 6 && !text.includes(':') ? `-6 ${text}` : text;
}

export function routeKey(
  family: Family,
  table: string | number,
  type: string,
  prefix: string,
  device: string,
  metric: string | number,
): string {
  return `${family} ${table} ${type} ${prefix} ${device} ${metric}`;
}

function gatewayText(hop: Fields): string {
  const gateway = word(hop, 'gateway');
  if (gateway !== null) return `via ${gateway}`;
  const via = fieldsOf(hop, 'via');
  return `via ${word(via, 'family') ?? 'inet6'} ${word(via, 'host')}`;
}

function hopText(hop: Fields): string {
  const hasGateway = word(hop, 'gateway') !== null || isFields(hop.via);
  return `${hasGateway ? `${gatewayText(hop)} ` : ''}dev ${word(hop, 'dev')}`;
}

function realmText(collection: Collection, entry: Entry, destination: string, flow: Fields): string {
  const realms = namesOf(collection.text('rt_realms'));
  const parts = [word(flow, 'from'), word(flow, 'to')].filter((part) => part !== null);
  const numbers = parts.map((part) => (/^\d+$/.test(part) ? part : realms.get(part)));
  if (!numbers.includes(undefined)) return numbers.join('/');
  collection.note(entry, destination, `the number of realm "${parts.join('/')}" is not known (rt_realms)`);
  return '';
}
