import type { Random } from '../random.ts';
import type { Family } from './packets.ts';
import { PORTS } from './packets.ts';
import type { Site } from './site.ts';

/** Sets of a scenario: name, number of `src`/`dst` that a rule gives, what an element looks like. */
interface SetPlan {
  name: string;
  dimension: number;
  create: string;
  element: (random: Random, family: Family) => string;
}

const ADDRESSES: Readonly<Record<Family, string[]>> = {
  4: [
    '10.0.0.10',
    '10.0.0.11',
    '10.0.2.20',
    '10.0.2.21',
    '198.51.100.7',
    '203.0.113.5',
    '192.0.2.77',
    '192.0.2.1',
    '10.0.0.1',
  ],
  6: ['2001:db8:1::10', '2001:db8:1::11', '2001:db8:2::20', '2001:db8:f::7', '2001:db8::77', '2001:db8::1'],
};
const NETWORKS: Readonly<Record<Family, string[]>> = {
  4: [
    '10.0.0.0/24',
    '10.0.0.8/29',
    '10.0.2.20',
    '198.51.100.0/24',
    '203.0.113.0/25',
    '0.0.0.0/1',
    '192.0.2.64/26',
    '10.0.2.0/23',
  ],
  6: ['2001:db8:1::/64', '2001:db8::/32', '2001:db8:2::20', '2001:db8:f::/48', '2000::/3'],
};

const ip = (r: Random, f: Family): string => r.pick(ADDRESSES[f]);
const net = (r: Random, f: Family): string => r.pick(NETWORKS[f]);
const port = (r: Random, f: Family): string =>
  r.pick([
    () => `tcp:${r.pick(PORTS)}`,
    () => `udp:${r.pick(PORTS)}`,
    () => (f === 4 ? r.pick(['icmp:8/0', 'icmp:0/0', 'icmp:3/1']) : r.pick(['icmpv6:128/0', 'icmpv6:129/0'])),
    () => r.pick(['esp:0', 'udplite:53', 'sctp:80']),
  ])();

const PLANS: readonly SetPlan[] = [
  { name: 'ips', dimension: 1, create: 'hash:ip', element: ip },
  { name: 'masked', dimension: 1, create: 'hash:ip netmask 28', element: ip },
  { name: 'tiny', dimension: 1, create: 'hash:ip maxelem 2 forceadd', element: ip },
  { name: 'nets', dimension: 1, create: 'hash:net', element: net },
  { name: 'ipports', dimension: 2, create: 'hash:ip,port', element: (r, f) => `${ip(r, f)},${port(r, f)}` },
  { name: 'netports', dimension: 2, create: 'hash:net,port', element: (r, f) => `${net(r, f)},${port(r, f)}` },
  {
    name: 'triples',
    dimension: 3,
    create: 'hash:ip,port,ip',
    element: (r, f) => `${ip(r, f)},${port(r, f)},${ip(r, f)}`,
  },
  {
    name: 'flows',
    dimension: 3,
    create: 'hash:ip,port,net',
    element: (r, f) => `${ip(r, f)},${port(r, f)},${net(r, f)}`,
  },
  {
    name: 'devs',
    dimension: 2,
    create: 'hash:net,iface',
    element: (r, f) => `${net(r, f)},${r.pick(['eth0', 'eth1', 'eth2', 'lo'])}`,
  },
];

/** Sets that only IPv4 packets can be looked up in. */
const IPV4_PLANS: readonly SetPlan[] = [
  {
    name: 'map',
    dimension: 1,
    create: 'bitmap:ip range 10.0.0.0/16',
    element: (r) => r.pick(['10.0.0.10', '10.0.2.20', '10.0.0.1']),
  },
  {
    name: 'macs',
    dimension: 2,
    create: 'bitmap:ip,mac range 10.0.0.0/16',
    element: (r) =>
      `${r.pick(['10.0.0.10', '10.0.0.11', '10.0.2.21'])}${r.pick(['', ',02:00:00:00:ff:11', ',02:00:00:00:ff:12'])}`,
  },
];

const PORT_PLAN: SetPlan = {
  name: 'ports',
  dimension: 1,
  create: 'bitmap:port range 0-9000',
  element: (r) => String(r.pick(PORTS.filter((number) => number <= 9000))),
};

function plansOf(family: Family): SetPlan[] {
  return [...PLANS, PORT_PLAN, ...(family === 4 ? IPV4_PLANS : [])];
}

