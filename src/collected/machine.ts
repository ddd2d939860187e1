import {
  type HostDescription,
  HostError,
  type InterfaceDescription,
  type ListenDescription,
} from '../host/description.ts';
import { makeDevices } from '../host/devices.ts';
import { createHost } from '../host/host.ts';
import { parsePrefix } from '../host/route-text.ts';
import { type ImpliedRoute, impliedRoutes } from '../host/routes.ts';
import { Sysctls } from '../host/sysctl.ts';
import { TABLE_MAIN } from '../host/tables.ts';
import { formatAddress } from '../packet/address-text.ts';
import { CollectedError, Collection, type Note, noteText, type ReadCollected, word, words } from './collection.ts';
import { connectionLines } from './connections.ts';
import { type CollectedAddress, type CollectedLink, readAddresses, readLinks } from './interfaces.ts';
import { type CollectedRoute, readRoutes, routeKey } from './routes.ts';
import { readRules } from './rules.ts';
import { readSysctls } from './sysctls.ts';
import { readRuleset, readSockets, tellOtherTables } from './texts.ts';

/** A live machine as iptsim takes it. */
export interface CollectedMachine {
  hostname: string | null;
  description: HostDescription;
  /** `iptables-save -c`, `ip6tables-save -c`, `ipset save`. */
  rules4: string;
  rules6: string;
  sets: string;
  /** The variant whose rules these are; null where there are none. */
  variant: 'nft' | 'legacy' | null;
  /** Connections as lines for `conntrack -R`. */
  connections: string[];
  /** When it was collected, microseconds since the epoch; 0 if that is not known. */
  time: number;
  /** What bridges know: by bridge, then MAC in hex, the port; `age` in microseconds, long before none for what is never forgotten. */
  learnedMacs: Record<string, Record<string, { port: string; age: number }>>;
  /** What is not as on the machine. */
  notes: Note[];
}

/** Files by which a directory is known as one that iptsim-collect.sh made. */
export const COLLECTED_FILE = 'ip-addr.json';

/** Reads a directory that adapters/collect/iptsim-collect.sh made. Throws CollectedError where it cannot be one. */
export function readMachine(read: ReadCollected): CollectedMachine {
  const collection = new Collection(read);
  tellFailures(collection);
  const links = readLinks(collection);
  const addresses = readAddresses(collection);
  const routes = readRoutes(collection);
  const rules = readRules(collection);
  const names = [...links.keys()];
  const sysctl = readSysctls(collection, names);
  const interfaces = interfacesOf(links, addresses, routes);
  const written = writtenRoutes(collection, links, interfaces, sysctl, routes);
  const description: HostDescription = checked(collection, written, rules, {
    interfaces,
    neighbours: readNeighbours(collection),
    sysctl,
    listen: listenOf(collection, links),
  });
  const [four, six] = [readRuleset(collection, 4), readRuleset(collection, 6)];
  if (four.variant !== null && six.variant !== null && four.variant !== six.variant) {
    collection.noteFile(
      'iptables-legacy-save',
      `IPv4 rules are of ${four.variant}, IPv6 rules of ${six.variant}: traces take one`,
    );
  }
  tellOtherTables(collection);
  tellConnections(collection);
  return {
    hostname: collection.text('hostname')?.trim() || null,
    description,
    rules4: four.text,
    rules6: six.text,
    sets: collection.text('ipset-save') ?? '',
    variant: four.variant ?? six.variant,
    connections: connectionLines(collection.text('conntrack-save') ?? ''),
    time: Number(collection.text('time')?.trim() || 0) * 1e6,
    learnedMacs: readLearnedMacs(collection),
    notes: collection.notes,
  };
}

/** What the collecting script could not read. */
function tellFailures(collection: Collection): void {
  (collection.text('collected') ?? '').split('\n').forEach((line, index) => {
    const match = /^(failed|missing) (\S+) (.*)$/.exec(line);
    if (match === null || (match[1] === 'missing' && /-nft-save$/.test(match[2]!))) return;
    collection.noteFile('collected', `${match[1]}: ${match[3]}`, `line ${index + 1}`);
  });
}

