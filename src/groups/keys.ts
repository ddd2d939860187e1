import { compileHost, portsByHost, ruleLine } from './compile.ts';
import type { Cloud, VmPort } from './model.ts';
import { prefixText } from './service-text.ts';
import { compileSets, remoteSets } from './sets.ts';

/**
 * What the rules of each host depend on, as a short text: its machines, the rules of their groups, the members of the groups that these name.
 * Where it is the same, so are the compiled rules.
 */
export function hostKeys(cloud: Cloud): Map<string, string> {
  const groups = new Map<string, string>();
  const groupKey = (name: string): string => {
    let key = groups.get(name);
    if (key === undefined) {
      const { stateful, rules } = cloud.groups.get(name)!;
      key = contentKey(
        [stateful, ...rules.map((rule) => `${rule.direction} IPv${rule.family} ${ruleLine(rule)}`)].join('\n'),
      );
      groups.set(name, key);
    }
    return key;
  };
  const sets = new Map<string, string>();
  const setKeys = (ports: readonly VmPort[]): string[] =>
    [...remoteSets(ports, cloud)].map(([name, remote]) => {
      let key = sets.get(name);
      if (key === undefined) {
        key = contentKey(compileSets(new Map([[name, remote]]), cloud));
        sets.set(name, key);
      }
      return key;
    });
  const keys = new Map<string, string>();
  for (const [host, ports] of portsByHost(cloud)) {
    const machines = ports.map(({ tap, pairs, groups: names }) =>
      [tap, ...pairs.map(({ prefix, mac }) => `${prefixText(prefix)} ${mac}`), ...names.map(groupKey)].join(' '),
    );
    keys.set(host, contentKey([layoutKey(), ...machines, ...setKeys(ports)].join('\n')));
  }
  return keys;
}

/** Hosts whose rules differ between two clouds; those that have machines in only one of them count too. */
export function changedHosts(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): Set<string> {
  const hosts = new Set([...before.keys(), ...after.keys()]);
  return new Set([...hosts].filter((host) => before.get(host) !== after.get(host)));
}

let layout: string | null = null;

/** Of the compiler itself: another layout gives other rules for the same machines. */
function layoutKey(): string {
  layout ??= contentKey(Object.values(compileHost('', SAMPLE.ports, SAMPLE)).join('\n'));
  return layout;
}

const SAMPLE: Cloud = {
  groups: new Map([
    ['a', { name: 'a', stateful: true, rules: [] }],
    ['b', { name: 'b', stateful: false, rules: [] }],
  ]),
  prefixLists: new Map(),
  ports: ['a', 'b'].map((group) => ({
    vm: group,
    host: '',
    tap: `tap${group}`,
    mac: '02:00:00:00:00:01',
    addresses: [],
    pairs: [{ prefix: { family: 4, address: [0x0a000001, 0, 0, 0], length: 32 }, mac: '02:00:00:00:00:01' }],
    groups: [group],
    stateful: group === 'a',
  })),
};

/** 106 bits of a text, for telling whether it is the same; nobody makes texts up to deceive it. */
export function contentKey(text: string): string {
  return [0, 1].map((seed) => hash53(text, seed).toString(36).padStart(11, '0')).join('');
}

/** Two multiplicative hashes mixed (constants of Knuth and MurmurHash3). */
function hash53(text: string, seed: number): number {
  let a = 0xdeadbeef ^ seed;
  let b = 0x41c6ce57 ^ seed;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (b & 2097151) + (a >>> 0);
}
