import type { InterfaceDescription } from '../host/description.ts';
import { parseInterfaceAddress } from '../host/devices.ts';
import { formatAddress, inPrefix, parseAddress, prefixMask } from '../packet/address-text.ts';
import { type Internet, NetworkError } from './description.ts';
import type { HostPlan, LinkPlan } from './plan.ts';

/** Name of the host that stands for all of the internet. */
export const INTERNET = 'internet';

/** Addresses that nobody routes in public: RFC 1918, 6598, 3927, 4193. */
const PRIVATE4 = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16'];
const PRIVATE6 = ['fc00::/7'];

function dropPrivate(prefixes: readonly string[]): string {
  const rules = prefixes.map(
    (prefix) => `-A PREROUTING -s ${prefix} -m comment --comment "private addresses do not cross the internet" -j DROP`,
  );
  return ['*raw', ':PREROUTING ACCEPT [0:0]', ':OUTPUT ACCEPT [0:0]', ...rules, 'COMMIT', ''].join('\n');
}

/**
 * The internet as one router: an interface for each link to it with the gateway addresses that the other ends have routes to, and the
 * servers' addresses its own. What comes from private addresses is dropped.
 */
export function planInternet(
  internet: Internet,
  links: readonly LinkPlan[],
  hosts: ReadonlyMap<string, HostPlan>,
): HostPlan {
  const servers = Object.entries(internet.servers ?? {});
  const addresses: string[] = [];
  const listen: { port: string; address: string }[] = [];
  for (const [name, server] of servers) {
    server.addresses.forEach((address, index) => {
      const path = ['internet', 'servers', name, 'addresses', index];
      if (address.includes('/')) throw new NetworkError(path, 'a server has plain addresses, without a prefix length');
      try {
        parseInterfaceAddress(address);
      } catch (error) {
        throw new NetworkError(path, (error as Error).message);
      }
      addresses.push(address);
      for (const port of server.listen ?? []) listen.push({ port, address });
    });
  }
  const interfaces: Record<string, InterfaceDescription> = { lo: { addresses } };
  const routes = new Set<string>(internet.routes ?? []);
  for (const { name, ends } of links) {
    const own = ends.find(({ host }) => host === INTERNET);
    if (own === undefined) continue;
    if (interfaces[own.device] !== undefined) {
      throw new NetworkError(['links', name], `the internet has a link to ${own.device.slice(3)} already`);
    }
    const here = new Set<string>();
    for (const end of ends) {
      if (end.host === INTERNET) continue;
      const description = hosts.get(end.host)!.description;
      for (const text of description.interfaces?.[end.device]?.addresses ?? []) {
        const gateways = gatewaysIn(text, description.routes ?? []);
        for (const gateway of gateways) here.add(gateway);
        if (gateways.length === 0) routes.add(`${networkOf(text)} dev ${own.device}`);
      }
    }
    interfaces[own.device] = { addresses: [...here] };
  }
  return {
    name: INTERNET,
    description: {
      interfaces,
      routes: [...routes],
      listen,
      sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 },
    },
    texts: {
      rules4: { text: dropPrivate(PRIVATE4), from: INTERNET },
      rules6: { text: dropPrivate(PRIVATE6), from: INTERNET },
      sets: { text: '', from: INTERNET },
    },
    path: [INTERNET],
  };
}

/** The next hops of a host's routes that lie in the prefix of one of its addresses, with its length: the internet's side of a link. */
function gatewaysIn(text: string, routes: readonly string[]): string[] {
  const own = parseInterfaceAddress(text);
  const gateways = routes.map((route) => parseAddress(/\bvia (?:inet6? )?(\S+)/.exec(route)?.[1] ?? ''));
  return gateways
    .filter(
      (gateway) => gateway?.family === own.family && inPrefix(own.family, gateway.words, own.address, own.prefixLength),
    )
    .map((gateway) => `${formatAddress(own.family, gateway!.words)}/${own.prefixLength}`);
}

/** `203.0.113.0/24` of `203.0.113.10/24`. */
function networkOf(text: string): string {
  const { family, address, prefixLength } = parseInterfaceAddress(text);
  const mask = prefixMask(family, prefixLength);
  return `${formatAddress(
    family,
    address.map((word, i) => (word & mask[i]!) >>> 0),
  )}/${prefixLength}`;
}
