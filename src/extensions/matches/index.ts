import type { MatchExtension } from '../contract.ts';
import { addrtype } from './addrtype.ts';
import { ah4, ah6 } from './ah.ts';
import { bpf } from './bpf.ts';
import { cgroup } from './cgroup.ts';
import { cluster } from './cluster.ts';
import { comment } from './comment.ts';
import { connbytes } from './connbytes.ts';
import { connlabel } from './connlabel.ts';
import { connlimit } from './connlimit.ts';
import { connmark } from './connmark.ts';
import { conntrack, state } from './conntrack.ts';
import { cpu } from './cpu.ts';
import { dccp } from './dccp.ts';
import { devgroup } from './devgroup.ts';
import { dscp } from './dscp.ts';
import { dst } from './dst.ts';
import { ecn } from './ecn.ts';
import { esp } from './esp.ts';
import { eui64 } from './eui64.ts';
import { frag } from './frag.ts';
import { hashlimit } from './hashlimit.ts';
import { hbh } from './hbh.ts';
import { helper } from './helper.ts';
import { hl } from './hl.ts';
import { icmp } from './icmp.ts';
import { icmp6 } from './icmp6.ts';
import { ipcomp } from './ipcomp.ts';
import { iprange } from './iprange.ts';
import { ipv6header } from './ipv6header.ts';
import { ipvs } from './ipvs.ts';
import { length } from './length.ts';
import { limit } from './limit.ts';
import { mac } from './mac.ts';
import { mark } from './mark.ts';
import { mh } from './mh.ts';
import { multiport } from './multiport.ts';
import { nfacct } from './nfacct.ts';
import { osf } from './osf.ts';
import { owner } from './owner.ts';
import { physdev } from './physdev.ts';
import { pkttype } from './pkttype.ts';
import { policy } from './policy.ts';
import { quota } from './quota.ts';
import { rateest } from './rateest.ts';
import { realm } from './realm.ts';
import { recent } from './recent.ts';
import { rpfilter } from './rpfilter.ts';
import { rt } from './rt.ts';
import { sctp } from './sctp.ts';
import { set } from './set.ts';
import { socket } from './socket.ts';
import { srh } from './srh.ts';
import { statistic } from './statistic.ts';
import { string } from './string.ts';
import { tcp } from './tcp.ts';
import { tcpmss } from './tcpmss.ts';
import { time } from './time.ts';
import { tos } from './tos.ts';
import { ttl } from './ttl.ts';
import { u32 } from './u32.ts';
import { udp } from './udp.ts';

/** All matches of iptables and ip6tables, in alphabetical order. */
export const matches: readonly MatchExtension[] = [
  addrtype,
  ah4,
  ah6,
  bpf,
  cgroup,
  cluster,
  comment,
  connbytes,
  connlabel,
  connlimit,
  connmark,
  conntrack,
  cpu,
  dccp,
  devgroup,
  dscp,
  dst,
  ecn,
  esp,
  eui64,
  frag,
  hashlimit,
  hbh,
  helper,
  hl,
  icmp,
  icmp6,
  ipcomp,
  iprange,
  ipv6header,
  ipvs,
  length,
  limit,
  mac,
  mark,
  mh,
  multiport,
  nfacct,
  osf,
  owner,
  physdev,
  pkttype,
  policy,
  quota,
  rateest,
  realm,
  recent,
  rpfilter,
  rt,
  sctp,
  set,
  socket,
  srh,
  state,
  statistic,
  string,
  tcp,
  tcpmss,
  time,
  tos,
  ttl,
  u32,
  udp,
];
