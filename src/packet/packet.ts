import type { Connection } from '../conntrack/connection.ts';
import type { RouteAnswer, SocketAnswer } from '../datapath/environment.ts';
import type { Device } from '../host/device.ts';
import type { Family } from './family.ts';
import type { Ipv4Options } from './ipv4-options.ts';

/** Link-layer class of a received frame (`skb->pkt_type`, include/uapi/linux/if_packet.h). */
export const PacketType = { host: 0, broadcast: 1, multicast: 2, otherHost: 3, outgoing: 4, loopback: 5 } as const;
export type PacketType = (typeof PacketType)[keyof typeof PacketType];

/** How a packet stands to its connection (`enum ip_conntrack_info`); +3 means reply direction. */
export const ConntrackInfo = {
  established: 0,
  related: 1,
  new: 2,
  establishedReply: 3,
  relatedReply: 4,
  untracked: 7,
} as const;
export type ConntrackInfo = (typeof ConntrackInfo)[keyof typeof ConntrackInfo];

/** What is known of the checksum of a packet's content (`skb->ip_summed`): nothing, its sum, or that nobody needs to look again. */
export const Summed = { no: 0, complete: 1, unnecessary: 2 } as const;
export type Summed = (typeof Summed)[keyof typeof Summed];

/** The local process a packet belongs to; absent for forwarded packets and kernel answers. */
export interface SocketOwner {
  uid: number;
  gid: number;
  pid?: number;
  /** Path in the cgroup v2 hierarchy. */
  cgroup?: string;
  /** net_cls class id. */
  classId?: number;
  /** Supplementary groups (`-m owner --suppl-groups`). */
  groups?: readonly number[];
  transparent?: boolean;
  wildcard?: boolean;
}

/**
 * One packet on its way: its L3 bytes and what the kernel keeps beside them in `sk_buff`.
 *
 * `bytes` begins at the IP header and ends at the IP total length. The decoded fields below it are
 * made by `decode()` (packet/decode.ts) and kept true by the rewriting functions (packet/rewrite.ts);
 * whoever changes `bytes` otherwise calls `decode()` again.
 */
export class Packet {
  family: Family;
  bytes: Uint8Array;

  /** IPv4: header with options; IPv6: always 40. */
  headerLength = 0;
  /**
   * The transport protocol; for IPv6 behind the extension headers, and -1 where they cannot be followed
   * (`ipv6_find_hdr` fails: a rule with `-p` then drops the packet).
   */
  protocol = 0;
  /** Offset in `bytes` of the transport header (of the payload, for a later fragment). */
  transport = 0;
  /** Fragment offset in bytes; 0 for whole packets and first fragments. */
  fragmentOffset = 0;
  moreFragments = false;
  /** IPv6: offset of the fragment header; 0 if there is none. */
  fragmentHeader = 0;
  /** IPv6: offset of the first AH header; 0 if there is none. nft stops there: for it the protocol is 51. */
  authHeader = 0;
  /** Source and destination as 32-bit words (IPv4 in word 0). */
  readonly src = new Uint32Array(4);
  readonly dst = new Uint32Array(4);

