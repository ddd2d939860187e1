import type { MatchExtension } from '../contract.ts';
import { addrtype } from './addrtype.ts';
import { comment } from './comment.ts';
import { connlimit } from './connlimit.ts';
import { connmark } from './connmark.ts';
import { conntrack, state } from './conntrack.ts';
import { hashlimit } from './hashlimit.ts';
import { icmp } from './icmp.ts';
import { icmp6 } from './icmp6.ts';
import { iprange } from './iprange.ts';
import { limit } from './limit.ts';
import { mac } from './mac.ts';
import { mark } from './mark.ts';
import { multiport } from './multiport.ts';
import { physdev } from './physdev.ts';
import { statistic } from './statistic.ts';
import { tcp } from './tcp.ts';
import { udp } from './udp.ts';

/** All matches of iptables and ip6tables, in alphabetical order. */
export const matches: readonly MatchExtension[] = [
  addrtype,
  comment,
  connlimit,
  connmark,
  conntrack,
  hashlimit,
  icmp,
  icmp6,
  iprange,
  limit,
  mac,
  mark,
  multiport,
  physdev,
  state,
  statistic,
  tcp,
  udp,
];
