import type { Route } from './routing-table.ts';

const BITS = 14;

/**
 * IPv4 routes by destination, where nothing but the destination decides. Each destination has one place, which the next one of the same
 * hash takes: a lookup is two array accesses, whatever is in it.
 */
export class RouteCache {
  readonly #destinations = new Uint32Array(1 << BITS);
  /** undefined: nothing is known; null: there is no route. */
  readonly #routes = new Array<Route | null | undefined>(1 << BITS).fill(undefined);

  find(destination: number): Route | null | undefined {
    const at = placeOf(destination);
    return this.#destinations[at] === destination ? this.#routes[at] : undefined;
  }

  set(destination: number, route: Route | null): void {
    const at = placeOf(destination);
    this.#destinations[at] = destination;
    this.#routes[at] = route;
  }
}

function placeOf(destination: number): number {
  return Math.imul(destination, 0x9e3779b1) >>> (32 - BITS);
}