  /** Microseconds since the epoch, simulation clock. */
  time = 0;
  inDevice: Device | null = null;
  outDevice: Device | null = null;
  /** Bridge ports (`physdev`); null unless the packet crosses a bridge. */
  physicalIn: Device | null = null;
  physicalOut: Device | null = null;
  /** 14 bytes: destination MAC, source MAC, ethertype; null if the packet never was on Ethernet. */
  linkHeader: Uint8Array | null = null;
  packetType: PacketType = PacketType.host;
  mark = 0;
  priority = 0;
  secmark = 0;
  /** Routing realm of the destination (`-m realm`). */
  realm = 0;
  cpu = 0;
  owner: SocketOwner | null = null;
  /** The listening socket's owner, of its SYN+ACK: only `-m owner` looks through the half-open connection to it (`skb_to_full_sk`). */
  listener: SocketOwner | null = null;
  /** The way it takes (`skb_dst`); null before it was routed. */
  route: RouteAnswer | null = null;
  /** IPv4 options of a received packet, once they were read (`IPCB(skb)->opt`); null if it has none. */
  options: Ipv4Options | null = null;
  /**
   * IPv6: what of the header conntrack summed up when it found the checksum right (first word and hop limit); -1 if it did not. Linux goes by
   * that sum later: where the header changed meanwhile the checksum counts again, and a longer UDP datagram to this machine is lost (udp6_csum_init).
   */
  summedHeader = -1;
  /** The local socket that TPROXY chose for it. */
  socket: SocketAnswer | null = null;
  /** True for packets made by this machine (processes or kernel). */
  local = false;
  /** `nf_trace`: set by the TRACE target. */
  trace = false;
  /** Set while a TEE copy is under way: it is not copied again. */
  isCopy = false;
  /** nf_skb_duplicated-like marker of a packet the kernel sends on behalf of nobody (RST, ICMP error). */
  kernelMade = false;
  /** Sent by a socket of the kernel itself, which no process has open (ICMP; the RST of IPv4). */
  controlSocket = false;
  connection: Connection | null = null;
  conntrackInfo: ConntrackInfo = ConntrackInfo.new;
  /**
   * The checksum is left to the device (CHECKSUM_PARTIAL): TCP of this machine, and what a helper changed. What is sent to the machine itself over
   * `lo` never gets one, and shows only the sum of the pseudo header.
   */
  checksumPending = false;
  /** The sum of the pseudo header already stands in the field of such a checksum. */
  holdsPseudoSum = false;
  /** Connection tracking has found the checksum of its content right (`csum_valid`): that is not asked again, whatever is changed later. */
  verified = false;
  /** Whether NAT asks for it again in an ICMP error. */
  summed: Summed = Summed.no;
  /** A match sets it to have the packet dropped at once (`par->hotdrop`). */
  hotdrop = false;
  /** What the description of the packet said beyond its bytes, e.g. `policy`, `skuid`; by key. */
  described: Readonly<Record<string, string>> | null = null;
  /** Bytes of the largest fragment and whether DF was set, after reassembly (`frag_max_size`); 0 if never fragmented. */
  fragmentMaxSize = 0;
  /** May be cut whatever its DF bit says (`skb->ignore_df`): it came in fragments whose size is no longer known. */
  ignoreDontFragment = false;
  /** The packet from which this copy was made (`skb_clone`). */
  twin: Packet | null = null;
  /**
   * Its bytes may be those of its twin, or of a copy of it: what changes a header without care changes the other's too. False once it was made
   * ready to be written to (skb_ensure_writable).
   */
  sharesBytes = true;
  /** Of a copy by TEE: the interface by which the original came (`IP6CB(skb)->iif`); its own `inDevice` is that by which it leaves. */
  copiedFrom: Device | null = null;
  /** Crossed a bridge on the way in: the destination it had when it entered PREROUTING, to notice DNAT (`nf_bridge->ipv4_daddr`). */
  bridgeDestination: Uint32Array | null = null;
  /** Its frame was for another machine (`nf_bridge->pkt_otherhost`); IP sees it as one for this machine meanwhile. */
  bridgeOtherHost = false;
  /** Original fragments' payload lengths, for refragmentation at the same boundaries; null if never fragmented. */
  fragmentSizes: readonly number[] | null = null;
  /**
   * IPv6 put together by connection tracking: where the fragment header was. Local delivery then looks there for the first extension header
   * behind hop-by-hop (`skb_transport_header`); 0 otherwise.
   */
  fragmentHeaderWas = 0;
  /** The DF bit is to be set on every fragment made (`IPSKB_FRAG_PMTU`). */
  fragmentDontFragment = false;

  constructor(family: Family, bytes: Uint8Array) {
    this.family = family;
    this.bytes = bytes;
  }

  /**
   * Makes it another packet, in all as if it had just been constructed. For whoever knows that nobody has kept the one it was: making
   * objects is a good part of what a short way through the machine costs.
   */
  renew(family: Family, bytes: Uint8Array): void {
    this.family = family;
    this.bytes = bytes;
    this.headerLength = 0;
    this.protocol = 0;
    this.transport = 0;
    this.fragmentOffset = 0;
    this.moreFragments = false;
    this.fragmentHeader = 0;
    this.authHeader = 0;
    this.time = 0;
    this.inDevice = null;
    this.outDevice = null;
    this.physicalIn = null;
    this.physicalOut = null;
    this.linkHeader = null;
    this.packetType = PacketType.host;
    this.mark = 0;
    this.priority = 0;
    this.secmark = 0;
    this.realm = 0;
    this.cpu = 0;
    this.owner = null;
    this.listener = null;
    this.route = null;
    this.options = null;
    this.summedHeader = -1;
    this.socket = null;
    this.local = false;
    this.trace = false;
    this.isCopy = false;
    this.kernelMade = false;
    this.controlSocket = false;
    this.connection = null;
    this.conntrackInfo = ConntrackInfo.new;
    this.checksumPending = false;
    this.holdsPseudoSum = false;
    this.verified = false;
    this.summed = Summed.no;
    this.hotdrop = false;
    this.described = null;
    this.fragmentMaxSize = 0;
    this.ignoreDontFragment = false;
    this.twin = null;
    this.sharesBytes = true;
    this.copiedFrom = null;
    this.bridgeDestination = null;
    this.bridgeOtherHost = false;
    this.fragmentSizes = null;
    this.fragmentHeaderWas = 0;
    this.fragmentDontFragment = false;
    const { src, dst } = this;
    src[0] = src[1] = src[2] = src[3] = 0;
    dst[0] = dst[1] = dst[2] = dst[3] = 0;
  }
}
