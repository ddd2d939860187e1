import type { InterfaceDescription } from '../host/description.ts';
import { type Collection, type Entry, type Fields, fieldsOf, listOf, namesOf, word, words } from './collection.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Kinds of devices (`ip -d link`) that pass whole frames on as they are, so that a plain device says all of them. */
const PLAIN = new Set(['veth', 'dummy', 'ifb', 'bridge', 'vlan', 'netdevsim', 'tun']);
/** What is missing of others. */
const KINDS: Readonly<Record<string, string>> = {
  wireguard: 'a tunnel: packets leave by it and come in on it; the encrypted ones beneath are not simulated',
  vxlan: 'a tunnel: frames leave by it and come in on it; the ones that carry them are not simulated',
  geneve: 'a tunnel: frames leave by it and come in on it; the ones that carry them are not simulated',
  gre: 'a tunnel: packets leave by it and come in on it; the ones that carry them are not simulated',
  gretap: 'a tunnel: frames leave by it and come in on it; the ones that carry them are not simulated',
  ip6gre: 'a tunnel: packets leave by it and come in on it; the ones that carry them are not simulated',
  ipip: 'a tunnel: packets leave by it and come in on it; the ones that carry them are not simulated',
  ip6tnl: 'a tunnel: packets leave by it and come in on it; the ones that carry them are not simulated',
  sit: 'a tunnel: packets leave by it and come in on it; the ones that carry them are not simulated',
  vti: 'a tunnel: packets leave by it and come in on it; IPsec beneath is not simulated',
  vti6: 'a tunnel: packets leave by it and come in on it; IPsec beneath is not simulated',
  xfrm: 'a tunnel: packets leave by it and come in on it; IPsec beneath is not simulated',
  macvlan: 'a device of its own here: what it shares with the one below is not simulated',
  macvtap: 'a device of its own here: what it shares with the one below is not simulated',
  ipvlan: 'a device of its own here: what it shares with the one below is not simulated',
  bond: 'a device of its own here: packets come in on it, not on its members',
  team: 'a device of its own here: packets come in on it, not on its members',
  vrf: 'VRFs are not simulated: its table is used only where rules lead to it',
};

/** A network interface as the machine has it. */
export interface CollectedLink {
  name: string;
  entry: Entry;
  up: boolean;
  /** Has a table of addresses in the kernel that makes routes (up and with a link). */
  running: boolean;
  kind: string;
  description: Mutable<InterfaceDescription>;
}

/** Reads `ip -d link`; addresses follow (`readAddresses`). */
export function readLinks(collection: Collection): Map<string, CollectedLink> {
  const groups = namesOf(collection.text('group'));
  const entries = collection.needed('ip-link.json');
  const ordered = [...entries].sort((a, b) => Number(a.fields.ifindex) - Number(b.fields.ifindex));
  const links = new Map<string, CollectedLink>();
  for (const entry of ordered) {
    const { fields } = entry;
    const name = word(fields, 'ifname');
    if (name === null) continue;
    const flags = words(fields, 'flags');
    const up = flags.includes('UP');
    const info = fieldsOf(fields, 'linkinfo');
    const kind = word(info, 'info_kind') ?? (word(fields, 'link_type') === 'loopback' ? 'loopback' : '');
    const description: Mutable<InterfaceDescription> = {};
    const mac = word(fields, 'address');
    if (word(fields, 'link_type') === 'ether' && mac !== null) description.mac = mac;
    const mtu = Number(fields.mtu);
    if (kind !== 'loopback' && mtu > 0) description.mtu = Math.min(mtu, 65536);
    const group = word(fields, 'group');
    if (group !== null && group !== 'default') {
      const number = /^\d+$/.test(group) ? group : groups.get(group);
      if (number === undefined) collection.note(entry, name, `group "${group}": its number is not known, 0 is taken`);
      else if (number !== '0') description.group = Number(number);
    }
    const link: CollectedLink = { name, entry, up, running: up && !flags.includes('NO-CARRIER'), kind, description };
    links.set(name, link);
    tellKind(collection, link, info);
  }
  for (const link of links.values()) joinLink(collection, links, link);
  dropDefaults(links);
  return links;
}

function tellKind(collection: Collection, { entry, name, kind, up, running }: CollectedLink, info: Fields): void {
  const data = fieldsOf(info, 'info_data');
  if (kind !== '' && kind !== 'loopback' && !PLAIN.has(kind)) {
    collection.note(entry, name, KINDS[kind] ?? `devices of kind ${kind} are plain ones here`);
  }
  if (kind === 'tun' && word(data, 'type') === 'tun') {
    collection.note(entry, name, 'a tun device: frames have an Ethernet header here, the packets in them are the same');
  }
  if (kind === 'bridge' && Number(data.vlan_filtering) === 1) {
    collection.note(entry, name, 'vlan_filtering is on: the VLANs of its ports are not simulated');
  }
  if (kind === 'vlan' && word(data, 'protocol') === '802.1ad') {
    collection.note(entry, name, 'tags of 802.1ad are 802.1Q ones here');
  }
  if (!up && kind !== 'loopback') collection.note(entry, name, 'is down: nothing should come in on it');
  else if (!running) collection.note(entry, name, 'has no carrier: what leaves by it reaches nobody on the machine');
}

