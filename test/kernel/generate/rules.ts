import type { View } from '../frames.ts';
import type { Random } from '../random.ts';
import { MATCHES } from './matches.ts';
import type { Family } from './packets.ts';
import { setMatch, setTarget } from './sets.ts';
import type { Site } from './site.ts';
import { TARGETS } from './targets.ts';

/** What the rules of a scenario are drawn from. */
export interface RulePlan {
  tables: readonly string[];
  matches: readonly string[];
  targets: readonly string[];
  bridged: boolean;
  /** Probability that a rule only counts, so that those behind it are reached. */
  counting: number;
  /** Rules that stand first in their chains: `-A CHAIN ...` by table. */
  fixed: Readonly<Record<string, readonly string[]>>;
}

const MATCH_MAKERS = { ...MATCHES, set: setMatch };
const TARGET_MAKERS = { ...TARGETS, SET: setTarget };

const CHAINS: Readonly<Record<string, readonly string[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
};

const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  33: 'dccp',
  47: 'gre',
  50: 'esp',
  51: 'ah',
  58: 'ipv6-icmp',
  108: 'ipcomp',
  132: 'sctp',
  135: 'mobility-header',
  136: 'udplite',
};

function someAddress(random: Random, family: Family, bridged: boolean, aim: View | null): string {
  if (aim !== null && random.chance(0.6)) {
    const address = random.pick([aim.source, aim.destination]);
    return random.chance(0.7)
      ? address
      : `${address}/${family === 4 ? random.pick([8, 24, 31]) : random.pick([32, 64, 127])}`;
  }
  if (bridged)
    return family === 4
      ? random.pick(['172.16.0.11', '172.16.0.12', '172.16.0.0/24', '172.16.0.254'])
      : random.pick(['fd00::11', 'fd00::/64']);
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

/** The protocol of a rule: often one that a packet of the scenario has. */
function someProtocol(random: Random, family: Family, aim: View | null): string {
  if (!random.chance(0.6)) return '';
  const seen = aim === null ? undefined : PROTOCOLS[aim.protocol];
  if (seen !== undefined && random.chance(0.7)) return seen;
  return random.pick([
    'tcp',
    'tcp',
    'udp',
    family === 4 ? 'icmp' : 'ipv6-icmp',
    ...(random.chance(0.2) ? ['udplite', 'esp', 'sctp'] : []),
  ]);
}

/** What a rule's protocol must be for some matches and targets. */
const REQUIRED: Readonly<Record<string, string>> = {
  tcp: 'tcp',
  tcpmss: 'tcp',
  udp: 'udp',
  icmp: 'icmp',
  icmp6: 'ipv6-icmp',
  esp: 'esp',
  ipcomp: 'ipcomp',
  sctp: 'sctp',
  dccp: 'dccp',
  mh: 'mobility-header',
  ECN: 'tcp',
  TCPMSS: 'tcp',
  TCPOPTSTRIP: 'tcp',
  SYNPROXY: 'tcp',
  TPROXY: 'tcp',
};

/** The protocol that what is to be used needs, where one of it does. */
function requiredProtocol(random: Random, names: readonly string[]): string | null {
  const needed = names.flatMap((name) => REQUIRED[name] ?? []);
  if (needed.length === 0 || random.chance(0.15)) return null;
  const protocol = random.pick(needed);
  return protocol === 'tcp' && names.includes('TPROXY') && random.chance(0.4) ? 'udp' : protocol;
}

class RuleMaker {
  readonly #random: Random;
  readonly #plan: RulePlan;
  readonly #family: Family;
  readonly #views: readonly View[];

  constructor(random: Random, plan: RulePlan, family: Family, views: readonly View[]) {
    this.#random = random;
    this.#plan = plan;
    this.#family = family;
    this.#views = views;
  }

  /** One rule for `chain`, reached from the base chain `hook`; it may jump to `chains`. */
  rule(table: string, hook: string, chain: string, chains: readonly string[]): string {
    const random = this.#random;
    const { bridged, matches, targets, counting } = this.#plan;
    const family = this.#family;
    const wanted = random.pick([0, 1, 1, 1, 1, 2]);
    const names = [...new Set(Array.from({ length: wanted }, () => random.pick(matches)))];
    const target = random.chance(counting) ? null : random.pick(targets);
    const needed = requiredProtocol(random, target === null ? names : [...names, target]);
    const fitting = this.#views.filter(({ protocol: seen }) => needed === null || PROTOCOLS[seen] === needed);
    const aim = fitting.length > 0 && random.chance(0.8) ? random.pick(fitting) : null;
    const protocol = needed ?? someProtocol(random, family, aim);
    const site: Site = { family, table, hook, bridged, protocol, aim };
    const parts = [`-A ${chain}`];
    const negation = (): string => (random.chance(0.25) ? '! ' : '');
    if (random.chance(0.15)) parts.push(`${negation()}-s ${someAddress(random, family, bridged, aim)}`);
    if (random.chance(0.15)) parts.push(`${negation()}-d ${someAddress(random, family, bridged, aim)}`);
    const devices = bridged ? ['br0', 'tap1'] : ['eth0', 'eth1', 'eth+', 'lo'];
    if (random.chance(0.12) && ['PREROUTING', 'INPUT', 'FORWARD'].includes(hook))
      parts.push(`${negation()}-i ${random.pick(devices)}`);
    if (random.chance(0.12) && ['OUTPUT', 'FORWARD', 'POSTROUTING'].includes(hook))
      parts.push(`${negation()}-o ${random.pick(devices)}`);
    if (protocol !== '') parts.push(`-p ${protocol}`);
    if (family === 4 && random.chance(0.03)) parts.push(random.pick(['-f', '! -f']));
    for (const name of names) {
      const text = MATCH_MAKERS[name as keyof typeof MATCH_MAKERS](random, site);
      if (text !== null) parts.push(text);
    }
    const words = parts.join(' ');
    if (target === null) return words;
    if (chains.length > 0 && random.chance(0.15))
      return `${words} ${random.pick(['-j', '-j', '-g'])} ${random.pick(chains)}`;
    for (let tries = 0; tries < 10; tries++) {
      const name = tries === 0 ? target : random.pick(targets);
      const text = TARGET_MAKERS[name as keyof typeof TARGET_MAKERS](random, site);
      if (text === null) continue;
      // Legacy takes TCPMSS only where SYNs are asked for; nft's text keeps only one such option.
      const opening = text.startsWith('TCPMSS') ? ' -m tcp --tcp-flags SYN,RST SYN' : '';
      if (opening !== '' && words.includes('-m tcp ')) continue;
      return `${words}${opening} -j ${text}`;
    }
    return words;
  }

  table(table: string): string {
    const random = this.#random;
    const lines = [`*${table}`];
    for (const chain of CHAINS[table]!)
      lines.push(`:${chain} ${table !== 'nat' && random.chance(0.06) ? 'DROP' : 'ACCEPT'} [0:0]`);
    const hook = random.pick(CHAINS[table]!);
    const chains = table !== 'nat' && random.chance(0.6) ? ['user0', 'user1'] : [];
    for (const chain of chains) lines.push(`:${chain} - [0:0]`);
    lines.push(...(this.#plan.fixed[table] ?? []));
    for (const base of CHAINS[table]!) {
      // A user chain is jumped to from one base chain only, so that what its rules may use is known.
      for (let i = random.int(0, table === 'nat' ? 4 : 7); i > 0; i--)
        lines.push(this.rule(table, base, base, base === hook ? chains : []));
    }
    for (const chain of chains) {
      for (let i = random.int(1, 4); i > 0; i--)
        lines.push(this.rule(table, hook, chain, chain === 'user0' && random.chance(0.3) ? ['user1'] : []));
    }
    return `${[...lines, 'COMMIT'].join('\n')}\n`;
  }
}

/** Rules of a family in the plan's tables; `views` are packets that will come. */
export function ruleset(random: Random, plan: RulePlan, family: Family, views: readonly View[]): string {
  const tables = [...new Set(plan.tables)].filter((table) => table in plan.fixed || random.chance(0.8));
  if (tables.length === 0) tables.push('filter');
  const maker = new RuleMaker(random, plan, family, views);
  return tables.map((table) => maker.table(table)).join('');
}
