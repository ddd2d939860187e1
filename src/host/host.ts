import type { AddressType, Host, InputRoute, RouteAnswer, RouteQuery, SocketAnswer } from '../datapath/environment.ts';
import { addressEquals, formatAddress, parseAddress, parseMac } from '../packet/address-text.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import { jhash2 } from '../packet/jhash.ts';
import type { Packet } from '../packet/packet.ts';
import { AddressSet } from './address-set.ts';
import { type HostDescription, HostError } from './description.ts';
import type { Device } from './device.ts';
import { makeDevices } from './devices.ts';
import {
  emptyInputRoute,
  type InputHost,
  type InputSettings4,
  noRoute,
  routeInput4,
  routeInput6,
} from './input-route.ts';
import { type Flow, type LookupResult, PolicyRules, refusal } from './policy.ts';
import { RouteCache } from './route-cache.ts';
import { Scope } from './route-text.ts';
import { buildTables, type RoutingTables } from './routes.ts';
import { type PolicyRule, parseRule, tableRule } from './rule-text.ts';
import { Sockets } from './sockets.ts';
import { selectSource4 } from './source-address4.ts';
import { selectSource6 } from './source-address6.ts';
import { Sysctls } from './sysctl.ts';
import { TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN } from './tables.ts';

const ZERO: AddressWords = [0, 0, 0, 0];

/** IPv6 groups that every interface (and every router's interface) has joined. */
const GROUPS6: readonly AddressWords[] = [
  [0xff010000, 0, 0, 1],
  [0xff020000, 0, 0, 1],
];
const ROUTER_GROUPS6: readonly AddressWords[] = [
  [0xff010000, 0, 0, 2],
  [0xff020000, 0, 0, 2],
  [0xff050000, 0, 0, 2],
];

/** The rules of a family as `ip rule add` in this order would leave them, with the kernel's own. */
function orderRules(family: Family, written: readonly PolicyRule[]): PolicyRule[] {
  const rules = [tableRule(TABLE_LOCAL, 0), tableRule(TABLE_MAIN, 32766)];
  if (family === 4) rules.push(tableRule(TABLE_DEFAULT, 32767));
  for (const rule of written) {
    if (rule.family !== 0 && rule.family !== family) continue;
    // One without a preference goes directly before the first that is not 0 (fib_default_rule_pref).
    const priority = rule.priority >= 0 ? rule.priority : Math.max((rules[1]?.priority ?? 0) - 1, 0);
    const at = rules.findIndex((each) => each.priority > priority);
    rules.splice(at < 0 ? rules.length : at, 0, { ...rule, priority });
  }
  return rules;
}

class SimulatedHost implements Host, InputHost {
  readonly devices: readonly Device[];
  readonly sourceNeedsLookup: boolean;
  readonly hasRealms: boolean;
  readonly flow: Flow = {
    destination: ZERO,
    source: ZERO,
    inName: 'lo',
    outName: null,
    mark: 0,
    tos: 0,
    uid: 0,
    protocol: 0,
    sourcePort: 0,
    destinationPort: 0,
    sourceRealm: 0,
  };
  readonly #byName = new Map<string, Device>();
  readonly #sysctls: Sysctls;
  readonly #sockets: Sockets;
  readonly #tables: RoutingTables;
  readonly #policy: Readonly<Record<Family, PolicyRules>>;
  readonly #ownAddresses4 = new AddressSet();
  readonly #neighbours = new Map<string, Uint8Array>();
  readonly #settings = new Map<Device, Map<string, number>>();
  readonly #inputRoute: InputRoute = emptyInputRoute();
  /** By device index. */
  readonly #inputSettings: InputSettings4[] = [];
  readonly #cache = new RouteCache();
  readonly #cacheable: boolean;
  readonly #cached: LookupResult = { route: null, refusedBy: null };
  readonly #refusals = new Map<PolicyRule, RouteAnswer>();

