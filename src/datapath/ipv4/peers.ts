import type { Host } from '../environment.ts';

/** The kernel counts these in jiffies, 250 a second here. */
const JIFFY = 4000;
const SECOND = 1_000_000;
/** A sender never heard of has been silent for so long (inet_getpeer). */
const UNHEARD = 60 * SECOND;
/** XRLIM_BURST_FACTOR. */
const BURST = 6;
/** net.ipv4.route.redirect_number, redirect_load (20 ms), redirect_silence. */
const REDIRECTS = 9;
const REDIRECT_LOAD = 20_000;
const REDIRECT_SILENCE = REDIRECT_LOAD << 10;

/** What is remembered of one sender (`struct inet_peer`); times in microseconds. */
interface Peer {
  tokens: number;
  last: number;
  redirects: number;
}

const UNREACHABLE = 3;
const FRAGMENTATION_NEEDED = 4;

export type PeerMemory = [address: number, tokens: number, last: number, redirects: number];

/** Limits what the machine answers to each IPv4 address (net/ipv4/inetpeer.c, icmp.c, route.c). */
export class Peers {
  readonly #peers = new Map<number, Peer>();
  readonly #errorBurst: number;
  readonly #errorCost: number;
  readonly #rateLimit: number;
  readonly #rateMask: number;

  constructor(host: Host) {
    this.#errorBurst = host.sysctl('net.ipv4.route.error_burst') * JIFFY || 5 * SECOND;
    this.#errorCost = host.sysctl('net.ipv4.route.error_cost') * JIFFY || SECOND;
    this.#rateLimit = host.sysctl('net.ipv4.icmp_ratelimit') * 1000;
    this.#rateMask = host.sysctl('net.ipv4.icmp_ratemask');
  }

  #peer(address: number, now: number): Peer {
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

  /** Whether a redirect may go to `address` (ip_rt_send_redirect): with twice the pause each time, until it has ignored nine. */
  allowsRedirect(address: number, now: number): boolean {
    const peer = this.#peer(address, now);
    if (now - peer.last > REDIRECT_SILENCE) {
      peer.tokens = 0;
      peer.redirects = 0;
    }
    if (peer.redirects >= REDIRECTS) {
      peer.last = now;
      return false;
    }
    if (peer.redirects > 0 && now - peer.last <= REDIRECT_LOAD << peer.redirects) return false;
    peer.last = now;
    peer.redirects++;
    return true;
  }

  save(): PeerMemory[] {
    return [...this.#peers].map(([address, { tokens, last, redirects }]) => [address, tokens, last, redirects]);
  }

  load(peers: readonly PeerMemory[]): void {
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
