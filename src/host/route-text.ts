/** `ip route` and its words (ip-route(8)) as data. */
import { formatAddress, parseAddress4, parseAddress6, prefixMask } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import { CommandWords } from './command-words.ts';
import { parseNumber } from './numbers.ts';
import { TABLE_LOCAL, TABLE_MAIN } from './tables.ts';

export type RouteType =
  | 'unicast'
  | 'local'
  | 'broadcast'
  | 'anycast'
  | 'multicast'
  | 'blackhole'
  | 'unreachable'
  | 'prohibit'
  | 'throw';

/** Scopes (`enum rt_scope_t`): a larger number is nearer. */
export const Scope = { universe: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;

/** A route as it was written; devices still by name. */
export interface RouteText {
  family: Family;
  type: RouteType;
  destination: AddressWords;
  prefixLength: number;
  tos: number;
  table: number;
  /** -1 where none was given: 0 for IPv4, 1024 for IPv6. */
  metric: number;
  gateway: AddressWords | null;
  /** Family of the gateway, which may be 6 for a route of family 4 (`via inet6`). */
  gatewayFamily: Family;
  device: string | null;
  source: AddressWords | null;
  mtu: number;
  realm: number;
  scope: number | null;
  onlink: boolean;
  text: string;
}

const TYPES: ReadonlySet<string> = new Set<RouteType>([
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
]);

/** Words of `ip route` that change nothing a simulation of single packets could see; each has one argument. */
const WITHOUT_EFFECT = new Set([
  'proto',
  'protocol',
  'advmss',
  'window',
  'rtt',
  'rttvar',
  'rto_min',
  'cwnd',
  'initcwnd',
  'initrwnd',
  'ssthresh',
  'reordering',
  'congctl',
  'features',
  'quickack',
  'fastopen_no_cookie',
  'pref',
  'expires',
]);

/** `default`, `all`, `any`, an address or prefix; IPv4 may be abbreviated (`10/8`). Family 0 where the word does not tell it. */
export function parsePrefix(
  word: string,
): { family: Family | 0; words: AddressWords; length: number; hostBits: boolean } | null {
  if (word === 'default' || word === 'all' || word === 'any') {
    return { family: 0, words: [0, 0, 0, 0], length: 0, hostBits: false };
  }
  const slash = word.indexOf('/');
  const text = slash < 0 ? word : word.slice(0, slash);
  const family: Family = text.includes(':') ? 6 : 4;
  let words: AddressWords | null = null;
  if (family === 6) words = parseAddress6(text);
  else {
    const parts = text.split('.');
    const address = parts.length > 4 ? -1 : parseAddress4([...parts, '0', '0', '0'].slice(0, 4).join('.'));
    if (address >= 0) words = [address, 0, 0, 0];
  }
  const bits = family === 6 ? 128 : 32;
  const length = slash < 0 ? bits : parseNumber(word.slice(slash + 1), 0, bits);
  if (words === null || length < 0) return null;
  const mask = prefixMask(family, length);
  const masked = words.map((value, i) => (value & mask[i]!) >>> 0) as unknown as AddressWords;
  return { family, words: masked, length, hostBits: masked.some((value, i) => value !== words[i]) };
}

/** Scopes by the names of iproute2. */
export const SCOPES: Readonly<Record<string, number>> = {
  global: 0,
  universe: 0,
  site: 200,
  link: 253,
  host: 254,
  nowhere: 255,
};

/** Reads one route. Throws an Error whose message says what is wrong and what would be right. */
export function parseRoute(text: string): RouteText {
  const words = new CommandWords(text);
  let family: Family | 0 = 0;
  words.skip('ip');
  const option = words.skip('-4', '-6');
  if (option !== null) family = option === '-4' ? 4 : 6;
  words.skip('route');
  words.skip('add', 'append');
  const route: RouteText = {
    family: 4,
    type: 'unicast',
    destination: [0, 0, 0, 0],
    prefixLength: 0,
    tos: 0,
    table: -1,
    metric: -1,
    gateway: null,
    gatewayFamily: 4,
    device: null,
    source: null,
    mtu: 0,
    realm: 0,
    scope: null,
    onlink: false,
    text: text.trim(),
  };
  const settle = (found: Family, word: string): void => {
    if (family !== 0 && family !== found)
      throw new Error(`"${word}" is of the other address family than the rest of the route`);
    family = found;
  };
  const address = (word: string): AddressWords => {
    const prefix = parsePrefix(word);
    if (prefix === null || prefix.family === 0 || word.includes('/')) throw new Error(`"${word}" is no address`);
    settle(prefix.family, word);
    return prefix.words;
  };

  let destinationSeen = false;
  for (; words.word !== undefined; words.at++) {
    const { word } = words;
    if (word === 'via') {
      let next = words.argument();
      if (next === 'inet' || next === 'inet6') {
        route.gatewayFamily = next === 'inet' ? 4 : 6;
        next = words.argument();
        const prefix = parsePrefix(next);
        if (prefix === null || prefix.family !== route.gatewayFamily) throw new Error(`"${next}" is no address`);
        route.gateway = prefix.words;
      } else {
        route.gateway = address(next);
        route.gatewayFamily = next.includes(':') ? 6 : 4;
      }
    } else if (word === 'dev' || word === 'oif') route.device = words.argument();
    else if (word === 'src') route.source = address(words.argument());
    else if (word === 'metric' || word === 'priority' || word === 'preference')
      route.metric = words.number(0, 0xffffffff);
    else if (word === 'table') route.table = words.table();
    else if (word === 'mtu') {
      if (words.words[words.at + 1] === 'lock') words.at++;
      route.mtu = words.number(1, 65535);
    } else if (word === 'tos' || word === 'dsfield') route.tos = words.tos();
    else if (word === 'realm' || word === 'realms') route.realm = words.realm();
    else if (word === 'scope') {
      const name = words.argument();
      const value = SCOPES[name] ?? parseNumber(name, 0, 255);
      if (value < 0) throw new Error(`"scope ${name}": one of global, site, link, host, nowhere is needed`);
      route.scope = value;
    } else if (word === 'onlink') route.onlink = true;
    else if (word === 'nexthop' || word === 'nhid') {
      throw new Error(
        `"${word}": routes with several next hops are not simulated (the kernel picks one by a hash seeded at boot); write the one that is wanted`,
      );
    } else if (word === 'encap' || word === 'ttl-propagate') throw new Error(`"${word}": tunnels are not simulated`);
    else if (word === 'hoplimit') words.number(0, 255);
    else if (WITHOUT_EFFECT.has(word)) {
      words.argument();
      if (words.word === 'lock') words.argument();
    } else if (TYPES.has(word) && !destinationSeen) route.type = word as RouteType;
    else {
      if (word === 'to') words.argument();
      const prefix = parsePrefix(words.word!);
      if (prefix === null || destinationSeen) {
        throw new Error(
          `"${words.word}" is not understood; a route is written as in "10.0.0.0/8 via 192.0.2.254 dev eth0"`,
        );
      }
      if (prefix.family !== 0) settle(prefix.family, words.word!);
      if (prefix.hostBits && prefix.family === 4) {
        throw new Error(
          `"${words.word}" has bits beyond its length; "${formatAddress(4, prefix.words)}/${prefix.length}" would be right`,
        );
      }
      route.destination = prefix.words;
      route.prefixLength = prefix.length;
      destinationSeen = true;
    }
  }
  if (!destinationSeen) throw new Error('a route needs a destination, such as default or 10.0.0.0/8');
  route.family = family === 0 ? 4 : family;
  if (route.gateway !== null && route.family === 6 && route.gatewayFamily === 4) {
    throw new Error('an IPv6 route cannot go via an IPv4 address');
  }
  const needsDevice = route.type === 'unicast' || route.type === 'multicast';
  if (needsDevice && route.device === null && route.gateway === null) {
    throw new Error('a route needs "via ADDRESS" or "dev INTERFACE"');
  }
  if (route.table < 0) {
    const local = route.type === 'local' || route.type === 'broadcast' || route.type === 'anycast';
    route.table = local ? TABLE_LOCAL : TABLE_MAIN;
  }
  return route;
}