/** Interfaces with their addresses. One whose prefix has no route on the machine is said to make none. */
function interfacesOf(
  links: ReadonlyMap<string, CollectedLink>,
  addresses: readonly CollectedAddress[],
  routes: readonly CollectedRoute[],
): Record<string, InterfaceDescription> {
  const keys = new Set(routes.map(({ key }) => key));
  const interfaces: Record<string, InterfaceDescription> = {};
  for (const [name, { description }] of links) {
    const here = addresses.filter(({ device }) => device === name);
    // Of IPv6 addresses the kernel lists the last one first.
    const added = [
      ...here.filter(({ family }) => family === 4),
      ...here.filter(({ family }) => family === 6).reverse(),
    ];
    const texts = added.map((address) => addressText(address, keys));
    const own = texts.filter((text) => name !== 'lo' || (text !== '127.0.0.1/8' && text !== '::1/128'));
    if (name === 'lo' && own.length === 0) continue;
    interfaces[name] = own.length === 0 ? description : { ...description, addresses: own };
  }
  return interfaces;
}

function addressText(address: CollectedAddress, routes: ReadonlySet<string>): string {
  const { family, local, length, device, secondary, peer, scope } = address;
  const bits = family === 4 ? 32 : 128;
  const words: string[] = [];
  // The prefix of a point-to-point address is the peer's: its route is among the written ones.
  if (peer !== null && peer !== local) words.push(`${local}/${bits}`);
  else {
    words.push(`${local}/${length}`);
    const prefix = parsePrefix(`${local}/${length}`)!;
    const network = `${formatAddress(family, prefix.words)}/${length}`;
    const key = routeKey(family, TABLE_MAIN, 'unicast', network, device, family === 4 ? 0 : 256);
    const makesRoute = device !== 'lo' && (family === 6 || (length < 32 && !secondary));
    if (makesRoute && !routes.has(key)) words.push('noprefixroute');
  }
  const usual = family === 4 && local.startsWith('127.') ? 'host' : 'global';
  if (family === 4 && scope !== usual) words.push('scope', scope);
  return words.join(' ');
}

/** The routes that do not follow from the addresses, in an order in which they can be added. */
function writtenRoutes(
  collection: Collection,
  links: ReadonlyMap<string, CollectedLink>,
  interfaces: Record<string, InterfaceDescription>,
  sysctl: Record<string, string | number>,
  routes: readonly CollectedRoute[],
): CollectedRoute[] {
  const sysctls = new Sysctls(sysctl);
  const forwards = sysctls.value('net.ipv6.conf.all.forwarding') !== 0;
  let implied: readonly ImpliedRoute[];
  try {
    implied = impliedRoutes(
      makeDevices(interfaces),
      ({ name }) => forwards || sysctls.value(`net.ipv6.conf.${name.replaceAll('.', '/')}.force_forwarding`) !== 0,
    );
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    throw new CollectedError('ip-link.json', `${error.path.join('.')}: ${error.message}`);
  }
  const missing = new Map<string, ImpliedRoute>();
  for (const route of implied) {
    const { family, table, type, destination, prefixLength, device, metric } = route;
    const prefix = `${formatAddress(family, destination)}/${prefixLength}`;
    missing.set(routeKey(family, table, type, prefix, device?.name ?? '', metric), route);
  }
  const written: CollectedRoute[] = [];
  for (const route of routes) {
    const same = missing.get(route.key);
    const source = same?.source == null ? null : formatAddress(same.family, same.source);
    if (same !== undefined && !route.viaGateway && (route.family === 6 || route.source === source))
      missing.delete(route.key);
    else written.push(route);
  }
  for (const { family, type, destination, prefixLength, device } of missing.values()) {
    const link = links.get(device?.name ?? 'lo');
    // Devices that are down, or without IPv6, lack more than one could list.
    if (link === undefined || !link.running || link.name === 'lo' || type === 'multicast' || type === 'anycast')
      continue;
    collection.noteFile(
      family === 4 ? 'ip-route.json' : 'ip-6-route.json',
      `iptsim has the route that an address of ${link.name} makes, the machine has not`,
      `${type} ${formatAddress(family, destination)}/${prefixLength}`,
    );
  }
  return [...written.filter(({ viaGateway }) => !viaGateway), ...written.filter(({ viaGateway }) => viaGateway)];
}

