import type { RouteAnswer } from '../datapath/environment.ts';
import { prefixMask } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import type { Device } from './device.ts';
import type { RouteType } from './route-text.ts';

/** One route in a table, with its answers made beforehand so that a lookup allocates nothing. */
export interface Route {
  readonly family: Family;
  readonly type: RouteType;
  readonly destination: AddressWords;
  readonly prefixLength: number;
  readonly tos: number;
  readonly metric: number;
  readonly scope: number;
  readonly realm: number;
  readonly table: number;
  /** Null for blackhole, unreachable, prohibit and throw. */
  readonly device: Device | null;
  /** What a packet that came in gets. */
  readonly answer: RouteAnswer;
  /** What a packet of the machine itself gets: local destinations are reached over `lo`. */
  readonly outputAnswer: RouteAnswer;
}

interface Prefix {
  readonly words: AddressWords;
  readonly routes: Route[];
}

interface Level {
  readonly length: number;
  readonly mask: AddressWords;
  readonly prefixes: Map<number, Prefix[]>;
}

/** A number for a masked address; equal addresses have equal numbers. */
function keyOf(family: Family, a: number, b: number, c: number, d: number): number {
  if (family === 4) return a;
  return (Math.imul(a ^ (b >>> 7) ^ (b << 9), 0x9e3779b1) ^ Math.imul(c ^ (d << 5), 0x85ebca6b) ^ d) >>> 0;
}

/** One routing table of one family: longest prefix first, then TOS, then metric. */
export class RoutingTable {
  readonly family: Family;
  /** Longest prefixes first. */
  readonly #levels: Level[] = [];

  constructor(family: Family) {
    this.family = family;
  }

  add(route: Route): void {
    let level = this.#levels.find((each) => each.length === route.prefixLength);
    if (level === undefined) {
      level = {
        length: route.prefixLength,
        mask: prefixMask(this.family, route.prefixLength),
        prefixes: new Map(),
      };
      this.#levels.push(level);
      this.#levels.sort((a, b) => b.length - a.length);
    }
    const words = route.destination;
    const key = keyOf(this.family, words[0], words[1], words[2], words[3]);
    let bucket = level.prefixes.get(key);
    if (bucket === undefined) {
      bucket = [];
      level.prefixes.set(key, bucket);
    }
    let prefix = bucket.find((each) => each.words.every((word, i) => word === words[i]));
    if (prefix === undefined) {
      prefix = { words, routes: [] };
      bucket.push(prefix);
    }
    // Stable: of two alike the first stays in front.
    prefix.routes.push(route);
    prefix.routes.sort((a, b) => b.tos - a.tos || a.metric - b.metric);
  }

  /**
   * The route for a destination, or null. `tos` is the octet; a route with a TOS asks for those bits that `IPTOS_RT_MASK` keeps. With
   * `device` only routes over it (and those without a device) count; routes of prefixes up to `suppress` bits do not. Routes over `prefer` go before
   * others of their prefix.
   */
  lookup(
    destination: ArrayLike<number>,
    tos: number,
    device: Device | null,
    suppress = -1,
    prefer: Device | null = null,
  ): Route | null {
    const family = this.family;
    for (const level of this.#levels) {
      if (level.length <= suppress) return null;
      const { mask } = level;
      const a = (destination[0]! & mask[0]) >>> 0;
      const b = family === 4 ? 0 : (destination[1]! & mask[1]) >>> 0;
      const c = family === 4 ? 0 : (destination[2]! & mask[2]) >>> 0;
      const d = family === 4 ? 0 : (destination[3]! & mask[3]) >>> 0;
      const bucket = level.prefixes.get(keyOf(family, a, b, c, d));
      if (bucket === undefined) continue;
      for (const prefix of bucket) {
        const { words } = prefix;
        if (words[0] !== a || words[1] !== b || words[2] !== c || words[3] !== d) continue;
        if (prefer !== null) {
          const preferred = prefix.routes.find((route) => route.device === prefer);
          if (preferred !== undefined) return preferred;
        }
        for (const route of prefix.routes) {
          if (route.tos !== 0 && route.tos !== (tos & 0x1c)) continue;
          if (device !== null && route.device !== null && route.device !== device) continue;
          return route;
        }
      }
    }
    return null;
  }
}
