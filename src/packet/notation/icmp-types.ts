import type { Family } from '../family.ts';

/** ICMP messages by name: type, and code where the name implies one (IANA; the names that iptables uses). */
const NAMES4: Readonly<Record<string, readonly [number, number?]>> = {
  'echo-request': [8],
  ping: [8],
  'echo-reply': [0],
  pong: [0],
  'destination-unreachable': [3],
  'network-unreachable': [3, 0],
  'host-unreachable': [3, 1],
  'protocol-unreachable': [3, 2],
  'port-unreachable': [3, 3],
  'fragmentation-needed': [3, 4],
  'source-route-failed': [3, 5],
  'network-prohibited': [3, 9],
  'host-prohibited': [3, 10],
  'communication-prohibited': [3, 13],
  'source-quench': [4],
  redirect: [5],
  'network-redirect': [5, 0],
  'host-redirect': [5, 1],
  'router-advertisement': [9],
  'router-solicitation': [10],
  'time-exceeded': [11],
  'ttl-zero-during-transit': [11, 0],
  'ttl-zero-during-reassembly': [11, 1],
  'parameter-problem': [12],
  'timestamp-request': [13],
  'timestamp-reply': [14],
  'address-mask-request': [17],
  'address-mask-reply': [18],
};

const NAMES6: Readonly<Record<string, readonly [number, number?]>> = {
  'echo-request': [128],
  ping: [128],
  'echo-reply': [129],
  pong: [129],
  'destination-unreachable': [1],
  'no-route': [1, 0],
  'communication-prohibited': [1, 1],
  'beyond-scope': [1, 2],
  'address-unreachable': [1, 3],
  'port-unreachable': [1, 4],
  'packet-too-big': [2],
  'time-exceeded': [3],
  'ttl-zero-during-transit': [3, 0],
  'ttl-zero-during-reassembly': [3, 1],
  'parameter-problem': [4],
  'bad-header': [4, 0],
  'unknown-header-type': [4, 1],
  'unknown-option': [4, 2],
  'router-solicitation': [133],
  'router-advertisement': [134],
  'neighbour-solicitation': [135],
  'neighbor-solicitation': [135],
  'neighbour-advertisement': [136],
  'neighbor-advertisement': [136],
  redirect: [137],
};

function names(family: Family): Readonly<Record<string, readonly [number, number?]>> {
  return family === 4 ? NAMES4 : NAMES6;
}

/** Type and, where the name implies it, code of a message; null if there is no such name. */
export function icmpByName(family: Family, name: string): { type: number; code: number | null } | null {
  const found = Object.hasOwn(names(family), name) ? names(family)[name] : undefined;
  return found === undefined ? null : { type: found[0], code: found[1] ?? null };
}

export function icmpNames(family: Family): string[] {
  return Object.keys(names(family));
}

/** The most exact name of a message: one that implies its code too, else that of the type when the code is 0, else null. */
export function icmpName(family: Family, type: number, code: number): string | null {
  let general: string | null = null;
  for (const [name, [t, c]] of Object.entries(names(family))) {
    if (t !== type) continue;
    if (c === code) return name;
    if (c === undefined && code === 0 && general === null) general = name;
  }
  return general;
}

/** What the four bytes after the checksum are. */
export type IcmpRest = 'echo' | 'mtu' | 'gateway' | 'pointer' | 'other';

export function icmpRestKind(family: Family, type: number, code: number): IcmpRest {
  if (family === 6) {
    if (type === 128 || type === 129) return 'echo';
    if (type === 2) return 'mtu';
    return type === 4 ? 'pointer' : 'other';
  }
  if (type === 0 || type === 8 || (type >= 13 && type <= 18)) return 'echo';
  if (type === 3 && code === 4) return 'mtu';
  if (type === 5) return 'gateway';
  return type === 12 ? 'pointer' : 'other';
}
