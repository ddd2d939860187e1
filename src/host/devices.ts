import { IPv4CidrRange, IPv6CidrRange } from 'ip-num';
import { addressEquals, inPrefix, parseAddress, parseMac } from '../packet/address-text.ts';
import type { Family } from '../packet/family.ts';
import { HostError, type InterfaceDescription } from './description.ts';
import type { Device, DeviceKind, InterfaceAddress } from './device.ts';
import { SCOPES, Scope } from './route-text.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const KNOWN_KEYS = new Set(['mac', 'addresses', 'mtu', 'group', 'bridge', 'hairpin', 'link', 'vlan']);

/**
 * `192.0.2.1/24` as an interface address, with the words of ip-address(8) `scope global|site|link|host` and `noprefixroute` where
 * they are wanted. Throws an Error that says what would be right.
 */
export function parseInterfaceAddress(words: string): InterfaceAddress {
  const [text = '', ...options] = words.trim().split(/\s+/);
  const found = parseAddress(text.split('/')[0]!);
  const prefix = found === null ? null : parseCidr(text, found.family);
  if (found === null || prefix === null) {
    throw new Error(`"${text}" is no address; write it with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64`);
  }
  const prefixLength = Number(prefix.getPrefix().getValue());
  const { family, words: address } = found;
  const hasBroadcast = family === 4 && prefixLength < 31;
  return {
    family,
    address,
    prefixLength,
    broadcast: hasBroadcast ? [Number(prefix.getLast().getValue()), 0, 0, 0] : null,
    ...addressOptions(options, family === 4 && address[0] >>> 24 === 127 ? Scope.host : Scope.universe),
  };
}

function addressOptions(options: readonly string[], usual: number): Pick<InterfaceAddress, 'scope' | 'prefixRoute'> {
  let scope = usual;
  let prefixRoute = true;
  for (let i = 0; i < options.length; i++) {
    const option = options[i]!;
    if (option === 'noprefixroute') prefixRoute = false;
    else if (option === 'scope') {
      const value = SCOPES[options[++i] ?? ''];
      if (value === undefined) throw new Error(`"scope ${options[i] ?? ''}": global, site, link or host is needed`);
      scope = value;
    } else throw new Error(`"${option}" is not understood after an address; there are noprefixroute and scope`);
  }
  return { scope, prefixRoute };
}

/** The prefix of `ADDRESS/LENGTH`, of all bits where no length is given; null if it is none. */
function parseCidr(text: string, family: Family): IPv4CidrRange | IPv6CidrRange | null {
  const cidr = text.includes('/') ? text : `${text}/${family === 4 ? 32 : 128}`;
  if (!/\/\d{1,3}$/.test(cidr)) return null;
  try {
    return family === 4 ? IPv4CidrRange.fromCidr(cidr) : IPv6CidrRange.fromCidr(cidr);
  } catch (error) {
    if (error instanceof Error) return null; // ip-num throws for lengths and addresses out of range
    throw error;
  }
}

/** True if `address` came after another of its prefix on the interface (`IFA_F_SECONDARY`): it makes no route and is never chosen as source. */
export function isSecondary(device: Device, address: InterfaceAddress): boolean {
  if (address.family !== 4) return false;
  for (const other of device.addresses) {
    if (other === address) return false;
    if (
      other.family === 4 &&
      other.prefixLength === address.prefixLength &&
      inPrefix(4, other.address, address.address, address.prefixLength)
    ) {
      return true;
    }
  }
  return false;
}

/** Makes the devices of a description: `lo` first, then the others in their order. */
export function makeDevices(interfaces: Readonly<Record<string, InterfaceDescription | null>>): Device[] {
  const devices: Mutable<Device>[] = [];
  const byName = new Map<string, Mutable<Device>>();
  const names = ['lo', ...Object.keys(interfaces).filter((name) => name !== 'lo')];
  const given = new Set<string>();
  for (const description of Object.values(interfaces)) if (description?.mac) given.add(description.mac.toLowerCase());

  for (const name of names) {
    const path = ['interfaces', name];
    const description = interfaces[name] ?? {};
    if (name.length > 15 || name === '' || /[\s/:]/.test(name) || name === '.' || name === '..') {
      throw new HostError(
        path,
        `"${name}" cannot be an interface's name: up to 15 characters, no blank, slash or colon`,
      );
    }
    if (typeof description !== 'object' || Array.isArray(description)) {
      throw new HostError(path, 'an interface is a mapping such as { addresses: [192.0.2.1/24] }, or empty');
    }
    for (const key of Object.keys(description)) {
      if (!KNOWN_KEYS.has(key)) {
        throw new HostError([...path, key], `unknown key; an interface has ${[...KNOWN_KEYS].join(', ')}`);
      }
    }
    const device = makeDevice(name, devices.length + 1, description, given);
    devices.push(device);
    byName.set(name, device);
  }

  for (const device of devices) {
    const description = interfaces[device.name] ?? {};
    const path = ['interfaces', device.name];
    if (description.bridge != null) joinPorts(device, description, byName, path);
    if (description.link != null) joinLink(device, description, byName, path);
    else if (description.vlan != null)
      throw new HostError([...path, 'vlan'], 'a VLAN needs "link", the device below it');
  }
  for (const device of devices) {
    if (device.hairpin && device.bridge === null)
      throw new HostError(['interfaces', device.name, 'hairpin'], 'only a port of a bridge can be set to hairpin');
  }
  return devices;
}

