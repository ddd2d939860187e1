import { Random } from '../random.ts';
import type { Scenario } from '../scenario.ts';
import { bridgeHost, router } from './hosts.ts';
import { MATCHES, type Site } from './matches.ts';
import { conversation, type Family, oddity } from './packets.ts';
import { generateSets, setMatch, setTarget } from './sets.ts';
import { TARGETS } from './targets.ts';

interface Profile {
  families: Family[];
  tables: string[];
  matches: string[];
  targets: string[];
  /** Probability that a rule has a target that decides. */
  bridged?: boolean;
  oddities?: number;
  /** The scenario has sets, for the match `set` and the target `SET`. */
  sets?: boolean;
}

const COMMON = ['tcp', 'udp', 'icmp', 'icmp6', 'multiport', 'mark', 'iprange', 'addrtype', 'length', 'mac'];
const VERDICTS = ['ACCEPT', 'DROP', 'RETURN'];
const MATCH_MAKERS = { ...MATCHES, set: setMatch };
const TARGET_MAKERS = { ...TARGETS, SET: setTarget };
const EVERY_MATCH = Object.keys(MATCHES);
const EVERY_TARGET = Object.keys(TARGETS);

export const PROFILES: Record<string, Profile> = {
  filter: {
    families: [4],
    tables: ['filter', 'mangle', 'raw'],
    matches: COMMON,
    targets: [...VERDICTS, 'REJECT', 'MARK', 'LOG'],
    oddities: 0.1,
  },
  state: {
    families: [4],
    tables: ['filter', 'raw', 'mangle'],
    matches: [...COMMON, 'conntrack', 'conntrack', 'state', 'connmark', 'connbytes'],
    targets: [...VERDICTS, 'CONNMARK', 'NOTRACK', 'CT'],
  },
  nat: {
    families: [4],
    tables: ['nat', 'nat', 'filter'],
    matches: ['tcp', 'udp', 'icmp', 'conntrack', 'multiport', 'addrtype'],
    targets: ['SNAT', 'MASQUERADE', 'DNAT', 'REDIRECT', 'NETMAP', 'ACCEPT', 'DROP', 'REJECT'],
  },
  mangle: {
    families: [4, 6],
    tables: ['mangle', 'filter'],
    matches: [...COMMON, 'ttl', 'hl', 'tos', 'dscp', 'ecn', 'tcpmss'],
    targets: [
      'MARK',
      'TTL',
      'HL',
      'TOS',
      'DSCP',
      'ECN',
      'TCPMSS',
      'TCPOPTSTRIP',
      'CLASSIFY',
      'CHECKSUM',
      'TEE',
      'HMARK',
      'SNPT',
      'DNPT',
      ...VERDICTS,
    ],
  },
  limits: {
    families: [4],
    tables: ['filter', 'mangle'],
    matches: ['limit', 'hashlimit', 'connlimit', 'recent', 'quota', 'statistic', 'connbytes', 'tcp', 'udp'],
    targets: ['ACCEPT', 'RETURN', 'MARK'],
  },
  ipv6: {
    families: [6],
    tables: ['filter', 'mangle', 'raw', 'nat'],
    matches: [...EVERY_MATCH],
    targets: [...VERDICTS, 'REJECT', 'MARK', 'SNAT', 'DNAT', 'MASQUERADE', 'REDIRECT', 'HL'],
    oddities: 0.15,
  },
  bridge: {
    families: [4],
    tables: ['filter', 'mangle', 'raw', 'nat'],
    matches: [...COMMON, 'physdev', 'physdev', 'physdev', 'conntrack'],
    targets: [...VERDICTS, 'REJECT', 'MARK', 'LOG'],
    bridged: true,
  },
  reject: {
    families: [4, 6],
    tables: ['filter'],
    matches: COMMON,
    targets: ['REJECT', 'REJECT', 'ACCEPT'],
    oddities: 0.3,
  },
  odd: {
    families: [4, 6],
    tables: ['raw', 'mangle', 'filter'],
    matches: [...COMMON, 'conntrack', 'frag', 'u32', 'pkttype'],
    targets: [...VERDICTS, 'REJECT', 'MARK'],
    oddities: 0.7,
  },
  sets: {
    families: [4],
    tables: ['filter', 'mangle', 'raw'],
    matches: ['set', 'set', 'set', 'tcp', 'udp', 'mark'],
    targets: ['SET', 'SET', 'ACCEPT', 'MARK', 'RETURN'],
    oddities: 0.1,
    sets: true,
  },
  sets6: {
    families: [6],
    tables: ['filter', 'mangle', 'raw'],
    matches: ['set', 'set', 'set', 'tcp', 'udp', 'mark'],
    targets: ['SET', 'SET', 'ACCEPT', 'MARK', 'RETURN'],
    oddities: 0.1,
    sets: true,
  },
  all: {
    families: [4, 6],
    tables: ['raw', 'mangle', 'nat', 'filter', 'security'],
    matches: EVERY_MATCH,
    targets: EVERY_TARGET,
    oddities: 0.15,
  },
};

const CHAINS: Record<string, string[]> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
};

function addresses(random: Random, family: Family, bridged: boolean): string {
  if (bridged) return random.pick(['172.16.0.11', '172.16.0.12', '172.16.0.0/24', '172.16.0.254']);
  return family === 4
    ? random.pick([
        '10.0.0.0/24',
        '10.0.0.10',
        '10.0.2.20',
        '198.51.100.7',
        '203.0.113.0/24',
        '192.0.2.1',
        '10.0.2.0/255.255.255.129',
        '0.0.0.0/1',
      ])
    : random.pick(['2001:db8:1::/64', '2001:db8:2::20', '2001:db8:f::7', '2001:db8::1', '2001:db8::/32']);
}

