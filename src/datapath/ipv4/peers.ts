import type { Host } from '../environment.ts';

/** The kernel counts these in jiffies, 250 a second here. */
const JIFFY = 4000;
const SECOND = 1_000_000;
/** A sender never heard of has been silent for so long (inet_getpeer). */
const UNHEARD = 60 * SECOND;
/** XRLIM_BURST_FACTOR. */
const BURST = 6;
/** net.ipv4.route.redirect_number, redirect_load (20 ms), redirect_silence. */
export const MOST_REDIRECTS = 9;
const REDIRECT_LOAD = 20_000;
const REDIRECT_SILENCE = REDIRECT_LOAD << 10;

/** What is remembered of one sender (`struct inet_peer`); times in microseconds. */
interface Peer {
  tokens: number;
  last: number;
  redirects: number;
}

const UNREACHABLE = 3;
/** ICMPv6. */
const PACKET_TOO_BIG = 2;
const FRAGMENTATION_NEEDED = 4;

export type PeerMemory = [address: number, tokens: number, last: number, redirects: number];

export type PeerMemory6 = [address: string, tokens: number, last: number];

/** Limits what the machine answers to each address (net/ipv4/inetpeer.c, icmp.c, route.c; net/ipv6/icmp.c). */
export class Peers {
  readonly #peers = new Map<number, Peer>();
  /** By the words of the IPv6 address. */
  readonly #peers6 = new Map<string, Peer>();
  readonly #rateLimit6: number;
  readonly #errorBurst: number;
  readonly #errorCost: number;
  readonly #rateLimit: number;
  readonly #rateMask: number;

  readonly #used: () => void;

  /** @param used called whenever what is remembered of an address decides */
  constructor(host: Host, used: () => void = () => undefined) {
    this.#used = used;
    this.#errorBurst = host.sysctl('net.ipv4.route.error_burst') * JIFFY || 5 * SECOND;
    this.#errorCost = host.sysctl('net.ipv4.route.error_cost') * JIFFY || SECOND;
    this.#rateLimit = host.sysctl('net.ipv4.icmp_ratelimit') * 1000;
    this.#rateLimit6 = host.sysctl('net.ipv6.icmp.ratelimit') * 1000;
    this.#rateMask = host.sysctl('net.ipv4.icmp_ratemask');
  }

  #peer(address: number, now: number): Peer {
    this.#used();
    let peer = this.#peers.get(address);
    if (peer === undefined) {
      peer = { tokens: 0, last: now - UNHEARD, redirects: 0 };
      this.#peers.set(address, peer);
    }
    return peer;
  }

  /** Whether the error of an unusable route may go to `address` (ip_error): a burst of five, then one a second. */
  allowsRouteError(address: number, now: number): boolean {
    return spend(this.#peer(address, now), this.#errorBurst, this.#errorCost, now);
  }

  /** Whether an ICMP message of that type may go to `address` (icmpv4_xrlim_allow). */
  allowsIcmp(address: number, type: number, code: number, now: number): boolean {
    if (this.#rateLimit === 0 || (this.#rateMask & (1 << type)) === 0) return true;
    // Path MTU discovery is not to be slowed down (icmpv4_mask_allow).
    if (type === UNREACHABLE && code === FRAGMENTATION_NEEDED) return true;
    return spend(this.#peer(address, now), BURST * this.#rateLimit, this.#rateLimit, now);
  }

  /**
   * Whether an ICMPv6 error of that type may go to `address` (icmpv6_xrlim_allow); Linux 6.18 does not ask how long its route's prefix is.
   * net.ipv6.icmp.ratemask is taken to be as it is from the start: all errors but those of path MTU discovery.
   */
  allowsIcmpv6(address: Uint32Array, type: number, now: number): boolean {
    if (this.#rateLimit6 === 0 || type === PACKET_TOO_BIG || type > 127) return true;
    this.#used();
    const key = address.join();
    const peer = this.#peers6.get(key) ?? { tokens: 0, last: now - UNHEARD, redirects: 0 };
    this.#peers6.set(key, peer);
    return spend(peer, BURST * this.#rateLimit6, this.#rateLimit6, now);
  }

  /**
   * Which redirect in a row may go to `address` now (ip_rt_send_redirect): with twice the pause each time, until it has ignored nine; 0: none.
   */
  nextRedirect(address: number, now: number): number {
    const peer = this.#peer(address, now);
    if (now - peer.last > REDIRECT_SILENCE) {
      peer.tokens = 0;
      peer.redirects = 0;
    }
    if (peer.redirects >= MOST_REDIRECTS) {
      peer.last = now;
      return 0;
    }
    if (peer.redirects > 0 && now - peer.last <= REDIRECT_LOAD << peer.redirects) return 0;
    peer.last = now;
    return ++peer.redirects;
  }

  save(): PeerMemory[] {
    return [...this.#peers].map(([address, { tokens, last, redirects }]) => [address, tokens, last, redirects]);
  }

  save6(): PeerMemory6[] {
    return [...this.#peers6].map(([address, { tokens, last }]) => [address, tokens, last]);
  }

  load(peers: readonly PeerMemory[], peers6: readonly PeerMemory6[]): void {
    for (const [address, tokens, last] of peers6) this.#peers6.set(address, { tokens, last, redirects: 0 });
    for (const [address, tokens, last, redirects] of peers) this.#peers.set(address, { tokens, last, redirects });
  }
}

function spend(peer: Peer, burst: number, cost: number, now: number): boolean {
  peer.tokens = Math.min(burst, peer.tokens + (now - peer.last));
  peer.last = now;
  if (peer.tokens < cost) return false;
  peer.tokens -= cost;
  return true;
}
