import { type Maker, not, only, port, range, v4, v6 } from './site.ts';

/** Matches of transport protocols and of the headers of IPv6. */
export const PROTOCOL_MATCHES: Record<string, Maker> = {
  tcp: only(['tcp'], (r, site) =>
    r.pick([
      () => `-m tcp ${not(r)}--dport ${port(r, site)}`,
      () => `-m tcp ${not(r)}--sport ${port(r, site, 'sport')}`,
      () => `-m tcp ${not(r)}--syn`,
      () =>
        `-m tcp ${not(r)}--tcp-flags ${r.pick(['SYN,ACK', 'ALL', 'FIN,SYN,RST,ACK', 'RST', 'PSH,ACK'])} ${r.pick(['SYN', 'ACK', 'NONE', 'SYN,ACK', 'RST'])}`,
      () => `-m tcp ${not(r)}--tcp-option ${r.pick([2, 3, 4, 8, 5])}`,
    ])(),
  ),
  udp: only(['udp'], (r, site) =>
    r.chance(0.5) ? `-m udp ${not(r)}--dport ${port(r, site)}` : `-m udp ${not(r)}--sport ${port(r, site, 'sport')}`,
  ),
  icmp: v4(
    only(
      ['icmp'],
      (r) => `-m icmp ${not(r)}--icmp-type ${r.pick(['8', '8', '0', '3', '3/1', '3/3', '11', '13', 'any'])}`,
    ),
  ),
  icmp6: v6(
    only(
      ['ipv6-icmp'],
      (r) => `-m icmp6 ${not(r)}--icmpv6-type ${r.pick(['128', '128', '129', '1', '1/4', '3', '4/1'])}`,
    ),
  ),
  multiport: only(['tcp', 'udp', 'udplite', 'sctp', 'dccp'], (r, site) => {
    const side = r.pick(['dports', 'sports', 'ports'] as const);
    const own = port(r, site, side === 'sports' ? 'sport' : 'dport')
      .replace(/^:/, '0:')
      .replace(/:$/, ':65535');
    return `-m multiport ${not(r)}--${side} ${r.pick(['22,80,443', '1:1023', '53,5353,8000:9000', '1024:65535', `7,${own}`])}`;
  }),
  ah: (r, site) =>
    site.family === 4
      ? only(['ah'], () => `-m ah ${not(r)}--ahspi ${range(r, 0, 400)}`)(r, site)
      : `-m ah ${not(r)}--ahspi ${range(r, 0, 400)}${r.chance(0.3) ? ` ${not(r)}--ahlen 24` : ''}${r.chance(0.2) ? ' --ahres' : ''}`,
  esp: only(['esp'], (r) => `-m esp ${not(r)}--espspi ${range(r, 0, 400)}`),
  ipcomp: only(['ipcomp'], (r) => `-m ipcomp ${not(r)}--ipcompspi ${range(r, 0, 400)}`),
  sctp: only(['sctp'], (r, site) =>
    r.pick([
      () => `-m sctp ${not(r)}--dport ${port(r, site)}`,
      () => `-m sctp ${not(r)}--sport ${port(r, site, 'sport')}`,
      () =>
        `-m sctp ${not(r)}--chunk-types ${r.pick(['any', 'all', 'only'])} ${r.pick(['INIT', 'INIT,COOKIE_ECHO', 'DATA', 'INIT_ACK', 'SACK,HEARTBEAT', 'SHUTDOWN'])}`,
    ])(),
  ),
  dccp: only(['dccp'], (r, site) =>
    r.pick([
      () => `-m dccp ${not(r)}--dport ${port(r, site)}`,
      () => `-m dccp ${not(r)}--sport ${port(r, site, 'sport')}`,
      () => `-m dccp ${not(r)}--dccp-types ${r.pick(['REQUEST', 'REQUEST,DATA', 'ACK,DATAACK', 'RESET,SYNC'])}`,
      () => `-m dccp ${not(r)}--dccp-option ${r.pick([38, 1])}`,
    ])(),
  ),
  mh: v6(only(['mobility-header'], (r) => `-m mh ${not(r)}--mh-type ${r.pick(['0', '1', '5', '2:6'])}`)),
  frag: v6((r) =>
    `-m frag ${r.pick([`${not(r)}--fragid 0:4294967295`, `--fragid 1:300`])} ${r.pick(['', '', '--fragfirst', '--fragmore', '--fraglast', '--fragres'])}`.trim(),
  ),
  ipv6header: v6(
    (r) =>
      `-m ipv6header ${not(r)}--header ${r.pick(['dst', 'frag', 'hop', 'route', 'auth', 'prot', 'dst,prot', 'hop,prot', 'none'])}${r.chance(0.5) ? ' --soft' : ''}`,
  ),
  dst: v6(
    (r) => `-m dst ${r.pick(['--dst-opts 4', '--dst-opts 1', '--dst-opts 4:2', '--dst-len 8', '! --dst-len 8'])}`,
  ),
  hbh: v6(
    (r) => `-m hbh ${r.pick(['--hbh-opts 5:2', '--hbh-opts 1:4', '--hbh-len 8', '! --hbh-len 8', '--hbh-opts 5'])}`,
  ),
  rt: v6(
    (r) =>
      `-m rt ${r.pick([`${not(r)}--rt-type 0`, `${not(r)}--rt-type 2`, '--rt-type 0 --rt-segsleft 0', `${not(r)}--rt-len 8`, '--rt-type 4', '--rt-type 0 --rt-0-res'])}`,
  ),
  srh: v6(
    (r) =>
      `-m srh ${r.pick([`${not(r)}--srh-next-hdr 17`, `${not(r)}--srh-hdr-len-eq 2`, '--srh-hdr-len-gt 1', '--srh-segs-left-eq 0', '--srh-last-entry-lt 1', '--srh-tag 7', `${not(r)}--srh-lsid 2001:db8::/32`])}`,
  ),
};
