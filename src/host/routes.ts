/** Builds the routing tables of a machine: what its addresses imply, as Linux makes it, and the routes that were written. */
import type { RouteAnswer } from '../datapath/environment.ts';
import { addressEquals, formatAddress, inPrefix, prefixMask } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import { HostError } from './description.ts';
import type { Device, InterfaceAddress } from './device.ts';
import { isSecondary } from './devices.ts';
import { parseRoute, type RouteText, type RouteType, Scope } from './route-text.ts';
import { type Route, RoutingTable } from './routing-table.ts';
import { selectSource4 } from './source-address4.ts';
import { TABLE_LOCAL, TABLE_MAIN, tableName } from './tables.ts';

export interface RoutingTables {
  readonly byFamily: Readonly<Record<Family, Map<number, RoutingTable>>>;
  /** True if a route of type local was written (`fib_has_custom_local_routes`): sources are then checked by a lookup. */
  customLocal: boolean;
  /** True if any IPv4 route has a TOS: a cache by destination would be wrong. */
  tosRoutes: boolean;
  /** True if any IPv4 route has a realm. */
  realms: boolean;
}

/** Largest IPv4 packet (`IP_MAX_MTU`). */
const IP_MAX_MTU = 0xffff;

interface Draft {
  family: Family;
  type: RouteType;
  destination: AddressWords;
  prefixLength: number;
  tos?: number;
  metric: number;
  scope: number;
  realm?: number;
  table: number;
  device: Device | null;
  gateway: AddressWords | null;
  gatewayFamily?: Family;
  /** `src`, or what the kernel sets for the routes that it makes. */
  source: AddressWords | null;
  mtu?: number;
  text?: string;
}

const ANSWER_TYPES: Readonly<Record<RouteType, RouteAnswer['type']>> = {
  unicast: 'unicast',
  local: 'local',
  broadcast: 'broadcast',
  // An IPv6 anycast address is delivered like one of the machine's own; an IPv4 one does not exist.
  anycast: 'local',
  multicast: 'multicast',
  blackhole: 'blackhole',
  unreachable: 'unreachable',
  prohibit: 'prohibit',
  throw: 'throw',
};

function routeText(draft: Draft): string {
  const { family, destination, prefixLength, gateway, device } = draft;
  const whole = prefixLength === (family === 4 ? 32 : 128);
  const prefix =
    prefixLength === 0 ? 'default' : `${formatAddress(family, destination)}${whole ? '' : `/${prefixLength}`}`;
  const parts = draft.type === 'unicast' ? [prefix] : [draft.type, prefix];
  if (gateway !== null) parts.push('via', formatAddress(family, gateway));
  if (device !== null) parts.push('dev', device.name);
  if (draft.table !== TABLE_MAIN) parts.push('table', tableName(draft.table));
  return parts.join(' ');
}

function makeRoute(draft: Draft, devices: readonly Device[]): Route {
  const { family, device } = draft;
  let preferredSource = draft.source;
  if (preferredSource === null && family === 4 && device !== null && draft.type !== 'local') {
    preferredSource = selectSource4(devices, device, draft.gateway, draft.scope);
  }
  const mtu = draft.mtu || device?.mtu || 0;
  const answer: RouteAnswer = {
    type: ANSWER_TYPES[draft.type],
    device,
    gateway: draft.gateway,
    preferredSource,
    mtu: family === 4 ? Math.min(mtu, IP_MAX_MTU) : mtu,
    realm: draft.realm ?? 0,
    table: draft.table,
    text: draft.text ?? routeText(draft),
    ...(draft.type === 'anycast' ? { anycast: true } : {}),
    ...(draft.gatewayFamily === undefined ? {} : { gatewayFamily: draft.gatewayFamily }),
  };
  const loopback = devices[0]!;
  const loopbackMtu = family === 4 ? Math.min(loopback.mtu, IP_MAX_MTU) : loopback.mtu;
  const outputAnswer = answer.type === 'local' ? { ...answer, device: loopback, mtu: loopbackMtu } : answer;
  return {
    family,
    type: draft.type,
    destination: draft.destination,
    prefixLength: draft.prefixLength,
    tos: draft.tos ?? 0,
    metric: draft.metric,
    scope: draft.scope,
    realm: draft.realm ?? 0,
    table: draft.table,
    device,
    answer,
    outputAnswer,
  };
}

