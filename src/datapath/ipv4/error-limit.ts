/** Times that the kernel counts in jiffies: 250 a second here, but the sysctls are given in jiffies as well, and only their ratio counts. */
const MICROSECONDS = 1_000_000;

/** Rest of one sender: tokens in microseconds. */
interface Peer {
  tokens: number;
  last: number;
}

/**
 * Limits the ICMP errors of unusable routes for each source address (`ip_error` in net/ipv4/route.c): a burst of
 * net.ipv4.route.error_burst (5 s), each answer costs net.ipv4.route.error_cost (1 s).
 */
export class ErrorLimiter {
  readonly #peers = new Map<number, Peer>();
  readonly #burst: number;
  readonly #cost: number;

  /** Both in microseconds. */
  constructor(burst: number = 5 * MICROSECONDS, cost: number = MICROSECONDS) {
    this.#burst = burst;
    this.#cost = cost;
  }

  allows(source: number, now: number): boolean {
    let peer = this.#peers.get(source);
    if (peer === undefined) {
      peer = { tokens: this.#burst, last: now };
      this.#peers.set(source, peer);
    }
    peer.tokens = Math.min(this.#burst, peer.tokens + (now - peer.last));
    peer.last = now;
    if (peer.tokens < this.#cost) return false;
    peer.tokens -= this.#cost;
    return true;
  }

  save(): [source: number, tokens: number, last: number][] {
    return [...this.#peers].map(([source, peer]) => [source, peer.tokens, peer.last]);
  }

  load(peers: readonly (readonly [source: number, tokens: number, last: number])[]): void {
    for (const [source, tokens, last] of peers) this.#peers.set(source, { tokens, last });
  }
}