function makeDevice(
  name: string,
  index: number,
  description: InterfaceDescription,
  given: ReadonlySet<string>,
): Mutable<Device> {
  const path = ['interfaces', name];
  const loopback = name === 'lo';
  const kind: DeviceKind = loopback
    ? 'loopback'
    : description.bridge != null
      ? 'bridge'
      : description.link != null
        ? 'vlan'
        : 'ethernet';
  const texts = description.addresses ?? [];
  if (!Array.isArray(texts)) throw new HostError([...path, 'addresses'], 'a list is needed, such as [192.0.2.1/24]');
  const addresses: InterfaceAddress[] = loopback
    ? [parseInterfaceAddress('127.0.0.1/8'), parseInterfaceAddress('::1/128')]
    : [];
  texts.forEach((text, i) => {
    let address: InterfaceAddress;
    try {
      address = parseInterfaceAddress(String(text));
    } catch (error) {
      throw new HostError([...path, 'addresses', i], (error as Error).message);
    }
    const twice = addresses.some(
      (other) => other.family === address.family && addressEquals(other.address, address.address),
    );
    if (!twice) addresses.push(address);
    else if (!loopback) throw new HostError([...path, 'addresses', i], `"${text}" stands here twice`);
  });
  return {
    index,
    name,
    kind,
    mac: macOf(description, index, loopback, path, given),
    mtu: integer(description.mtu, loopback ? 65536 : 1500, 68, 65536, [...path, 'mtu']),
    addresses,
    group: integer(description.group, 0, 0, 0xffffffff, [...path, 'group']),
    bridge: null,
    ports: [],
    hairpin: flag(description.hairpin, [...path, 'hairpin']),
    link: null,
    vlan: 0,
  };
}

function flag(value: boolean | null | undefined, path: readonly (string | number)[]): boolean {
  if (value != null && typeof value !== 'boolean') throw new HostError(path, `"${value}": true or false is needed`);
  return value ?? false;
}

function integer(
  value: number | null | undefined,
  missing: number,
  min: number,
  max: number,
  path: readonly (string | number)[],
): number {
  if (value == null) return missing;
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new HostError(path, `"${value}": a number from ${min} to ${max} is needed`);
  }
  return value;
}

/** The MAC given, or 02:00:00:00:00:INDEX; a later fourth byte steps aside for one that is given elsewhere. */
function macOf(
  description: InterfaceDescription,
  index: number,
  loopback: boolean,
  path: readonly string[],
  given: ReadonlySet<string>,
): Uint8Array {
  if (loopback) return new Uint8Array(6);
  if (description.mac != null) {
    const mac = parseMac(String(description.mac));
    if (mac === null || (mac[0]! & 1) !== 0) {
      throw new HostError(
        [...path, 'mac'],
        `"${description.mac}" is no station's MAC; write it as "02:00:00:00:00:01"`,
      );
    }
    return mac;
  }
  for (let block = 0; ; block++) {
    const mac = Uint8Array.of(2, 0, 0, block, index >> 8, index & 255);
    const text = Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
    if (!given.has(text)) return mac;
  }
}

function joinPorts(
  bridge: Mutable<Device>,
  description: InterfaceDescription,
  byName: ReadonlyMap<string, Mutable<Device>>,
  path: readonly string[],
): void {
  const names = description.bridge;
  if (!Array.isArray(names))
    throw new HostError([...path, 'bridge'], 'a list of ports is needed, such as [tap1, tap2]');
  const ports: Device[] = [];
  names.forEach((name: string, i: number) => {
    const port = byName.get(name);
    const at = [...path, 'bridge', i];
    if (port === undefined) throw new HostError(at, `there is no interface "${name}"; add "${name}: {}" to interfaces`);
    if (port === bridge || port.kind === 'bridge' || port.kind === 'loopback') {
      throw new HostError(at, `"${name}" cannot be a port of a bridge`);
    }
    if (port.bridge !== null) throw new HostError(at, `"${name}" is a port of ${port.bridge.name} already`);
    port.bridge = bridge;
    ports.push(port);
  });
  bridge.ports = ports;
  if (description.mtu == null && ports.length > 0) bridge.mtu = Math.min(...ports.map((port) => port.mtu));
  if (description.mac == null && ports.length > 0) {
    bridge.mac = ports.map((port) => port.mac).reduce((low, mac) => (lower(mac, low) ? mac : low));
  }
}

function lower(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 6; i++) if (a[i] !== b[i]) return a[i]! < b[i]!;
  return false;
}

function joinLink(
  device: Mutable<Device>,
  description: InterfaceDescription,
  byName: ReadonlyMap<string, Mutable<Device>>,
  path: readonly string[],
): void {
  const link = byName.get(description.link!);
  if (link === undefined || link === device) {
    throw new HostError([...path, 'link'], `there is no other interface "${description.link}"`);
  }
  if (description.vlan == null)
    throw new HostError(path, 'an interface with "link" needs "vlan", a tag from 0 to 4094');
  device.vlan = integer(description.vlan, 0, 0, 4094, [...path, 'vlan']);
  device.link = link;
  if (description.mtu == null) device.mtu = link.mtu;
  if (description.mac == null) device.mac = link.mac;
}