export function buildTables(
  devices: readonly Device[],
  routes: readonly string[],
  forwards6: (device: Device) => boolean,
): RoutingTables {
  const tables: RoutingTables = {
    byFamily: { 4: new Map(), 6: new Map() },
    customLocal: false,
    tosRoutes: false,
    realms: false,
  };
  const add = (draft: Draft): void => {
    const family = tables.byFamily[draft.family];
    let table = family.get(draft.table);
    if (table === undefined) {
      table = new RoutingTable(draft.family);
      family.set(draft.table, table);
    }
    table.add(makeRoute(draft, devices));
  };

  addImplied(devices, forwards6, add);
  routes.forEach((text, i) => {
    try {
      add(writtenRoute(parseRoute(String(text)), devices, tables));
    } catch (error) {
      throw new HostError(['routes', i], (error as Error).message);
    }
  });
  return tables;
}

function addImplied(
  devices: readonly Device[],
  forwards6: (device: Device) => boolean,
  add: (draft: Draft) => void,
): void {
  for (const device of devices) {
    for (const address of device.addresses) {
      if (address.family === 4) implied4(device, address, add);
      else implied6(device, address, forwards6(device), add);
    }
    if (device.kind !== 'loopback' && device.bridge === null) {
      add({
        family: 6,
        type: 'multicast',
        destination: [0xff000000, 0, 0, 0],
        prefixLength: 8,
        metric: 256,
        scope: Scope.universe,
        table: TABLE_LOCAL,
        device,
        gateway: null,
        source: null,
      });
    }
  }
}

/** A route that nobody writes: addresses make it. */
export type ImpliedRoute = Readonly<
  Pick<Draft, 'family' | 'type' | 'destination' | 'prefixLength' | 'metric' | 'table' | 'device' | 'source'>
>;

/** The routes that the addresses of devices make. */
export function impliedRoutes(
  devices: readonly Device[],
  forwards6: (device: Device) => boolean,
): readonly ImpliedRoute[] {
  const drafts: Draft[] = [];
  addImplied(devices, forwards6, (draft) => drafts.push(draft));
  return drafts;
}

/** The routes of an IPv4 address (`fib_add_ifaddr`). */
function implied4(device: Device, address: InterfaceAddress, add: (draft: Draft) => void): void {
  const { prefixLength } = address;
  const mask = prefixMask(4, prefixLength)[0];
  const network = (address.address[0] & mask) >>> 0;
  const primary = isSecondary(device, address) ? primaryOf(device, address) : address;
  const common = { family: 4, metric: 0, device, gateway: null, source: primary.address } as const;
  const local = { ...common, type: 'local', table: TABLE_LOCAL, scope: Scope.host } as const;
  add({ ...local, destination: address.address, prefixLength: 32 });
  if (primary !== address) return;
  if (prefixLength < 32 && address.prefixRoute) {
    const destination: AddressWords = [network, 0, 0, 0];
    if (device.kind === 'loopback') add({ ...local, destination, prefixLength });
    else add({ ...common, type: 'unicast', table: TABLE_MAIN, scope: Scope.link, destination, prefixLength });
  }
  if (address.broadcast !== null) {
    add({
      ...common,
      type: 'broadcast',
      table: TABLE_LOCAL,
      scope: Scope.link,
      destination: address.broadcast,
      prefixLength: 32,
    });
  }
}

function primaryOf(device: Device, address: InterfaceAddress): InterfaceAddress {
  const same = (other: InterfaceAddress): boolean =>
    other.family === 4 &&
    other.prefixLength === address.prefixLength &&
    inPrefix(4, other.address, address.address, address.prefixLength);
  return device.addresses.find(same) ?? address;
}

