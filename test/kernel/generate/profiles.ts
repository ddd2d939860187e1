import { view } from '../frames.ts';
import { Random } from '../random.ts';
import type { HostDescription, PlannedPacket, Scenario } from '../scenario.ts';
import { application, helperRules } from './applications.ts';
import { crowd } from './crowds.ts';
import { discovery } from './discovery.ts';
import { bridgeHost, LISTENING, outspoken, type RouterKind, router } from './hosts.ts';
import { invalid } from './invalid.ts';
import { MATCHES } from './matches.ts';
import { burst, conversation, ends, type Family, oddity, toListeners } from './packets.ts';
import { extended, fragments, otherProtocol } from './protocols.ts';
import { type RulePlan, ruleset } from './rules.ts';
import { generateSets } from './sets.ts';
import { TARGETS } from './targets.ts';

/** Makes the packets of one occurrence; `at` is the index that the first of them will have. */
type PacketMaker = (random: Random, family: Family, at: number, bridged: boolean) => PlannedPacket[];

interface Profile {
  families: Family[];
  tables: string[];
  matches: string[];
  targets: string[];
  bridged?: boolean;
  /** Kinds of packets by probability; what is left are conversations. */
  packets?: [number, PacketMaker][];
  /** The scenario has sets, for the match `set` and the target `SET`. */
  sets?: boolean;
  router?: RouterKind;
  /** Probability that a rule only counts. */
  counting?: number;
  fixed?: (family: Family, random: Random) => Record<string, string[]>;
  /** Packets are spaced in time: microseconds to choose from. */
  gaps?: number[];
  /** Bounds of the number of packets. */
  size?: [number, number];
}

const COMMON = ['tcp', 'udp', 'icmp', 'icmp6', 'multiport', 'mark', 'iprange', 'addrtype', 'length', 'mac'];
const VERDICTS = ['ACCEPT', 'DROP', 'RETURN'];
/** Those that need more than the rule itself: a rule before them, or packets spaced in time. */
const PREPARED = ['rateest', 'spaced-limit', 'spaced-hashlimit', 'spaced-recent'];
const EVERY_MATCH = Object.keys(MATCHES).filter((name) => !PREPARED.includes(name));
/** The answers of SYNPROXY carry a number drawn at random, to which a conversation would refer. */
const EVERY_TARGET = Object.keys(TARGETS).filter((name) => name !== 'SYNPROXY' && !name.startsWith('drawn-'));

const odd: PacketMaker = (random, family, _, bridged) => oddity(random, family, bridged);
const between =
  (
    make: (
      random: Random,
      family: Family,
      at: number,
      from: ReturnType<typeof ends>['from'],
      to: string,
    ) => PlannedPacket[],
  ): PacketMaker =>
  (random, family, at, bridged) => {
    const { from, to } = ends(random, family, bridged);
    return make(random, family, at, from, to);
  };
const applications = between(application);
const crowds = between(crowd);
const neighbours = between((random, family, _, from, to) =>
  family === 6 && from.dev !== 'local' ? discovery(random, from, to) : [],
);
const protocols = between(otherProtocol);
const invalids = between(invalid);
const headers = between((random, family, _, from, to) => (family === 6 ? extended(random, from, to) : []));
const pieces = between((random, family, _, from, to) =>
  from.dev === 'local' ? [] : fragments(random, family, from, to),
);
const bursts: PacketMaker = (random, family) => burst(random, family);
const listeners: PacketMaker = (random, family) => toListeners(random, family, LISTENING);

const MASQUERADED = ['-A POSTROUTING -o eth0 -j MASQUERADE'];

/** What is seldom right, or seldom seen. */
const STRANGE: [number, PacketMaker][] = [
  [0.25, odd],
  [0.15, invalids],
  [0.15, headers],
  [0.1, pieces],
  [0.15, protocols],
  [0.05, neighbours],
  [0.05, listeners],
];

/** A rule by which all that goes out has its port drawn, often from fewer than are needed. */
function drawingForAll(random: Random, family: Family): string {
  const address = family === 4 ? '192.0.2.100' : '[2001:db8::10]';
  return `-A POSTROUTING -o eth0 ${random.pick([
    '-j MASQUERADE',
    '-j MASQUERADE --random',
    '-j MASQUERADE --random-fully',
    '-p tcp -j MASQUERADE --to-ports 7000-7002',
    `-p tcp -j SNAT --to-source ${address}:7000-7001`,
    `-p tcp -j SNAT --to-source ${address}:600-602 --random`,
    `-p udp -j SNAT --to-source ${address}:1024-1025 --random-fully`,
    `-p ${family === 4 ? 'icmp' : 'ipv6-icmp'} -j MASQUERADE --random`,
  ])}`;
}

