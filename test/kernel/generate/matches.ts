import type { Random } from '../random.ts';
import { PORTS } from './packets.ts';
import { PROTOCOL_MATCHES } from './protocol-matches.ts';
import { type Maker, not, only, range, type Site, v4, v6 } from './site.ts';

/** addrtype asked for one interface. */
function limited(random: Random, { hook }: Site): string {
  if (!random.chance(0.2)) return '';
  if (hook === 'PREROUTING' || hook === 'INPUT') return ' --limit-iface-in';
  return hook === 'OUTPUT' || hook === 'POSTROUTING' ? ' --limit-iface-out' : '';
}

/** One random use of each match extension whose result is the same in every run of the kernel. */
export const MATCHES: Record<string, Maker> = {
  ...PROTOCOL_MATCHES,
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
  connlabel: (r) => `-m connlabel ${not(r)}--label ${r.int(0, 3)}${r.chance(0.5) ? ' --set' : ''}`,
  comment: () => '-m comment --comment "a comment"',
  iprange: (r, site) =>
    site.family === 4
      ? `-m iprange ${not(r)}--${r.pick(['src', 'dst'])}-range ${r.pick(['10.0.0.5-10.0.0.11', '192.0.2.0-203.0.113.255'])}`
      : `-m iprange ${not(r)}--src-range 2001:db8:1::1-2001:db8:1::10`,
  limit: (r) => `-m limit --limit ${r.pick(['1/hour', '5/day', '2/hour'])} --limit-burst ${r.int(1, 6)}`,
  hashlimit: (r) =>
    r.chance(0.2)
      ? `-m hashlimit --hashlimit-${r.pick(['upto', 'above'])} 1kb/s --hashlimit-burst ${r.pick(['1kb', '2kb'])} --hashlimit-mode ${r.pick(['srcip', 'dstip'])} --hashlimit-name h${r.int(0, 1e6)}`
      : `-m hashlimit --hashlimit-${r.pick(['upto', 'above'])} ${r.pick(['1/hour', '3/hour'])} --hashlimit-burst ${r.int(2, 5)} --hashlimit-mode ${r.pick(['srcip', 'dstip', 'srcip,dstport', 'srcip,dstip'])} --hashlimit-name h${r.int(0, 1e6)}${r.chance(0.3) ? ' --hashlimit-srcmask 24' : ''}`,
  connlimit: (r) =>
    `-m connlimit --connlimit-${r.pick(['above', 'upto'])} ${r.int(0, 3)} ${r.pick(['', '--connlimit-daddr', '--connlimit-mask 24'])}`.trim(),
  mac: (r, site) =>
    ['PREROUTING', 'INPUT', 'FORWARD'].includes(site.hook)
      ? `-m mac ${not(r)}--mac-source ${r.pick(['02:00:00:00:ff:11', '02:00:00:00:ff:12', 'fa:16:3e:00:00:11'])}`
      : null,
  addrtype: (r, site) =>
    `-m addrtype ${not(r)}--${r.pick(['src', 'dst'])}-type ${r.pick(site.family === 4 ? ['LOCAL', 'UNICAST', 'BROADCAST', 'MULTICAST', 'LOCAL,BROADCAST'] : ['LOCAL', 'UNICAST', 'MULTICAST'])}${limited(r, site)}`,
  physdev: (r, site) =>
    !site.bridged
      ? null
      : site.hook === 'FORWARD'
        ? `-m physdev ${r.pick([`${not(r)}--physdev-in tap1`, `${not(r)}--physdev-is-bridged`, `--physdev-in tap2 --physdev-is-bridged`, '--physdev-out tap1 --physdev-is-bridged', `${not(r)}--physdev-is-in`])}`
        : site.hook === 'PREROUTING' || site.hook === 'INPUT'
          ? `-m physdev ${not(r)}--physdev-in ${r.pick(['tap1', 'tap+', 'qvb1'])}`
          : null,
  statistic: (r) =>
    r.chance(0.8)
      ? `-m statistic --mode nth ${not(r)}--every ${r.int(1, 4)} --packet 0`
      : `-m statistic --mode random ${not(r)}--probability ${r.pick(['0', '1'])}`,
  length: (r, { aim }) =>
    `-m length ${not(r)}--length ${range(r, 20, 200, aim === null ? undefined : aim.transport + aim.segment.length)}`,
  ttl: v4((r) => `-m ttl ${r.pick([`${not(r)}--ttl-eq 64`, '--ttl-gt 63', '--ttl-lt 64', '--ttl-eq 63'])}`),
  hl: v6((r) => `-m hl ${r.pick([`${not(r)}--hl-eq 64`, '--hl-gt 63', '--hl-lt 64'])}`),
  tos: (r) => `-m tos ${not(r)}--tos ${r.pick(['0x10', '0x08/0x0f', '0x00', 'Minimize-Delay'])}`,
  dscp: (r) => `-m dscp ${not(r)}--dscp ${r.pick(['0x00', '0x0a', '0x2e', '0x04'])}`,
  ecn: (r, site) =>
    r.pick([
      `-m ecn ${not(r)}--ecn-ip-ect ${r.int(0, 3)}`,
      ...(site.protocol === 'tcp' ? [`-m ecn ${not(r)}--ecn-tcp-ece`, `-m ecn ${not(r)}--ecn-tcp-cwr`] : []),
    ]),
  osf: only(['tcp'], (r, site) =>
    site.family === 4 && site.hook !== 'OUTPUT' && site.hook !== 'POSTROUTING'
      ? `-m osf ${not(r)}--genre ${r.pick(['Plain', 'Plain', 'Scaled', 'Sacked', 'Sized', 'Timed', 'None'])}${r.pick(['', ' --ttl 0', ' --ttl 1', ' --ttl 2', ' --ttl 2'])}${r.pick(['', '', ' --log 0', ' --log 1', ' --log 2'])}`
      : null,
  ),
  pkttype: (r) => `-m pkttype ${not(r)}--pkt-type ${r.pick(['unicast', 'broadcast', 'multicast'])}`,
  connbytes: (r) =>
    `-m connbytes ${not(r)}--connbytes ${r.pick(['1:3', '2:', '0:100', '100:200'])} --connbytes-dir ${r.pick(['original', 'reply', 'both'])} --connbytes-mode ${r.pick(['packets', 'bytes', 'avgpkt'])}`,
  tcpmss: only(['tcp'], (r) => `-m tcpmss ${not(r)}--mss ${r.pick(['1460', '1000:1460', '500:900'])}`),
  string: (r) =>
    r.chance(0.2)
      ? `-m string --algo ${r.pick(['bm', 'kmp'])} ${not(r)}--hex-string "${r.pick(['|47 45|T', 'p|69|ng'])}"`
      : `-m string --algo ${r.pick(['bm', 'kmp'])} ${not(r)}--string ${r.pick(['GET', 'ping', 'question', 'nothing'])}${r.chance(0.3) ? ' --from 20 --to 60' : ''}${r.chance(0.2) ? ' --icase' : ''}`,
  u32: v4(
    (r) =>
      `-m u32 ${not(r)}--u32 ${r.pick(['"6&0xFF=1"', '"6&0xFF=6,17"', '"0>>22&0x3C@0>>16=1024:65535"', '"4&0x3FFF=0"'])}`,
  ),
  recent: (r, { family }) => {
    // A list has the mask of the rule that made it.
    const list = r.int(0, 2);
    const mask = list === 2 ? ` --mask ${family === 4 ? '255.255.255.0' : 'ffff:ffff:ffff:ffff::'}` : '';
    const name = `--name r${list} ${r.pick(['--rsource', '--rdest'])}${mask}`;
    return r.pick([
      `-m recent --set ${name}`,
      `-m recent --set ${name}`,
      `-m recent ${not(r)}--rcheck ${name}`,
      `-m recent ${not(r)}--rcheck --seconds 60 --reap ${name}`,
      `-m recent ${not(r)}--rcheck --rttl ${name}`,
      `-m recent ${not(r)}--update --hitcount ${r.int(1, 3)} ${name}`,
      `-m recent ${not(r)}--update --seconds 100 --hitcount ${r.int(1, 3)} ${name}`,
      `-m recent --remove ${name}`,
    ]);
  },
  quota: (r) => `-m quota --quota ${r.int(40, 1000)}`,
  rpfilter: (r, site) =>
    site.hook === 'PREROUTING' && (site.table === 'raw' || site.table === 'mangle')
      ? `-m rpfilter ${r.pick(['', '--loose', '--invert', '--accept-local', '--validmark'])}`.trim()
      : null,
  helper: (r) => `-m helper ${not(r)}--helper ${r.pick(['ftp', 'tftp', 'sip', 'irc', '""'])}`,
  socket: (r, site) =>
    ['PREROUTING', 'INPUT'].includes(site.hook)
      ? `-m socket ${r.pick(['', '--nowildcard', '--nowildcard', '--transparent', '--nowildcard --transparent'])}`.trim()
      : null,
  cpu: (r) => `-m cpu ${not(r)}--cpu 0`,
  devgroup: (r, site) => {
    const group = r.pick(['0x0', '0x3', '0x1/0x1']);
    if (['PREROUTING', 'INPUT'].includes(site.hook)) return `-m devgroup ${not(r)}--src-group ${group}`;
    if (['OUTPUT', 'POSTROUTING'].includes(site.hook)) return `-m devgroup ${not(r)}--dst-group ${group}`;
    return `-m devgroup ${not(r)}--${r.pick(['src', 'dst'])}-group ${group}`;
  },
  policy: (r, site) =>
    site.hook === 'FORWARD' || site.hook === 'PREROUTING' || site.hook === 'INPUT'
      ? `-m policy --dir in --pol ${r.pick(['none', 'ipsec'])}`
      : `-m policy --dir out --pol ${r.pick(['none', 'ipsec'])}`,
  realm: v4((r, { hook }) =>
    hook === 'PREROUTING' ? null : `-m realm ${not(r)}--realm ${r.pick(['0x5', '0x0', '0x4/0xc'])}`,
  ),
  cgroup: (r, site) =>
    site.hook === 'OUTPUT' || site.hook === 'POSTROUTING' ? `-m cgroup ${not(r)}--cgroup ${r.pick(['0', '5'])}` : null,
  eui64: v6((_, site) => (['PREROUTING', 'INPUT', 'FORWARD'].includes(site.hook) && !site.bridged ? '-m eui64' : null)),
  rateest: (r) =>
    `-m rateest --rateest re --rateest-${r.pick(['lt', 'gt'])} --rateest-pps ${r.pick(['1000000', '2000000'])}`,
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
  'spaced-limit': (r) => `-m limit --limit ${r.pick(['1/sec', '2/sec', '30/min'])} --limit-burst ${r.int(1, 4)}`,
  'spaced-hashlimit': (r) =>
    `-m hashlimit --hashlimit-${r.pick(['upto', 'above'])} ${r.pick(['1/sec', '2/sec'])} --hashlimit-burst ${r.int(1, 3)} --hashlimit-mode ${r.pick(['srcip', 'dstip'])} --hashlimit-name s${r.int(0, 1e6)}`,
  'spaced-recent': (r) => {
    const name = `--name t${r.int(0, 1)} --rsource`;
    return r.pick([
      `-m recent --set ${name}`,
      `-m recent ${not(r)}--rcheck --seconds 1 ${name}`,
      `-m recent ${not(r)}--rcheck --seconds 1 --reap ${name}`,
      `-m recent ${not(r)}--update --seconds 2 --hitcount 2 ${name}`,
    ]);
  },
};