/** The routes of an IPv6 address (`addrconf`): itself, its prefix, and on a router the subnet-router anycast address. */
function implied6(device: Device, address: InterfaceAddress, forwards: boolean, add: (draft: Draft) => void): void {
  const mask = prefixMask(6, address.prefixLength);
  const network = address.address.map((word, i) => (word & mask[i]!) >>> 0) as unknown as AddressWords;
  const common = { family: 6, device, gateway: null, source: null, scope: Scope.universe } as const;
  add({
    ...common,
    type: 'local',
    destination: address.address,
    prefixLength: 128,
    metric: 0,
    table: TABLE_LOCAL,
  });
  if (address.prefixRoute) {
    add({
      ...common,
      type: 'unicast',
      destination: network,
      prefixLength: address.prefixLength,
      metric: 256,
      table: TABLE_MAIN,
    });
  }
  if (forwards && address.prefixLength < 127 && !addressEquals(network, [0, 0, 0, 0]) && device.kind !== 'loopback') {
    add({ ...common, type: 'anycast', destination: network, prefixLength: 128, metric: 0, table: TABLE_LOCAL });
  }
}

/** A route that was written, with its device and gateway checked as the kernel does when it is added. */
function writtenRoute(text: RouteText, devices: readonly Device[], tables: RoutingTables): Draft {
  const { family, type, gateway } = text;
  let device: Device | null = null;
  if (text.device !== null) {
    device = devices.find((each) => each.name === text.device) ?? null;
    if (device === null) {
      throw new Error(
        `there is no interface "${text.device}"; there are ${devices.map((each) => each.name).join(', ')}`,
      );
    }
  }
  if (gateway !== null && !text.onlink) device = deviceOfGateway(text, gateway, device, tables);
  if (text.source !== null && !devices.some((each) => ownsAddress(each, family, text.source!))) {
    throw new Error(`src ${formatAddress(family, text.source)} is no address of this machine`);
  }
  const refuses = type === 'blackhole' || type === 'unreachable' || type === 'prohibit' || type === 'throw';
  if (!refuses && device === null) device = devices[0]!;
  if (type === 'local') tables.customLocal = true;
  if (family === 4 && text.tos !== 0) tables.tosRoutes = true;
  if (family === 4 && text.realm !== 0) tables.realms = true;
  const scope =
    text.scope ?? (type === 'local' ? Scope.host : !refuses && gateway === null ? Scope.link : Scope.universe);
  return {
    family,
    type,
    destination: text.destination,
    prefixLength: text.prefixLength,
    tos: text.tos & 0x1c,
    metric: text.metric >= 0 ? text.metric : family === 6 ? 1024 : 0,
    scope,
    realm: text.realm,
    table: text.table,
    device: refuses ? null : device,
    gateway,
    ...(gateway === null || text.gatewayFamily === family ? {} : { gatewayFamily: text.gatewayFamily }),
    source: text.source,
    mtu: text.mtu,
    text: text.text,
  };
}

function ownsAddress(device: Device, family: Family, address: AddressWords): boolean {
  return device.addresses.some((each) => each.family === family && addressEquals(each.address, address));
}

/** The interface on whose network the gateway lies; the kernel refuses a gateway that is not on link. */
function deviceOfGateway(
  text: RouteText,
  gateway: AddressWords,
  device: Device | null,
  tables: RoutingTables,
): Device | null {
  const family = text.gatewayFamily;
  const shown = formatAddress(family, gateway);
  if (family === 6 && (gateway[0] & 0xffc00000) >>> 0 === 0xfe800000) {
    if (device === null) throw new Error(`the link-local gateway ${shown} needs "dev INTERFACE"`);
    return device;
  }
  const known = tables.byFamily[family];
  const own = known.get(TABLE_LOCAL)?.lookup(gateway, 0, null) ?? null;
  if (own !== null && own.type !== 'multicast')
    throw new Error(`the gateway ${shown} is an address of this machine itself`);
  const route =
    known.get(text.table)?.lookup(gateway, 0, device) ?? known.get(TABLE_MAIN)?.lookup(gateway, 0, device) ?? null;
  const onLink = (each: Route | null): each is Route =>
    each !== null && each.device !== null && each.answer.gateway === null;
  const viaMain = onLink(route) ? route : (known.get(TABLE_MAIN)?.lookup(gateway, 0, device) ?? null);
  if (!onLink(viaMain)) {
    throw new Error(
      `the gateway ${shown} is not on a network of ${device === null ? 'this machine' : device.name}; give the interface an address of its network, or write "onlink"`,
    );
  }
  return device ?? viaMain.device;
}
