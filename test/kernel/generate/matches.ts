import type { Random } from '../random.ts';
import { type Family, PORTS } from './packets.ts';

/** What a rule's context allows. */
export interface Site {
  family: Family;
  table: string;
  /** Base chain from which the rule is reached. */
  hook: string;
  bridged: boolean;
  /** Protocol given with -p, '' for none. */
  protocol: string;
}

type Maker = (random: Random, site: Site) => string | null;

const not = (random: Random): string => (random.chance(0.25) ? '! ' : '');
const range = (random: Random, low: number, high: number): string => {
  const a = random.int(low, high);
  return random.chance(0.5) ? String(a) : `${a}:${random.int(a, high)}`;
};
const port = (random: Random): string =>
  random.chance(0.7) ? String(random.pick(PORTS)) : random.pick(['0:1023', '1024:65535', '80:', ':100', '50:90']);
const only =
  (protocols: string[], make: Maker): Maker =>
  (random, site) =>
    protocols.includes(site.protocol) ? make(random, site) : null;
const v4 =
  (make: Maker): Maker =>
  (random, site) =>
    site.family === 4 ? make(random, site) : null;
const v6 =
  (make: Maker): Maker =>
  (random, site) =>
    site.family === 6 ? make(random, site) : null;

/** One random use of each match extension whose result is the same in every run of the kernel. */
export const MATCHES: Record<string, Maker> = {
  tcp: only(['tcp'], (r) =>
    r.pick([
      () => `-m tcp ${not(r)}--dport ${port(r)}`,
      () => `-m tcp ${not(r)}--sport ${port(r)}`,
      () => `-m tcp ${not(r)}--syn`,
      () =>
        `-m tcp ${not(r)}--tcp-flags ${r.pick(['SYN,ACK', 'ALL', 'FIN,SYN,RST,ACK', 'RST', 'PSH,ACK'])} ${r.pick(['SYN', 'ACK', 'NONE', 'SYN,ACK', 'RST'])}`,
      () => `-m tcp ${not(r)}--tcp-option ${r.pick([2, 3, 4, 8, 5])}`,
    ])(),
  ),
  udp: only(['udp'], (r) => `-m udp ${not(r)}--${r.pick(['dport', 'sport'])} ${port(r)}`),
  icmp: v4(only(['icmp'], (r) => `-m icmp ${not(r)}--icmp-type ${r.pick(['8', '0', '3', '3/1', '11', '13', 'any'])}`)),
  icmp6: v6(only(['ipv6-icmp'], (r) => `-m icmp6 ${not(r)}--icmpv6-type ${r.pick(['128', '129', '1', '1/4', '3'])}`)),
  multiport: only(
    ['tcp', 'udp', 'udplite', 'sctp'],
    (r) =>
      `-m multiport ${not(r)}--${r.pick(['dports', 'sports', 'ports'])} ${r.pick(['22,80,443', '1:1023', '53,5353,8000:9000', '1024:65535'])}`,
  ),
  conntrack: (r, site) =>
    r.pick([
      () =>
        `-m conntrack ${not(r)}--ctstate ${r.pick(['NEW', 'ESTABLISHED', 'RELATED', 'INVALID', 'RELATED,ESTABLISHED', 'NEW,INVALID', 'SNAT', 'DNAT', 'UNTRACKED'])}`,
      () => `-m conntrack ${not(r)}--ctstatus ${r.pick(['SEEN_REPLY', 'ASSURED', 'CONFIRMED', 'NONE', 'EXPECTED'])}`,
      () => `-m conntrack --ctdir ${r.pick(['ORIGINAL', 'REPLY'])}`,
      () => `-m conntrack ${not(r)}--ctproto ${r.pick(['tcp', 'udp', site.family === 4 ? 'icmp' : 'ipv6-icmp'])}`,
      () => `-m conntrack ${not(r)}--ctorigdstport ${r.pick(PORTS)}`,
      () =>
        site.family === 4
          ? `-m conntrack ${not(r)}--ctorigsrc 10.0.0.0/24`
          : `-m conntrack ${not(r)}--ctorigsrc 2001:db8:1::/64`,
      () =>
        site.family === 4
          ? `-m conntrack ${not(r)}--ctrepldst ${r.pick(['192.0.2.1', '10.0.0.0/8'])}`
          : `-m conntrack ${not(r)}--ctrepldst 2001:db8::/64`,
      () => `-m conntrack ${not(r)}--ctexpire ${r.pick(['0:60', '100:200', '300:500000'])}`,
    ])(),
  state: (r) => `-m state ${not(r)}--state ${r.pick(['NEW', 'ESTABLISHED', 'RELATED', 'INVALID'])}`,
  mark: (r) => `-m mark ${not(r)}--mark ${r.pick(['0x0', '0x1', '0x1/0x1', '0x2/0xf', '0x10/0xf0'])}`,
  connmark: (r) => `-m connmark ${not(r)}--mark ${r.pick(['0x0', '0x1', '0x5/0xf'])}`,
  comment: () => '-m comment --comment "a comment"',
  iprange: (r, site) =>
    site.family === 4
      ? `-m iprange ${not(r)}--${r.pick(['src', 'dst'])}-range ${r.pick(['10.0.0.5-10.0.0.11', '192.0.2.0-203.0.113.255'])}`
      : `-m iprange ${not(r)}--src-range 2001:db8:1::1-2001:db8:1::10`,
  limit: (r) => `-m limit --limit ${r.pick(['1/hour', '5/day', '2/hour'])} --limit-burst ${r.int(1, 6)}`,
  hashlimit: (r) =>
    `-m hashlimit --hashlimit-${r.pick(['upto', 'above'])} ${r.pick(['1/hour', '3/hour'])} --hashlimit-burst ${r.int(2, 5)} --hashlimit-mode ${r.pick(['srcip', 'dstip', 'srcip,dstport', 'srcip,dstip'])} --hashlimit-name h${r.int(0, 1e6)}${r.chance(0.3) ? ' --hashlimit-srcmask 24' : ''}`,
  connlimit: (r) =>
    `-m connlimit --connlimit-${r.pick(['above', 'upto'])} ${r.int(0, 3)} ${r.pick(['', '--connlimit-daddr', '--connlimit-mask 24'])}`.trim(),
  mac: (r, site) =>
    ['PREROUTING', 'INPUT', 'FORWARD'].includes(site.hook)
      ? `-m mac ${not(r)}--mac-source ${r.pick(['02:00:00:00:ff:11', '02:00:00:00:ff:12', 'fa:16:3e:00:00:11'])}`
      : null,
  addrtype: (r, site) =>
    `-m addrtype ${not(r)}--${r.pick(['src', 'dst'])}-type ${r.pick(site.family === 4 ? ['LOCAL', 'UNICAST', 'BROADCAST', 'MULTICAST', 'LOCAL,BROADCAST'] : ['LOCAL', 'UNICAST', 'MULTICAST'])}`,
  physdev: (r, site) =>
    !site.bridged
      ? null
      : site.hook === 'FORWARD'
        ? `-m physdev ${r.pick([`${not(r)}--physdev-in tap1`, `${not(r)}--physdev-is-bridged`, `--physdev-in tap2 --physdev-is-bridged`, '--physdev-out tap1 --physdev-is-bridged', `${not(r)}--physdev-is-in`])}`
        : site.hook === 'PREROUTING' || site.hook === 'INPUT'
          ? `-m physdev ${not(r)}--physdev-in ${r.pick(['tap1', 'tap+', 'qvb1'])}`
          : null,
  statistic: (r) => `-m statistic --mode nth ${not(r)}--every ${r.int(1, 4)} --packet 0`,
  length: (r) => `-m length ${not(r)}--length ${range(r, 20, 200)}`,
  ttl: v4((r) => `-m ttl ${r.pick([`${not(r)}--ttl-eq 64`, '--ttl-gt 63', '--ttl-lt 64', '--ttl-eq 63'])}`),
  hl: v6((r) => `-m hl ${r.pick([`${not(r)}--hl-eq 64`, '--hl-gt 63', '--hl-lt 64'])}`),
  tos: (r) => `-m tos ${not(r)}--tos ${r.pick(['0x10', '0x08/0x0f', '0x00', 'Minimize-Delay'])}`,
  dscp: (r) => `-m dscp ${not(r)}--dscp ${r.pick(['0x00', '0x0a', '0x2e', '0x04'])}`,
  ecn: (r, site) =>
    r.pick([
      `-m ecn ${not(r)}--ecn-ip-ect ${r.int(0, 3)}`,
      ...(site.protocol === 'tcp' ? [`-m ecn ${not(r)}--ecn-tcp-ece`, `-m ecn ${not(r)}--ecn-tcp-cwr`] : []),
    ]),
  pkttype: (r) => `-m pkttype ${not(r)}--pkt-type ${r.pick(['unicast', 'broadcast', 'multicast'])}`,
  connbytes: (r) =>
    `-m connbytes ${not(r)}--connbytes ${r.pick(['1:3', '2:', '0:100', '100:200'])} --connbytes-dir ${r.pick(['original', 'reply', 'both'])} --connbytes-mode ${r.pick(['packets', 'bytes', 'avgpkt'])}`,
  tcpmss: only(['tcp'], (r) => `-m tcpmss ${not(r)}--mss ${r.pick(['1460', '1000:1460', '500:900'])}`),
  string: (r) =>
    `-m string --algo ${r.pick(['bm', 'kmp'])} ${not(r)}--string ${r.pick(['GET', 'ping', 'question', 'nothing'])}${r.chance(0.3) ? ' --from 20 --to 60' : ''}${r.chance(0.2) ? ' --icase' : ''}`,
  u32: v4(
    (r) =>
      `-m u32 ${not(r)}--u32 ${r.pick(['"6&0xFF=1"', '"6&0xFF=6,17"', '"0>>22&0x3C@0>>16=1024:65535"', '"4&0x3FFF=0"'])}`,
  ),
  recent: (r) => {
    const name = `--name r${r.int(0, 2)} ${r.pick(['--rsource', '--rdest'])}`;
    return r.pick([
      `-m recent --set ${name}`,
      `-m recent ${not(r)}--rcheck ${name}`,
      `-m recent ${not(r)}--update --hitcount ${r.int(1, 3)} ${name}`,
      `-m recent --remove ${name}`,
    ]);
  },
  quota: (r) => `-m quota --quota ${r.int(40, 1000)}`,
  rpfilter: (r, site) =>
    site.hook === 'PREROUTING' && (site.table === 'raw' || site.table === 'mangle')
      ? `-m rpfilter ${r.pick(['', '--loose', '--invert', '--accept-local', '--validmark'])}`.trim()
      : null,
  helper: (r) => `-m helper ${not(r)}--helper ftp`,
  socket: (r, site) =>
    ['PREROUTING', 'INPUT'].includes(site.hook)
      ? `-m socket ${r.pick(['', '--nowildcard', '--transparent'])}`.trim()
      : null,
  esp: only(['esp'], (r) => `-m esp ${not(r)}--espspi ${range(r, 0, 0x7fffffff)}`),
  sctp: only(['sctp'], (r) => `-m sctp ${not(r)}--dport ${port(r)}`),
  frag: v6((r) => `-m frag ${r.pick(['--fragfirst', '--fragmore', '--fraglast', `${not(r)}--fragid 0:4294967295`])}`),
  ipv6header: v6(
    (r) =>
      `-m ipv6header ${not(r)}--header ${r.pick(['dst', 'frag', 'prot', 'dst,prot'])}${r.chance(0.5) ? ' --soft' : ''}`,
  ),
  dst: v6((r) => `-m dst ${r.pick(['--dst-opts 4', '--dst-len 8', '! --dst-len 8'])}`),
  cluster: (r) =>
    `-m cluster --cluster-total-nodes 2 --cluster-local-node ${r.int(1, 2)} --cluster-hash-seed 0x${r.int(1, 0xffff).toString(16)}`,
  bpf: v4(
    (r) =>
      `-m bpf --bytecode "${r.pick(['4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0', '4,48 0 0 9,21 0 1 17,6 0 0 1,6 0 0 0'])}"`,
  ),
  owner: (r, site) =>
    site.hook === 'OUTPUT' || site.hook === 'POSTROUTING'
      ? `-m owner ${r.pick([`${not(r)}--uid-owner 0`, '--socket-exists', `${not(r)}--gid-owner 1000`])}`
      : null,
  time: (r) =>
    `-m time ${r.pick(['--datestart 2020-01-01', '--datestop 2020-01-01', '--timestart 00:00 --timestop 23:59', '--weekdays Mon,Tue,Wed,Thu,Fri,Sat,Sun'])}`,
};