function rule(
  random: Random,
  profile: Profile,
  family: Family,
  table: string,
  hook: string,
  chain: string,
  chains: string[],
): string | null {
  const bridged = profile.bridged === true;
  const icmp = family === 4 ? 'icmp' : 'ipv6-icmp';
  const protocol = random.chance(0.6)
    ? random.pick(['tcp', 'tcp', 'udp', icmp, ...(random.chance(0.2) ? ['udplite', 'esp', 'sctp'] : [])])
    : '';
  const site: Site = { family, table, hook, bridged, protocol };
  const parts = [`-A ${chain}`];
  if (random.chance(0.2)) parts.push(`${random.chance(0.25) ? '! ' : ''}-s ${addresses(random, family, bridged)}`);
  if (random.chance(0.2)) parts.push(`${random.chance(0.25) ? '! ' : ''}-d ${addresses(random, family, bridged)}`);
  const devices = bridged ? ['br0', 'tap1'] : ['eth0', 'eth1', 'eth+', 'lo'];
  if (random.chance(0.15) && ['PREROUTING', 'INPUT', 'FORWARD'].includes(hook))
    parts.push(`${random.chance(0.25) ? '! ' : ''}-i ${random.pick(devices)}`);
  if (random.chance(0.15) && ['OUTPUT', 'FORWARD', 'POSTROUTING'].includes(hook))
    parts.push(`${random.chance(0.25) ? '! ' : ''}-o ${random.pick(devices)}`);
  if (protocol !== '') parts.push(`${random.chance(0.05) && profile.targets.length > 20 ? '' : ''}-p ${protocol}`);
  if (family === 4 && random.chance(0.03)) parts.push(random.pick(['-f', '! -f']));
  const wanted = random.pick([0, 0, 1, 1, 1, 2]);
  const used = new Set<string>();
  for (let i = 0; i < wanted; i++) {
    const name = random.pick(profile.matches);
    if (used.has(name)) continue;
    used.add(name);
    const text = MATCH_MAKERS[name as keyof typeof MATCH_MAKERS](random, site);
    if (text !== null) parts.push(text);
  }
  if (random.chance(0.25)) return parts.join(' ');
  if (chains.length > 0 && random.chance(0.15) && table !== 'nat')
    return `${parts.join(' ')} ${random.pick(['-j', '-j', '-g'])} ${random.pick(chains)}`;
  for (let tries = 0; tries < 10; tries++) {
    const text = TARGET_MAKERS[random.pick(profile.targets) as keyof typeof TARGET_MAKERS](random, site);
    if (text !== null) return `${parts.join(' ')} -j ${text}`;
  }
  return parts.join(' ');
}

function ruleset(random: Random, profile: Profile, family: Family): string {
  const tables = [...new Set(profile.tables)].filter(() => random.chance(0.8));
  if (tables.length === 0) tables.push('filter');
  return tables
    .map((table) => {
      const lines = [`*${table}`];
      for (const chain of CHAINS[table])
        lines.push(`:${chain} ${table !== 'nat' && random.chance(0.1) ? 'DROP' : 'ACCEPT'} [0:0]`);
      const hook = random.pick(CHAINS[table]);
      const chains = table !== 'nat' && random.chance(0.6) ? ['user0', 'user1'] : [];
      for (const chain of chains) lines.push(`:${chain} - [0:0]`);
      for (const base of CHAINS[table]) {
        for (let i = random.int(0, table === 'nat' ? 4 : 7); i > 0; i--) {
          // A user chain is jumped to from one base chain only, so that what its rules may use is known.
          const text = rule(random, profile, family, table, base, base, base === hook ? chains : []);
          if (text !== null) lines.push(text);
        }
      }
      for (const chain of chains) {
        for (let i = random.int(1, 4); i > 0; i--) {
          const text = rule(
            random,
            profile,
            family,
            table,
            hook,
            chain,
            chain === 'user0' && random.chance(0.3) ? ['user1'] : [],
          );
          if (text !== null) lines.push(text);
        }
      }
      return `${[...lines, 'COMMIT'].join('\n')}\n`;
    })
    .join('');
}

/** The scenario of a seed; the same seed gives the same scenario. */
export function generate(profileName: string, seed: number): Scenario {
  const random = new Random(seed);
  const profile = PROFILES[profileName];
  const families = profile.families.length > 1 ? [random.pick(profile.families)] : profile.families;
  const packets: Scenario['packets'] = [];
  const count = random.int(12, 40);
  while (packets.length < count) {
    const family = random.pick(families);
    const more = random.chance(profile.oddities ?? 0.02)
      ? oddity(random, family, profile.bridged === true)
      : conversation(random, family, profile.bridged === true, packets.length);
    packets.push(...more);
  }
  return {
    name: `${profileName}-${seed}`,
    profile: profileName,
    seed,
    host: profile.bridged ? bridgeHost() : router(random),
    rulesV4: families.includes(4) ? ruleset(random, profile, 4) : '',
    rulesV6: families.includes(6) ? ruleset(random, profile, 6) : '',
    ipsets: profile.sets ? generateSets(random, families[0]) : '',
    packets,
  };
}