/** Ports of bridges, members of bonds, devices below VLANs. */
function joinLink(collection: Collection, links: ReadonlyMap<string, CollectedLink>, link: CollectedLink): void {
  const { fields } = link.entry;
  const info = fieldsOf(fields, 'linkinfo');
  const master = word(fields, 'master');
  const above = master === null ? undefined : links.get(master);
  if (above?.kind === 'bridge') joinBridge(collection, above, link, fieldsOf(info, 'info_slave_data'));
  else if (master !== null) {
    const what = above?.kind === 'vrf' ? 'is in the VRF' : 'is a member of';
    collection.note(link.entry, link.name, `${what} ${master}: this is not simulated`);
  }
  if (link.kind === 'bridge') link.description.bridge ??= [];
  if (link.kind !== 'vlan') return;
  const below = word(fields, 'link');
  if (below === null || !links.has(below)) {
    collection.note(link.entry, link.name, 'the device below this VLAN is not on this machine: a plain device here');
    return;
  }
  link.description.link = below;
  link.description.vlan = Number(fieldsOf(info, 'info_data').id);
}

/** Settings of bridge ports that are not simulated, with the value that changes nothing. */
const PORT_SETTINGS: Readonly<Record<string, boolean>> = {
  isolated: false,
  locked: false,
  neigh_suppress: false,
  learning: true,
  flood: true,
  mcast_flood: true,
  bcast_flood: true,
  proxy_arp: false,
};

function joinBridge(collection: Collection, bridge: CollectedLink, port: CollectedLink, data: Fields): void {
  bridge.description.bridge = [...(bridge.description.bridge ?? []), port.name];
  if (data.hairpin === true) port.description.hairpin = true;
  const state = word(data, 'state');
  if (port.running && state !== null && state !== 'forwarding') {
    collection.note(port.entry, port.name, `the port is ${state}: the bridge forwards over it here`);
  }
  for (const [name, usual] of Object.entries(PORT_SETTINGS)) {
    if (typeof data[name] === 'boolean' && data[name] !== usual) {
      collection.note(
        port.entry,
        port.name,
        `bridge port setting ${name} ${data[name] ? 'on' : 'off'} is not simulated`,
      );
    }
  }
}

/** MTUs and MACs that follow from the rest go without saying. */
function dropDefaults(links: ReadonlyMap<string, CollectedLink>): void {
  const mtuOf = (name: string): number => Number(links.get(name)?.entry.fields.mtu ?? 1500);
  for (const { description, entry } of links.values()) {
    const { bridge, link } = description;
    const implied = link != null ? mtuOf(link) : bridge?.length ? Math.min(...bridge.map(mtuOf)) : 1500;
    if (description.mtu === implied) delete description.mtu;
    if (link != null && word(links.get(link)!.entry.fields, 'address') === word(entry.fields, 'address')) {
      delete description.mac;
    }
  }
}

/** An address of an interface, as `ip addr` has it. */
export interface CollectedAddress {
  entry: Entry;
  device: string;
  family: 4 | 6;
  local: string;
  /** The other end's, of a point-to-point link; the prefix is its then. */
  peer: string | null;
  length: number;
  scope: string;
  broadcast: string | null;
  secondary: boolean;
  noPrefixRoute: boolean;
  fields: Fields;
}

/** Reads `ip addr`. Addresses that the kernel does not use yet, or no more, are left out. */
export function readAddresses(collection: Collection): CollectedAddress[] {
  const addresses: CollectedAddress[] = [];
  for (const entry of collection.needed('ip-addr.json')) {
    const device = word(entry.fields, 'ifname');
    if (device === null) continue;
    for (const fields of listOf(entry.fields, 'addr_info')) {
      const local = word(fields, 'local');
      if (local === null) continue;
      const family = word(fields, 'family') === 'inet6' ? 6 : 4;
      if (fields.tentative === true || fields.dadfailed === true) {
        collection.note(entry, `${device} ${local}`, 'is tentative, or a duplicate: left out');
        continue;
      }
      addresses.push({
        entry,
        device,
        family,
        local,
        peer: word(fields, 'address'),
        length: Number(fields.prefixlen),
        scope: word(fields, 'scope') ?? 'global',
        broadcast: word(fields, 'broadcast'),
        secondary: fields.secondary === true,
        noPrefixRoute: fields.noprefixroute === true,
        fields,
      });
    }
  }
  return addresses;
}
