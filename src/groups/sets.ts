import type { Family } from '../packet/family.ts';
import type { Cloud, Prefix, Remote, VmPort } from './model.ts';
import { prefixText } from './service-text.ts';

type Named = Extract<Remote, { kind: 'group' | 'list' }>;

/** `NIPv4` and the group's name, as in Neutron; prefix lists are `PIPv4`. */
export function setName(remote: Named, family: Family): string {
  return remote.kind === 'group' ? `NIPv${family}${remote.group}` : `PIPv${family}${remote.list}`;
}

/** The groups and lists that rules of these ports name, by the names of their sets. */
export function remoteSets(ports: readonly VmPort[], cloud: Cloud): Map<string, { remote: Named; family: Family }> {
  const sets = new Map<string, { remote: Named; family: Family }>();
  for (const group of new Set(ports.flatMap((port) => port.groups))) {
    for (const { remote, family } of cloud.groups.get(group)!.rules) {
      if (remote.kind === 'group' || remote.kind === 'list') sets.set(setName(remote, family), { remote, family });
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
export function compileSets(sets: ReadonlyMap<string, { remote: Named; family: Family }>, cloud: Cloud): string {
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

function compileSet(name: string, remote: Named, family: Family, cloud: Cloud): string {
  const list =
    remote.kind === 'group'
      ? (members(cloud).get(`${family} ${remote.group}`) ?? [])
      : cloud.prefixLists
          .get(remote.list)!
          .filter((prefix) => prefix.family === family)
          .flatMap(elements);
  const unique = [...new Set(list)];
  const maximum = Math.max(65536, 2 ** Math.ceil(Math.log2(unique.length + 1)));
  const lines = [`create ${name} hash:net family ${family === 4 ? 'inet' : 'inet6'} hashsize 1024 maxelem ${maximum}`];
  for (const element of unique) lines.push(`add ${name} ${element}`);
  return `${lines.join('\n')}\n`;
}
