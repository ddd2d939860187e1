import { declareType } from './declare-type.ts';
import type { Keyword, SetTypeSyntax } from './type-syntax.ts';

const VALUES: readonly Keyword[] = ['packets', 'bytes', 'elementComment', 'skbmark', 'skbprio', 'skbqueue'];
const ENTRY: readonly Keyword[] = ['timeout', ...VALUES];
const NET_ENTRY: readonly Keyword[] = ['timeout', 'nomatch', ...VALUES];
const EXTENSIONS: readonly Keyword[] = ['timeout', 'counters', 'comment', 'skbinfo'];
const FAMILY: readonly Keyword[] = ['family', 'inet', 'inet6'];
const SIZES: readonly Keyword[] = ['hashsize', 'maxelem'];
const HASH_EXTENSIONS: readonly Keyword[] = [
  'timeout',
  'counters',
  'comment',
  'forceadd',
  'skbinfo',
  'bucketsize',
  'initval',
];
const HASH: readonly Keyword[] = [...FAMILY, ...SIZES, ...HASH_EXTENSIONS];
/** Of older versions: read, warned of, without effect. */
const IGNORED: readonly Keyword[] = ['probes', 'resize', 'ignoredFrom', 'ignoredTo', 'ignoredNetwork'];

const BITMAP_RANGE = { need: ['ip', 'ipTo'], help: 'range IP/CIDR|FROM-TO' } as const;

const FAMILY_USAGE = 'where depending on the INET family';
const AN_IP = 'IP is a valid IPv4 or IPv6 address (or hostname)';
const CIDR = 'CIDR is a valid IPv4 or IPv6 CIDR prefix.';
const RANGES = 'Adding/deleting multiple elements in IP/CIDR or FROM-TO form';
const FIRST_RANGES = [RANGES, 'in the first IP component is supported for IPv4.'];
const PORT_RANGES = [
  'Adding/deleting multiple elements with TCP/SCTP/UDP/UDPLITE',
  'port range is supported both for IPv4 and IPv6.',
];

const PLAIN_REVISIONS = ['Initial revision', 'counters support', 'comment support', 'skbinfo support'];
const AFTER_COUNTERS = ['comment support', 'forceadd support', 'skbinfo support', 'bucketsize, initval support'];
const NET_REVISIONS = ['nomatch flag support', 'counters support', ...AFTER_COUNTERS];
const PORT_NET_REVISIONS = ['SCTP and UDPLITE support', 'Add/del range support', ...NET_REVISIONS];
const YOUNG_REVISIONS = ['initial revision', 'forceadd support', 'skbinfo support', 'bucketsize, initval support'];
const MAC_REVISIONS = ['Initial revision', 'bucketsize, initval support'];