  constructor(description: HostDescription) {
    this.#sysctls = new Sysctls(description.sysctl ?? {});
    this.devices = makeDevices(description.interfaces ?? {});
    for (const device of this.devices) {
      this.#byName.set(device.name, device);
      for (const each of device.addresses) if (each.family === 4) this.#ownAddresses4.add(each.address[0]);
    }
    this.#sockets = new Sockets(description.listen ?? []);
    this.#tables = buildTables(this.devices, description.routes ?? [], (device) => this.forwards6(device));
    const written = (description.rules ?? []).map((text, i) => {
      try {
        return parseRule(String(text));
      } catch (error) {
        throw new HostError(['rules', i], (error as Error).message);
      }
    });
    const policy = (family: Family): PolicyRules =>
      new PolicyRules(
        family,
        orderRules(family, written),
        this.#tables.byFamily[family],
        written.some((rule) => rule.family === 0 || rule.family === family),
      );
    this.#policy = { 4: policy(4), 6: policy(6) };
    const custom = this.#policy[4].custom;
    this.#cacheable = !custom && !this.#tables.tosRoutes;
    this.hasRealms = this.#tables.realms || written.some(({ family, realm }) => family !== 6 && realm !== 0);
    this.sourceNeedsLookup = custom || this.#tables.customLocal || this.hasRealms;
    for (const [text, mac] of Object.entries(description.neighbours ?? {})) this.#addNeighbour(text, mac);
  }