export const PROFILES: Record<string, Profile> = {
  filter: {
    families: [4],
    tables: ['filter', 'mangle', 'raw'],
    matches: COMMON,
    targets: [...VERDICTS, 'REJECT', 'MARK', 'LOG'],
    packets: [[0.1, odd]],
  },
  state: {
    families: [4, 6],
    tables: ['filter', 'raw', 'mangle'],
    matches: [...COMMON, 'conntrack', 'conntrack', 'state', 'connmark', 'connbytes', 'connlabel'],
    targets: [...VERDICTS, 'CONNMARK', 'NOTRACK', 'CT'],
    packets: [
      [0.1, protocols],
      [0.25, invalids],
    ],
    router: 'tracked',
  },
  nat: {
    families: [4, 4, 6],
    tables: ['nat', 'nat', 'filter'],
    matches: ['tcp', 'udp', 'icmp', 'conntrack', 'multiport', 'addrtype'],
    targets: ['SNAT', 'MASQUERADE', 'DNAT', 'REDIRECT', 'NETMAP', 'ACCEPT', 'REJECT'],
    packets: [
      [0.1, bursts],
      [0.08, protocols],
      [0.05, pieces],
    ],
    counting: 0.25,
  },
  ports: {
    families: [4, 6],
    tables: ['nat', 'filter'],
    matches: ['conntrack', 'addrtype', 'tcp', 'udp'],
    targets: ['drawn-SNAT', 'drawn-MASQUERADE', 'drawn-DNAT', 'drawn-REDIRECT'],
    packets: [
      [0.7, crowds],
      [0.1, bursts],
    ],
    counting: 0.2,
    fixed: (family, random) => ({ nat: random.chance(0.6) ? [drawingForAll(random, family)] : [] }),
  },
  mangle: {
    families: [4, 6],
    tables: ['mangle', 'filter'],
    matches: [...COMMON, 'ttl', 'hl', 'tos', 'dscp', 'ecn', 'tcpmss', 'osf', 'osf'],
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
      'IDLETIMER',
      'CONNSECMARK',
      'AUDIT',
      ...VERDICTS,
    ],
    counting: 0.3,
  },
  limits: {
    families: [4, 6],
    tables: ['mangle', 'filter'],
    matches: ['limit', 'hashlimit', 'connlimit', 'recent', 'quota', 'statistic', 'connbytes', 'rateest', 'tcp', 'udp'],
    targets: ['ACCEPT', 'RETURN', 'MARK'],
    packets: [[0.4, bursts]],
    fixed: () => ({
      mangle: ['-A PREROUTING -j RATEEST --rateest-name re --rateest-interval 250ms --rateest-ewmalog 1s'],
    }),
  },
  time: {
    families: [4, 6],
    tables: ['filter'],
    matches: ['spaced-limit', 'spaced-hashlimit', 'spaced-recent', 'conntrack', 'conntrack', 'quota', 'time'],
    targets: ['ACCEPT', 'RETURN'],
    packets: [[0.4, bursts]],
    counting: 0.8,
    gaps: [0, 0, 130_000, 370_000, 730_000, 1_310_000],
    router: 'hasty',
    size: [6, 12],
  },
  ipv6: {
    families: [6],
    tables: ['filter', 'mangle', 'raw', 'nat'],
    matches: EVERY_MATCH,
    targets: [...VERDICTS, 'REJECT', 'MARK', 'SNAT', 'DNAT', 'MASQUERADE', 'REDIRECT', 'NETMAP', 'HL', 'SNPT', 'DNPT'],
    packets: [
      [0.15, odd],
      [0.15, headers],
      [0.1, protocols],
      [0.06, neighbours],
    ],
  },
  headers: {
    families: [6],
    tables: ['raw', 'mangle', 'filter'],
    matches: ['hbh', 'dst', 'rt', 'srh', 'frag', 'ah', 'mh', 'ipv6header', 'eui64', 'tcp', 'udp', 'icmp6', 'length'],
    targets: [...VERDICTS, 'REJECT', 'MARK', 'HL', 'NFLOG'],
    packets: [
      [0.7, headers],
      [0.1, pieces],
    ],
    counting: 0.7,
  },
  protocols: {
    families: [4, 6],
    tables: ['raw', 'mangle', 'filter'],
    matches: ['sctp', 'sctp', 'dccp', 'dccp', 'ah', 'esp', 'ipcomp', 'multiport', 'conntrack', 'state', 'policy'],
    targets: [...VERDICTS, 'REJECT', 'MARK', 'NOTRACK', 'NFLOG'],
    packets: [[0.85, protocols]],
    counting: 0.6,
  },
  helpers: {
    families: [4, 4, 6],
    tables: ['raw', 'nat', 'mangle', 'filter'],
    matches: ['helper', 'helper', 'conntrack', 'conntrack', 'tcp', 'state'],
    targets: ['ACCEPT', 'RETURN', 'CONNMARK', 'SNAT', 'DNAT', 'MASQUERADE'],
    packets: [[0.85, applications]],
    counting: 0.7,
    fixed: (family, random) => ({
      raw: helperRules(family),
      ...(random.chance(0.5) ? { nat: MASQUERADED } : {}),
    }),
  },
  bridge: {
    families: [4, 4, 6],
    tables: ['filter', 'mangle', 'raw', 'nat'],
    matches: [...COMMON, 'physdev', 'physdev', 'physdev', 'conntrack'],
    targets: [...VERDICTS, 'REJECT', 'MARK', 'LOG', 'NFLOG'],
    packets: [[0.12, pieces]],
    bridged: true,
  },
  reject: {
    families: [4, 6],
    tables: ['filter'],
    matches: COMMON,
    targets: ['REJECT', 'REJECT', 'ACCEPT'],
    packets: [[0.3, odd]],
  },
  odd: {
    families: [4, 6],
    tables: ['raw', 'mangle', 'filter'],
    matches: [...COMMON, 'conntrack', 'frag', 'u32', 'pkttype'],
    targets: [...VERDICTS, 'REJECT', 'MARK'],
    packets: [
      [0.6, odd],
      [0.15, invalids],
      [0.06, neighbours],
    ],
  },
  fragments: {
    families: [4, 6],
    tables: ['raw', 'mangle', 'filter'],
    matches: ['tcp', 'udp', 'multiport', 'length', 'frag', 'u32', 'ttl', 'mark'],
    targets: [...VERDICTS, 'MARK', 'TTL', 'HL', 'TOS', 'NFLOG'],
    packets: [[0.8, pieces]],
  },
  sets: {
    families: [4],
    tables: ['filter', 'mangle', 'raw'],
    matches: ['set', 'set', 'set', 'tcp', 'udp', 'mark'],
    targets: ['SET', 'SET', 'ACCEPT', 'MARK', 'RETURN'],
    packets: [[0.1, odd]],
    sets: true,
  },
  sets6: {
    families: [6],
    tables: ['filter', 'mangle', 'raw'],
    matches: ['set', 'set', 'set', 'tcp', 'udp', 'mark'],
    targets: ['SET', 'SET', 'ACCEPT', 'MARK', 'RETURN'],
    packets: [[0.1, odd]],
    sets: true,
  },
  routing: {
    families: [4, 6],
    tables: ['raw', 'mangle', 'filter'],
    matches: ['rpfilter', 'rpfilter', 'mark', 'addrtype', 'devgroup', 'realm', 'tcp', 'udp', 'connmark', 'cpu'],
    targets: ['ACCEPT', 'RETURN', 'MARK', 'MARK', 'CONNMARK', 'TOS', 'REJECT'],
    packets: [[0.2, odd]],
    router: 'crooked',
  },
  sockets: {
    families: [4, 6],
    tables: ['mangle', 'filter'],
    matches: ['socket', 'socket', 'mark', 'tcp', 'udp', 'owner', 'conntrack', 'cgroup'],
    targets: ['TPROXY', 'TPROXY', 'TPROXY', 'MARK', 'ACCEPT', 'RETURN', 'REJECT'],
    // A connection that a socket has accepted is none of iptsim's business: only its first packet is sent.
    packets: [
      [0.8, listeners],
      [0.1, odd],
      [0.1, protocols],
    ],
    router: 'listening',
  },
  synproxy: {
    families: [4, 6],
    tables: ['raw', 'filter'],
    matches: ['tcp', 'conntrack', 'state'],
    targets: ['SYNPROXY', 'SYNPROXY', 'ACCEPT', 'RETURN'],
    packets: [[1, listeners]],
    fixed: () => ({ raw: ['-A PREROUTING -p tcp -m tcp --syn -j CT --notrack'] }),
  },
  log: {
    families: [4, 6],
    tables: ['raw', 'mangle', 'nat', 'filter'],
    matches: COMMON,
    targets: ['LOG', 'LOG', 'NFLOG', 'NFLOG', 'MARK', 'TRACE', 'ACCEPT'],
    packets: [
      [0.1, invalids],
      [0.2, odd],
      [0.2, headers],
      [0.1, protocols],
    ],
    counting: 0.1,
  },
  // Rules that only count: each packet is held against nearly all of them.
  matches: {
    families: [4, 6],
    tables: ['raw', 'mangle', 'filter', 'security'],
    matches: EVERY_MATCH,
    targets: ['MARK', 'TTL', 'HL'],
    packets: STRANGE,
    counting: 0.93,
  },
  targets: {
    families: [4, 6],
    tables: ['raw', 'mangle', 'nat', 'filter'],
    matches: ['conntrack', 'addrtype'],
    targets: EVERY_TARGET,
    packets: STRANGE,
    counting: 0.1,
    router: 'crooked',
  },
  all: {
    families: [4, 6],
    tables: ['raw', 'mangle', 'nat', 'filter', 'security'],
    matches: EVERY_MATCH,
    targets: EVERY_TARGET,
    packets: [
      [0.15, odd],
      [0.1, protocols],
      [0.05, headers],
      [0.04, neighbours],
    ],
  },
};

