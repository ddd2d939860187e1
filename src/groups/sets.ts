import type { Family } from '../packet/family.ts';
import { jhash } from '../packet/jhash.ts';
import { linkLocal } from './link-local.ts';
import type { Cloud, Prefix, Remote, VmPort } from './model.ts';
import { prefixText } from './service-text.ts';

/** Who is named by a set of addresses: a group, a prefix list, a prefix with exceptions. */
type InSet = Exclude<Remote, { kind: 'any' }>;

/** The remote, if rules name it by a set; null for anybody, and for a prefix without exceptions. */
export function inSet(remote: Remote): InSet | null {
  if (remote.kind === 'any' || (remote.kind === 'prefix' && remote.except.length === 0)) return null;
  return remote;
}

/** `NIPv4` and the group's name, as in Neutron; prefix lists are `PIPv4`, prefixes with exceptions `EIPv4` and a hash of both. */
export function setName(remote: InSet, family: Family): string {
  if (remote.kind === 'group') return `NIPv${family}${remote.group}`;
  if (remote.kind === 'list') return `PIPv${family}${remote.list}`;
  const bytes = new TextEncoder().encode([remote.prefix, ...remote.except].map(prefixText).join(' '));
  const hash = [0, 1].map((seed) => jhash(bytes, seed).toString(16).padStart(8, '0')).join('');
  return `EIPv${family}${hash}`;
}

/** The set of the addresses of a host's machines in stateful groups; only beside machines in stateless ones. */
export function statefulSet(family: Family): string {
  return `SIPv${family}stateful`;
}

/** The groups and lists that rules of these ports name, by the names of their sets. */
export function remoteSets(ports: readonly VmPort[], cloud: Cloud): Map<string, { remote: InSet; family: Family }> {
  const sets = new Map<string, { remote: InSet; family: Family }>();
  for (const group of new Set(ports.flatMap((port) => port.groups))) {
    for (const { remote, family } of cloud.groups.get(group)!.rules) {
      const named = inSet(remote);
      if (named !== null) sets.set(setName(named, family), { remote: named, family });
    }
  }
  return new Map([...sets].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Addresses of a group's members, allowed address pairs included, by group and family. */
const membersOf = new WeakMap<Cloud, Map<string, string[]>>();

function members(cloud: Cloud): Map<string, string[]> {
  let all = membersOf.get(cloud);
  if (all === undefined) {
    all = new Map();
    for (const { groups, pairs } of cloud.ports) {
      for (const group of groups) {
        for (const { prefix } of pairs) {
          const key = `${prefix.family} ${group}`;
          const list = all.get(key);
          if (list === undefined) all.set(key, elements(prefix));
          else list.push(...elements(prefix));
        }
      }
    }
    membersOf.set(cloud, all);
  }
  return all;
}

/** A set of networks holds no /0 (kernel: hash_net_kadt): it is put in as two halves. */
function elements(prefix: Prefix): string[] {
  if (prefix.length === 0) return prefix.family === 4 ? ['0.0.0.0/1', '128.0.0.0/1'] : ['::/1', '8000::/1'];
  const text = prefixText(prefix);
  return [prefix.length === (prefix.family === 4 ? 32 : 128) ? text.slice(0, text.indexOf('/')) : text];
}

/** `ipset restore` text. */
export function compileSets(sets: ReadonlyMap<string, { remote: InSet; family: Family }>, cloud: Cloud): string {
  let texts = textsOf.get(cloud);
  if (texts === undefined) {
    texts = new Map();
    textsOf.set(cloud, texts);
  }
  let all = '';
  for (const [name, { remote, family }] of sets) {
    let text = texts.get(name);
    if (text === undefined) {
      text = compileSet(name, remote, family, cloud);
      texts.set(name, text);
    }
    all += text;
  }
  return all;
}

/** Many hosts load the same sets: each is put into words once. */
const textsOf = new WeakMap<Cloud, Map<string, string>>();

function compileSet(name: string, remote: InSet, family: Family, cloud: Cloud): string {
  if (remote.kind === 'prefix') return setText(name, family, withExceptions(remote.prefix, remote.except));
  const list =
    remote.kind === 'group'
      ? (members(cloud).get(`${family} ${remote.group}`) ?? [])
      : cloud.prefixLists
          .get(remote.list)!
          .filter((prefix) => prefix.family === family)
          .flatMap(elements);
  return setText(name, family, list);
}

/** The longest element that covers an address decides (hash:net); an exception as large as half of everything leaves that half away. */
function withExceptions(prefix: Prefix, except: readonly Prefix[]): string[] {
  const all = elements(prefix);
  const excepted = except.flatMap(elements);
  const rest = all.filter((element) => !excepted.includes(element));
  return [...rest, ...excepted.filter((element) => !all.includes(element)).map((element) => `${element} nomatch`)];
}

/** The stateful machines' addresses on a host, as `ipset restore` text. */
export function compileStatefulSets(ports: readonly VmPort[]): string {
  const texts = ([4, 6] as const).map((family) => {
    const prefixes = ports
      .filter(({ stateful }) => stateful)
      .flatMap(({ pairs }) => [
        ...pairs.map(({ prefix }) => prefix).filter((prefix) => prefix.family === family),
        ...(family === 6 ? [...new Set(pairs.map(({ mac }) => mac))].map(linkLocal) : []),
      ]);
    return setText(statefulSet(family), family, prefixes.flatMap(elements));
  });
  return texts.join('');
}

function setText(name: string, family: Family, list: readonly string[]): string {
  const unique = [...new Set(list)];
  const maximum = Math.max(65536, 2 ** Math.ceil(Math.log2(unique.length + 1)));
  const lines = [`create ${name} hash:net family ${family === 4 ? 'inet' : 'inet6'} hashsize 1024 maxelem ${maximum}`];
  for (const element of unique) lines.push(`add ${name} ${element}`);
  return `${lines.join('\n')}\n`;
}