/** All set types of ipset 7.17 (their highest revision), in the order in which `ipset help` lists them. */
export const SET_TYPES: readonly SetTypeSyntax[] = [
  declareType({
    name: 'list:set',
    alias: 'setlist',
    family: 'none',
    parts: ['setName'],
    create: ['size', ...EXTENSIONS],
    add: ['timeout', 'before', 'after', ...VALUES],
    del: ['before', 'after'],
    test: ['before', 'after'],
    element: 'NAME [before|after NAME]',
    usage: ['where NAME are existing set names.'],
    since: 0,
    revisions: PLAIN_REVISIONS,
  }),
  declareType({
    name: 'hash:mac',
    alias: 'machash',
    family: 'none',
    parts: ['ether'],
    create: [...SIZES, ...HASH_EXTENSIONS],
    add: ENTRY,
    element: 'MAC',
    usage: [],
    since: 0,
    revisions: MAC_REVISIONS,
  }),
  declareType({
    name: 'hash:ip,mac',
    alias: 'ipmachash',
    family: 'both',
    parts: ['oneIp', 'ether'],
    create: HASH,
    add: ENTRY,
    element: 'IP,MAC',
    usage: [FAMILY_USAGE, `${AN_IP},`, 'MAC is a MAC address.'],
    since: 0,
    revisions: MAC_REVISIONS,
  }),
  declareType({
    name: 'hash:net,iface',
    alias: 'netifacehash',
    family: 'both',
    parts: ['net', 'iface'],
    create: HASH,
    add: ['timeout', 'nomatch', 'wildcard', ...VALUES],
    test: ['nomatch'],
    element: 'IP[/CIDR]|FROM-TO,[physdev:]IFACE',
    tested: 'IP[/CIDR],[physdev:]IFACE',
    usage: [FAMILY_USAGE, `${AN_IP},`, CIDR, 'Adding/deleting multiple elements with IPv4 is supported.'],
    since: 0,
    revisions: [
      'Initial revision',
      'nomatch flag support',
      '/0 network support',
      'counters support',
      'comment support',
      'forceadd support',
      'skbinfo support',
      'skbinfo and wildcard support',
      'bucketsize, initval support',
    ],
  }),
  declareType({
    name: 'hash:net,port',
    alias: 'netporthash',
    family: 'both',
    parts: ['net', 'port'],
    create: HASH,
    add: NET_ENTRY,
    test: ['nomatch'],
    element: 'IP[/CIDR]|FROM-TO,[PROTO:]PORT',
    tested: 'IP[/CIDR],[PROTO:]PORT',
    usage: [FAMILY_USAGE, `${AN_IP},`, CIDR, ...PORT_RANGES],
    portUsage: true,
    since: 1,
    revisions: PORT_NET_REVISIONS,
  }),
  declareType({
    name: 'hash:net,port,net',
    alias: 'netportnethash',
    family: 'both',
    parts: ['net', 'port', 'secondNet'],
    create: HASH,
    add: NET_ENTRY,
    test: ['nomatch'],
    element: 'IP[/CIDR],[PROTO:]PORT,IP[/CIDR]',
    usage: [
      FAMILY_USAGE,
      'IP are valid IPv4 or IPv6 addresses (or hostnames),',
      CIDR,
      RANGES,
      'in both IP components are supported for IPv4.',
      ...PORT_RANGES,
    ],
    portUsage: true,
    since: 0,
    revisions: YOUNG_REVISIONS,
  }),
  declareType({
    name: 'hash:net,net',
    alias: 'netnethash',
    family: 'both',
    parts: ['net', 'secondNet'],
    create: [...HASH, 'bitmask', 'netmask'],
    add: NET_ENTRY,
    test: ['nomatch'],
    element: 'IP[/CIDR]|FROM-TO,IP[/CIDR]|FROM-TO',
    tested: 'IP[/CIDR],IP[/CIDR]',
    usage: [FAMILY_USAGE, 'IP is an IPv4 or IPv6 address (or hostname),', CIDR, 'IP range is not supported with IPv6.'],
    since: 0,
    revisions: [...YOUNG_REVISIONS, 'netmask and bitmask support'],
  }),
  declareType({
    name: 'hash:net',
    alias: 'nethash',
    family: 'both',
    parts: ['net'],
    create: [...HASH, 'probes', 'resize'],
    add: NET_ENTRY,
    test: ['nomatch'],
    element: 'IP[/CIDR]',
    usage: [FAMILY_USAGE, 'IP is an IPv4 or IPv6 address (or hostname),', CIDR],
    since: 0,
    revisions: ['Initial revision', 'Add/del range support', ...NET_REVISIONS],
  }),
  declareType({
    name: 'hash:ip,port,net',
    alias: 'ipportnethash',
    family: 'both',
    parts: ['ip', 'port', 'secondNet'],
    create: [...HASH, ...IGNORED],
    add: NET_ENTRY,
    test: ['nomatch'],
    element: 'IP,[PROTO:]PORT,IP[/CIDR]',
    usage: [FAMILY_USAGE, 'IP are valid IPv4 or IPv6 addresses (or hostnames),', CIDR, ...FIRST_RANGES, ...PORT_RANGES],
    portUsage: true,
    since: 1,
    revisions: PORT_NET_REVISIONS,
  }),
  declareType({
    name: 'hash:ip,port,ip',
    alias: 'ipportiphash',
    family: 'both',
    parts: ['ip', 'port', 'secondIp'],
    create: [...HASH, ...IGNORED],
    add: ENTRY,
    element: 'IP,[PROTO:]PORT,IP',
    usage: [FAMILY_USAGE, `${AN_IP}.`, ...FIRST_RANGES, ...PORT_RANGES],
    portUsage: true,
    since: 1,
    revisions: ['SCTP and UDPLITE support', 'counters support', ...AFTER_COUNTERS],
  }),
  declareType({
    name: 'hash:ip,mark',
    alias: 'ipmarkhash',
    family: 'both',
    parts: ['rangeIp', 'mark'],
    create: [...FAMILY, 'markmask', ...SIZES, ...HASH_EXTENSIONS, ...IGNORED],
    add: ENTRY,
    element: 'IP,MARK',
    usage: [
      FAMILY_USAGE,
      `${AN_IP}.`,
      RANGES,
      'is supported for IPv4.',
      'Adding/deleting single mark element',
      'is supported both for IPv4 and IPv6.',
    ],
    since: 0,
    revisions: YOUNG_REVISIONS,
  }),
  declareType({
    name: 'hash:ip,port',
    alias: 'ipporthash',
    family: 'both',
    parts: ['ip', 'port'],
    create: [...HASH, 'netmask', 'bitmask', ...IGNORED],
    add: ENTRY,
    element: 'IP,[PROTO:]PORT',
    usage: [FAMILY_USAGE, `${AN_IP}.`, RANGES, 'is supported for IPv4.', ...PORT_RANGES],
    portUsage: true,
    since: 1,
    revisions: ['SCTP and UDPLITE support', 'counters support', ...AFTER_COUNTERS, 'netmask and bitmask support'],
  }),
  declareType({
    name: 'hash:ip',
    alias: 'iphash',
    family: 'both',
    parts: ['rangeIp'],
    create: [...FAMILY, ...SIZES, 'netmask', 'bitmask', ...HASH_EXTENSIONS, 'probes', 'resize', 'gc'],
    add: ENTRY,
    element: 'IP',
    usage: [FAMILY_USAGE, `${AN_IP},`, CIDR, RANGES, 'is supported for IPv4.'],
    since: 0,
    revisions: ['Initial revision', 'counters support', ...AFTER_COUNTERS, 'bitmask support'],
  }),
  declareType({
    name: 'bitmap:port',
    alias: 'portmap',
    family: 'none',
    parts: ['bitmapPort'],
    create: ['portRange', ...EXTENSIONS, 'fromPort', 'toPort'],
    range: { need: ['port', 'portTo'], help: 'range [PROTO:]FROM-TO' },
    add: ENTRY,
    element: '[PROTO:]PORT|FROM-TO',
    tested: '[PROTO:]PORT',
    usage: [
      'where PORT, FROM and TO are port numbers or port names from /etc/services.',
      'PROTO is only needed if a service name is used and it does not exist',
      'as a TCP service; just the resolved service numer is stored in the set.',
    ],
    since: 0,
    revisions: PLAIN_REVISIONS,
  }),
  declareType({
    name: 'bitmap:ip,mac',
    alias: 'macipmap',
    family: 'inet',
    parts: ['hostIp', 'optionalEther'],
    create: ['ipRange', ...EXTENSIONS, 'fromIp', 'toIp', 'network'],
    range: BITMAP_RANGE,
    add: ENTRY,
    element: 'IP[,MAC]',
    usage: [
      'where IP, FROM and TO are IPv4 addresses (or hostnames),',
      'CIDR is a valid IPv4 CIDR prefix.',
      'MAC is a valid MAC address.',
    ],
    since: 0,
    revisions: PLAIN_REVISIONS,
  }),
  declareType({
    name: 'bitmap:ip',
    alias: 'ipmap',
    family: 'inet',
    parts: ['bitmapIp'],
    create: ['ipRange', 'netmask', ...EXTENSIONS, 'fromIp', 'toIp', 'network'],
    range: BITMAP_RANGE,
    add: ENTRY,
    element: 'IP|IP/CIDR|FROM-TO',
    tested: 'IP',
    usage: ['where IP, FROM and TO are IPv4 addresses (or hostnames),', 'CIDR is a valid IPv4 CIDR prefix.'],
    since: 0,
    revisions: PLAIN_REVISIONS,
  }),
];

const BY_NAME = new Map<string, SetTypeSyntax>();
for (const type of SET_TYPES) for (const name of [type.name, ...type.aliases]) BY_NAME.set(name, type);

/** A set type by its name or an old name for it. */
export function setTypeByName(name: string): SetTypeSyntax | undefined {
  return BY_NAME.get(name);
}