/** `ipset restore` text of the sets that `-m set` and `-j SET` of generated rules use. */
export function generateSets(random: Random, family: Family): string {
  const lines: string[] = [];
  for (const plan of plansOf(family)) {
    const hash = plan.create.startsWith('hash');
    const counters = random.chance(0.6);
    const skbinfo = random.chance(0.4);
    const netmask = family === 6 ? plan.create.replace('netmask 28', 'netmask 60') : plan.create;
    const extras = [
      hash && family === 6 ? 'family inet6' : '',
      counters ? 'counters' : '',
      skbinfo ? 'skbinfo' : '',
      random.chance(0.3) ? 'timeout 86400' : '',
      random.chance(0.15) ? 'comment' : '',
    ];
    lines.push(`create ${plan.name} ${[netmask, ...extras].filter((word) => word !== '').join(' ')}`);
    const seen = new Set<string>();
    for (let i = random.int(0, 6); i > 0; i--) {
      const element = plan.element(random, family);
      // What would be the same element to the set must not come twice.
      let key = element;
      if (plan.create.startsWith('bitmap')) key = element.split(',')[0]!;
      else if (plan.name === 'masked') key = element.replace(/[.:][^.:]*$/, '');
      if (plan.name === 'tiny' || seen.has(key)) continue;
      seen.add(key);
      const nomatch = /net/.test(plan.create.split(' ')[0]!) && random.chance(0.2) ? ' nomatch' : '';
      lines.push(`add ${plan.name} ${element}${nomatch}${values(random, extras)}`);
    }
  }
  for (const list of LISTS) {
    const extras = ['counters', 'skbinfo', 'timeout 86400'].map((word) => (random.chance(0.4) ? word : ''));
    lines.push(['create', list, 'list:set', ...extras.filter((word) => word !== '')].join(' '));
    for (const name of ['ips', 'nets', 'ipports', 'ports', 'masked', 'devs']) {
      if (random.chance(0.5)) lines.push(`add ${list} ${name}${values(random, extras)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

const LISTS = ['all', 'some'];

/** What an element of a set with these extensions has beside itself. */
function values(random: Random, extensions: readonly string[]): string {
  const words: string[] = [];
  if (extensions.includes('counters') && random.chance(0.3)) {
    words.push(`packets ${random.int(0, 3)} bytes ${random.int(0, 300)}`);
  }
  if (extensions.includes('skbinfo') && random.chance(0.6)) {
    words.push(`skbmark 0x${random.int(1, 15).toString(16)}${random.pick(['', '/0xff', '/0x3'])}`);
    if (random.chance(0.3)) words.push(`skbprio 1:${random.int(1, 9)}`);
    if (random.chance(0.2)) words.push('skbqueue 0');
  }
  if (extensions.includes('timeout 86400') && random.chance(0.2))
    words.push(random.pick(['timeout 0', 'timeout 3600']));
  return words.map((word) => ` ${word}`).join('');
}

function sides(random: Random, dimension: number): string {
  return Array.from({ length: dimension }, () => random.pick(['src', 'dst'])).join(',');
}

function use(random: Random, family: Family): string {
  const plan = random.pick(plansOf(family));
  if (random.chance(0.15)) return `${random.pick(LISTS)} ${sides(random, random.int(1, 3))}`;
  return `${plan.name} ${sides(random, plan.dimension)}`;
}

export function setMatch(random: Random, { family }: Site): string {
  const options = [
    random.chance(0.15) ? '--return-nomatch' : '',
    random.chance(0.15) ? '! --update-counters' : '',
    random.chance(0.1) ? '! --update-subcounters' : '',
    random.chance(0.2)
      ? random.pick(['--packets-gt 1', '--packets-lt 2', '--packets-eq 2', '! --packets-eq 1', '--packets-eq 0'])
      : '',
    random.chance(0.1) ? random.pick(['--bytes-gt 100', '--bytes-lt 200', '! --bytes-eq 40', '--bytes-eq 40']) : '',
  ];
  const words = [`-m set ${random.chance(0.25) ? '! ' : ''}--match-set ${use(random, family)}`, ...options];
  return words.filter((word) => word !== '').join(' ');
}

/** Where priority and queue of a packet may be set (set_target_v3_checkentry). */
const QUEUEING = ['FORWARD', 'OUTPUT', 'POSTROUTING'];

export function setTarget(random: Random, { family, table, hook }: Site): string {
  const add = `--add-set ${use(random, family)}${random.pick(['', ' --exist', ' --exist --timeout 600', ' --timeout 0', ' --timeout 7200'])}`;
  const del = `--del-set ${use(random, family)}`;
  const queues = QUEUEING.includes(hook) ? ['--map-prio', '--map-queue', '--map-mark --map-prio'] : [];
  const what = random.pick(['--map-mark', '--map-mark', ...queues]);
  const map = table === 'mangle' && random.chance(0.4) ? `--map-set ${use(random, family)} ${what}` : add;
  return `SET ${random.pick([add, add, del, map, `${add} ${del}`, map === add ? `${add} ${del}` : `${map} ${add}`])}`;
}