type Rule = ReturnType<typeof readRules>[number];

/** The description with all routes and rules that hold; the others are noted, each with its reason. */
function checked(
  collection: Collection,
  routes: readonly CollectedRoute[],
  rules: readonly Rule[],
  rest: Omit<HostDescription, 'routes' | 'rules'>,
): HostDescription {
  const entries = {
    routes: routes.map(({ text, entry }) => ({ text, entry })),
    rules: rules.map(({ text, entry }) => ({ text, entry })),
  };
  for (;;) {
    const description: HostDescription = {
      ...rest,
      ...(entries.routes.length > 0 ? { routes: entries.routes.map(({ text }) => text) } : {}),
      ...(entries.rules.length > 0 ? { rules: entries.rules.map(({ text }) => text) } : {}),
    };
    try {
      createHost(description);
      return description;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      const [key, index] = error.path;
      if ((key !== 'routes' && key !== 'rules') || typeof index !== 'number') {
        throw new CollectedError(key === 'interfaces' ? 'ip-addr.json' : String(key), error.message);
      }
      const wrong = entries[key][index]!;
      // A gateway that was in reach when the route was made.
      if (key === 'routes' && error.message.includes('onlink') && !wrong.text.includes(' onlink'))
        wrong.text += ' onlink';
      else {
        collection.note(wrong.entry, wrong.text, `${error.message}; left out`);
        entries[key].splice(index, 1);
      }
    }
  }
}

/** Neighbours whose MAC is known. */
function readNeighbours(collection: Collection): Record<string, string> {
  const neighbours: Record<string, string> = {};
  for (const { fields } of collection.entries('ip-neigh.json') ?? []) {
    const [address, mac] = [word(fields, 'dst'), word(fields, 'lladdr')];
    if (address !== null && mac !== null && !words(fields, 'state').includes('FAILED')) neighbours[address] = mac;
  }
  return neighbours;
}

/** Sockets as host.yaml lists them. */
function listenOf(collection: Collection, links: ReadonlyMap<string, CollectedLink>): (string | ListenDescription)[] {
  return readSockets(collection).map(({ port, address, device }) => {
    if (address === null && device === null) return port;
    const bound = device !== null && links.has(device) ? { device } : {};
    return { port, ...(address === null ? {} : { address }), ...bound };
  });
}

/** An entry made so many microseconds in the future grows old with nobody. */
const NEVER = -1e15;

/** `bridge fdb`: what bridges have learned, and what was added by hand, which stays. */
function readLearnedMacs(collection: Collection): CollectedMachine['learnedMacs'] {
  const learned: CollectedMachine['learnedMacs'] = {};
  for (const { fields } of collection.entries('bridge-fdb.json') ?? []) {
    const [mac, port, bridge] = [word(fields, 'mac'), word(fields, 'ifname'), word(fields, 'master')];
    if (mac === null || port === null || bridge === null || port === bridge || word(fields, 'state') === 'permanent')
      continue;
    const age = word(fields, 'state') === 'static' ? NEVER : 0;
    learned[bridge] = { ...learned[bridge], [mac.replaceAll(':', '')]: { port, age } };
  }
  return learned;
}

/** Of the other forms in which conntrack lists connections none is read. */
function tellConnections(collection: Collection): void {
  if (collection.text('conntrack-save') !== null) return;
  const count = (collection.text('conntrack') ?? '').split('\n').filter((line) => /\bsrc=/.test(line)).length;
  if (count > 0) collection.noteFile('conntrack', connectionsNote(count));
}

export function connectionsNote(count: number): string {
  return `${count} ${count === 1 ? 'connection is' : 'connections are'} not taken over: the machine begins without any`;
}

/** Notes as lines. */
export function notesText(notes: readonly Note[]): string {
  return notes.map((note) => `${noteText(note)}\n`).join('');
}