  #addNeighbour(text: string, mac: string): void {
    const found = parseAddress(text);
    const path = ['neighbours', text];
    if (found === null)
      throw new HostError(path, `"${text}" is no address; an entry is written as 192.0.2.254: "02:00:00:00:01:fe"`);
    const bytes = parseMac(String(mac));
    if (bytes === null) throw new HostError(path, `"${mac}" is no MAC; write it as "02:00:00:00:01:fe"`);
    this.#neighbours.set(formatAddress(found.family, found.words), bytes);
  }

  device(name: string): Device | null {
    return this.#byName.get(name) ?? null;
  }

  deviceByIndex(index: number): Device | null {
    return this.devices[index - 1] ?? null;
  }

  sysctl(name: string): number {
    return this.#sysctls.value(name);
  }

  interfaceSysctl(family: Family, device: Device, name: string): number {
    let settings = this.#settings.get(device);
    if (settings === undefined) {
      settings = new Map();
      this.#settings.set(device, settings);
    }
    const key = family === 4 ? name : `6${name}`;
    let value = settings.get(key);
    if (value === undefined) {
      value = this.#sysctls.onDevice(family, device, name);
      settings.set(key, value);
    }
    return value;
  }

  settings4(device: Device): InputSettings4 {
    const known = this.#inputSettings[device.index];
    if (known !== undefined) return known;
    const holds = (name: string): boolean => this.interfaceSysctl(4, device, name) !== 0;
    const settings: InputSettings4 = {
      forwarding: holds('forwarding'),
      broadcastForwarding: holds('bc_forwarding'),
      acceptLocal: holds('accept_local'),
      routeLocalnet: holds('route_localnet'),
      sendRedirects: holds('send_redirects'),
      sourceValidMark: holds('src_valid_mark'),
      reversePathFilter: this.interfaceSysctl(4, device, 'rp_filter'),
    };
    this.#inputSettings[device.index] = settings;
    return settings;
  }

  forwards6(device: Device): boolean {
    return (
      this.#sysctls.value('net.ipv6.conf.all.forwarding') !== 0 ||
      this.#sysctls.value(`net.ipv6.conf.${device.name.replaceAll('.', '/')}.force_forwarding`) !== 0
    );
  }

  ownsAddress4(address: number): boolean {
    return this.#ownAddresses4.has(address);
  }

  lookup4(flow: Flow, device: Device | null): LookupResult {
    if (!this.#cacheable || device !== null) return this.#policy[4].lookup(flow, device);
    const destination = flow.destination[0]!;
    let route = this.#cache.find(destination);
    if (route === undefined) {
      route = this.#policy[4].lookup(flow, null).route;
      this.#cache.set(destination, route);
    }
    this.#cached.route = route;
    return this.#cached;
  }

  lookup6(flow: Flow, device: Device | null): LookupResult {
    return this.#policy[6].lookup(flow, device);
  }

  answerOf(result: LookupResult, output: boolean): RouteAnswer {
    const { route, refusedBy } = result;
    if (route !== null) return output ? route.outputAnswer : route.answer;
    if (refusedBy === null) return noRoute();
    let answer = this.#refusals.get(refusedBy);
    if (answer === undefined) {
      answer = refusal(refusedBy);
      this.#refusals.set(refusedBy, answer);
    }
    return answer;
  }

  route(query: RouteQuery): RouteAnswer {
    const { flow } = this;
    const output = query.inDevice == null;
    flow.destination = query.destination;
    flow.source = query.source ?? ZERO;
    flow.inName = query.inDevice?.name ?? 'lo';
    flow.outName = query.outDevice?.name ?? null;
    flow.mark = query.mark ?? 0;
    flow.tos = query.tos ?? 0;
    flow.uid = query.uid ?? 0;
    flow.protocol = query.protocol ?? 0;
    flow.sourcePort = query.sourcePort ?? 0;
    flow.destinationPort = query.destinationPort ?? 0;
    const device = query.outDevice ?? null;
    const bySource = output && device === null ? this.#routeOfGroup(query) : null;
    if (bySource !== null) return bySource;
    const prefer = query.preferDevice ?? null;
    const result = query.family === 4 ? this.lookup4(flow, device) : this.#policy[6].lookup(flow, device, prefer);
    let answer = this.answerOf(result, output);
    // Bound to a device and without a route, the destination is taken to be on its link.
    if (output && device !== null && query.family === 4 && (answer.device === null || answer.type === 'none')) {
      const source = selectSource4(this.devices, device, null, Scope.link);
      answer = {
        ...noRoute(),
        type: 'unicast',
        device,
        preferredSource: source,
        mtu: device.mtu,
        text: `dev ${device.name}`,
      };
    }
    // 127/8 stays inside, unless the interface has it (route_localnet).
    if (
      output &&
      query.family === 4 &&
      query.source !== undefined &&
      query.source[0] >>> 24 === 127 &&
      answer.device !== null &&
      answer.device.kind !== 'loopback' &&
      !this.settings4(answer.device).routeLocalnet
    ) {
      return noRoute();
    }
    // Without a source a limited broadcast or a multicast group goes out over what the unicast route says.
    if (output && query.family === 4 && answer.type === 'unicast') {
      const destination = query.destination[0];
      if (destination === 0xffffffff) return { ...answer, type: 'broadcast', gateway: null };
      if (destination >>> 28 === 14) return { ...answer, type: 'multicast', gateway: null };
    }
    return answer;
  }

  /** A multicast group or the limited broadcast is reached over the interface that has the source, whatever the routes say (ip_route_output_key_hash_rcu). */
  #routeOfGroup({ family, source, destination: [destination] }: RouteQuery): RouteAnswer | null {
    if (family !== 4 || source === undefined || source[0] === 0) return null;
    const type = destination === 0xffffffff ? 'broadcast' : destination >>> 28 === 14 ? 'multicast' : null;
    if (type === null) return null;
    const has = (device: Device): boolean =>
      source[0] >>> 24 === 127
        ? device.kind === 'loopback'
        : device.addresses.some((each) => each.family === 4 && each.address[0] === source[0]);
    const device = this.devices.find(has);
    if (device === undefined) return noRoute();
    return { ...noRoute(), type, device, mtu: device.mtu, text: `${type} dev ${device.name}, by its source` };
  }

  routeInput(packet: Packet, device: Device): InputRoute {
    return packet.family === 4
      ? routeInput4(this, packet, device, this.#inputRoute)
      : routeInput6(this, packet, device, this.#inputRoute);
  }

  inGroup6(device: Device, group: ArrayLike<number>): boolean {
    if (GROUPS6.some((each) => addressEquals(each, group))) return true;
    if (this.forwards6(device) && ROUTER_GROUPS6.some((each) => addressEquals(each, group))) return true;
    // Solicited-node addresses of the interface's own addresses.
    if (group[0] !== 0xff020000 || group[1] !== 0 || group[2] !== 1 || group[3]! >>> 24 !== 0xff) return false;
    return device.addresses.some((each) => each.family === 6 && ((each.address[3] ^ group[3]!) & 0xffffff) === 0);
  }

  addressType(family: Family, address: AddressWords, device: Device | null = null): AddressType {
    return family === 4 ? this.#addressType4(address, device) : this.#addressType6(address, device);
  }

  /** `inet_dev_addr_type`: only the local table is asked. */
  #addressType4(address: AddressWords, device: Device | null): AddressType {
    const value = address[0];
    if (value === 0 || value === 0xffffffff) return 'BROADCAST';
    if (value >>> 28 === 14) return 'MULTICAST';
    const route = this.#tables.byFamily[4].get(TABLE_LOCAL)?.lookup(address, 0, null) ?? null;
    if (route === null || (device !== null && route.device !== device)) return 'UNICAST';
    if (route.type === 'local') return 'LOCAL';
    return route.type === 'broadcast' ? 'BROADCAST' : 'UNICAST';
  }

  #addressType6(address: AddressWords, device: Device | null): AddressType {
    if (addressEquals(address, ZERO)) return 'UNSPEC';
    if (address[0] >>> 24 === 0xff) return 'MULTICAST';
    if (device === null ? this.#hasType6(address, null, 'LOCAL') : ownsAddress6(device, address)) return 'LOCAL';
    if (this.#hasType6(address, device, 'ANYCAST')) return 'ANYCAST';
    return this.#hasType6(address, device, 'UNREACHABLE') ? 'UNREACHABLE' : 'UNICAST';
  }

  /** What `match_lookup_rt6` of xt_addrtype finds out: LOCAL, ANYCAST or UNREACHABLE. */
  #hasType6(address: AddressWords, device: Device | null, type: AddressType): boolean {
    if (device !== null && type === 'LOCAL') return ownsAddress6(device, address);
    const answer = this.route({ family: 6, destination: address, outDevice: device });
    switch (type) {
      case 'LOCAL':
        return answer.type === 'local' && answer.anycast !== true;
      case 'ANYCAST':
        return answer.anycast === true;
      case 'UNREACHABLE':
        return (
          answer.type === 'none' ||
          answer.type === 'blackhole' ||
          answer.type === 'unreachable' ||
          answer.type === 'prohibit'
        );
      default:
        return false;
    }
  }

  addressMatches(
    family: Family,
    address: AddressWords,
    types: readonly AddressType[],
    device: Device | null = null,
  ): boolean {
    if (family === 4) return types.includes(this.#addressType4(address, device));
    // IPv6: what the address itself must be, each type on its own; then one of those that a route lookup tells.
    const unspecified = addressEquals(address, ZERO);
    const multicast = address[0] >>> 24 === 0xff;
    if (types.includes('MULTICAST') && !multicast) return false;
    if (types.includes('UNICAST') && (multicast || unspecified)) return false;
    if (types.includes('UNSPEC') && !unspecified) return false;
    const asked = types.filter((type) => type === 'LOCAL' || type === 'ANYCAST' || type === 'UNREACHABLE');
    return asked.length === 0 || asked.some((type) => this.#hasType6(address, device, type));
  }

  sourceAddress(family: Family, device: Device, destination: AddressWords): AddressWords | null {
    return family === 4
      ? selectSource4(this.devices, device, destination, Scope.universe)
      : selectSource6(this.devices, device, destination);
  }

  neighbourMac(family: Family, address: AddressWords, device: Device): Uint8Array {
    if (device.kind === 'loopback') return new Uint8Array(6);
    const known = this.#neighbours.get(formatAddress(family, address));
    if (known !== undefined) return known;
    const [a, , , d] = address;
    if (family === 6 && a >>> 24 === 0xff) return Uint8Array.of(0x33, 0x33, d >>> 24, d >>> 16, d >>> 8, d);
    if (family === 4 && a >>> 28 === 14) return Uint8Array.of(1, 0, 0x5e, (a >>> 16) & 0x7f, a >>> 8, a);
    if (family === 4 && this.#addressType4(address, null) === 'BROADCAST') return new Uint8Array(6).fill(0xff);
    // Made up: an IPv4 address is readable in it, an IPv6 address hashed.
    const low = family === 4 ? a : jhash2(address, 4, 0);
    return Uint8Array.of(2, family === 4 ? 4 : 6, low >>> 24, low >>> 16, low >>> 8, low);
  }

  findSocket(
    protocol: number,
    family: Family,
    _source: AddressWords,
    _sourcePort: number,
    destination: AddressWords,
    destinationPort: number,
    inDevice: Device | null,
  ): SocketAnswer | null {
    return this.#sockets.find(protocol, family, destination, destinationPort, inDevice);
  }
}

function ownsAddress6(device: Device, address: AddressWords): boolean {
  return device.addresses.some((each) => each.family === 6 && addressEquals(each.address, address));
}

const KNOWN_KEYS = ['interfaces', 'routes', 'rules', 'neighbours', 'sysctl', 'listen'];

/** Makes the simulated machine of a description. Throws a HostError that names the wrong entry. Without anything: `lo` and no routes. */
export function createHost(description: HostDescription = {}): Host {
  for (const key of Object.keys(description)) {
    if (!KNOWN_KEYS.includes(key)) throw new HostError([key], `unknown key; there are ${KNOWN_KEYS.join(', ')}`);
  }
  return new SimulatedHost(description);
}