function packetsOf(random: Random, profile: Profile, families: Family[]): PlannedPacket[] {
  const bridged = profile.bridged === true;
  const kinds = profile.packets ?? [[0.02, odd] satisfies [number, PacketMaker]];
  const packets: PlannedPacket[] = [];
  const count = random.int(...(profile.size ?? [12, 40]));
  while (packets.length < count) {
    const family = random.pick(families);
    let chance = random.next();
    const [, make] = kinds.find(([probability]) => {
      chance -= probability;
      return chance < 0;
    }) ?? [0, (r: Random, f: Family, at: number, b: boolean) => conversation(r, f, b, at)];
    packets.push(...make(random, family, packets.length, bridged));
  }
  const { gaps } = profile;
  return gaps === undefined ? packets : packets.map((packet) => ({ ...packet, gap: random.pick(gaps) }));
}

/** In these the kernel draws numbers that it would log. */
const QUIET = ['synproxy', 'sockets'];

function withSysctls(host: HostDescription, sysctl: Record<string, number>): HostDescription {
  return { ...host, sysctl: { ...host.sysctl, ...sysctl } };
}

/** The scenario of a seed; the same seed gives the same scenario. */
export function generate(profileName: string, seed: number): Scenario {
  const random = new Random(seed);
  const profile = PROFILES[profileName]!;
  const families = [random.pick(profile.families)];
  const packets = packetsOf(random, profile, families);
  const views = packets.flatMap(({ hex }) => (hex === undefined ? [] : (view(Buffer.from(hex, 'hex')) ?? [])));
  const plan = (family: Family): RulePlan => ({
    tables: profile.tables,
    matches: profile.matches,
    targets: profile.targets,
    bridged: profile.bridged === true,
    counting: profile.counting ?? 0.45,
    fixed: profile.fixed?.(family, random) ?? {},
  });
  const host = profile.bridged ? bridgeHost() : router(random, profile.router);
  // Drawn apart, so that the rest of a seed's scenario stays what it was.
  const settings = QUIET.includes(profileName) ? {} : outspoken(new Random(~seed), Object.keys(host.interfaces));
  return {
    name: `${profileName}-${seed}`,
    profile: profileName,
    seed,
    host: withSysctls(host, settings),
    rulesV4: families.includes(4) ? ruleset(random, plan(4), 4, views) : '',
    rulesV6: families.includes(6) ? ruleset(random, plan(6), 6, views) : '',
    ipsets: profile.sets ? generateSets(random, families[0]!) : '',
    packets,
  };
}
