import type { Host } from '../datapath/environment.ts';
import type { MachineMemory } from '../datapath/machine-contract.ts';
import type { Device } from '../host/device.ts';
import { formatAddress } from '../packet/address-text.ts';
import { toHex } from '../packet/bytes.ts';
import type { NetworkPlan } from './plan.ts';

/** An interface of a host of the network. */
export interface Station {
  host: string;
  device: Device;
}

/** Who is joined with whom below IP: links, bridges and VLAN devices. */
export class Segments {
  /** By `host/device`: what lies at the other ends of its link. */
  readonly #peers = new Map<string, Station[]>();
  readonly #linkNames = new Map<string, string>();
  readonly #hosts: ReadonlyMap<string, Host>;
  readonly #macsBehind = new Map<string, Set<string>>();
  /** By `host/device` of an interface with addresses: MACs by address. */
  readonly #resolved = new Map<string, Map<string, Uint8Array>>();

  constructor(plan: NetworkPlan, hosts: ReadonlyMap<string, Host>) {
    this.#hosts = hosts;
    for (const { name, ends } of plan.links) {
      const stations = ends.map(({ host, device }) => ({ host, device: hosts.get(host)!.device(device)! }));
      for (const station of stations) {
        this.#peers.set(
          key(station),
          stations.filter((other) => other !== station),
        );
        this.#linkNames.set(key(station), name);
      }
    }
  }

  /** The link of an interface (of a VLAN device: of the one below); null if nothing is plugged in. */
  linkName({ host, device }: Station): string | null {
    return this.#linkNames.get(key({ host, device: device.link ?? device })) ?? null;
  }

  /** Where a frame that leaves by an interface may arrive: the other ends, with VLAN devices of the same tag for one of a VLAN. */
  peers({ host, device }: Station): Station[] {
    if (device.kind !== 'vlan') return this.#peers.get(key({ host, device })) ?? [];
    const found: Station[] = [];
    for (const below of this.peers({ host, device: device.link! })) {
      const tagged = this.#hosts
        .get(below.host)!
        .devices.find((other) => other.link === below.device && other.vlan === device.vlan);
      if (tagged !== undefined) found.push({ host: below.host, device: tagged });
    }
    return found;
  }

  /** The peers to which a switch would give a frame: where its destination lives, else all. */
  peersFor(station: Station, linkHeader: Uint8Array): Station[] {
    const peers = this.peers(station);
    if (peers.length < 2 || (linkHeader[0]! & 1) === 1) return peers;
    const mac = toHex(linkHeader, 0, 6);
    const known = peers.filter((peer) => this.#behind(peer).has(mac));
    return known.length > 0 ? known : peers;
  }

  /** MACs of everybody whom a link reaches through one of its ends. */
  #behind(end: Station): ReadonlySet<string> {
    const at = key(end);
    let macs = this.#macsBehind.get(at);
    if (macs === undefined) {
      macs = new Set([toHex(end.device.mac)]);
      const { bridge } = end.device;
      if (bridge !== null) {
        macs.add(toHex(bridge.mac));
        for (const port of bridge.ports) {
          if (port === end.device) continue;
          macs.add(toHex(port.mac));
          for (const { device } of this.#beyond({ host: end.host, device: port })) macs.add(toHex(device.mac));
        }
      }
      this.#macsBehind.set(at, macs);
    }
    return macs;
  }

  /** The MAC of who has an address where `station` would ask for it (ARP, neighbour discovery); null if nobody answers. */
  resolve(station: Station, family: 4 | 6, address: ArrayLike<number>): Uint8Array | null {
    const at = key(station);
    let known = this.#resolved.get(at);
    if (known === undefined) {
      known = this.#survey(station);
      this.#resolved.set(at, known);
    }
    return known.get(formatAddress(family, address)) ?? null;
  }

  /** What the bridges of a host know once everybody on their segments has spoken. */
  learned(host: string): MachineMemory['learnedMacs'] {
    const memory: MachineMemory['learnedMacs'] = {};
    for (const bridge of this.#hosts.get(host)!.devices) {
      if (bridge.kind !== 'bridge') continue;
      const macs: Record<string, { port: string; age: number }> = {};
      for (const port of bridge.ports) {
        for (const { device } of this.#beyond({ host, device: port }))
          macs[toHex(device.mac)] ??= { port: port.name, age: 0 };
      }
      memory[bridge.name] = macs;
    }
    return memory;
  }

  /** All stations with an IP stack that frames leaving by `from` can reach. */
  #beyond(from: Station): Station[] {
    const stations: Station[] = [];
    const seen = new Set([key(from)]);
    const ways = [from];
    while (ways.length > 0) {
      for (const peer of this.peers(ways.shift()!)) {
        if (seen.has(key(peer))) continue;
        seen.add(key(peer));
        const { bridge } = peer.device;
        if (bridge === null) {
          stations.push(peer);
          continue;
        }
        stations.push({ host: peer.host, device: bridge });
        for (const port of bridge.ports) {
          const other = { host: peer.host, device: port };
          if (port === peer.device || seen.has(key(other))) continue;
          seen.add(key(other));
          ways.push(other);
        }
      }
    }
    return stations;
  }

  #survey(station: Station): Map<string, Uint8Array> {
    const known = new Map<string, Uint8Array>();
    const ways = station.device.kind === 'bridge' ? station.device.ports : [station.device];
    const stations = ways.flatMap((device) => this.#beyond({ host: station.host, device }));
    const add = (family: 4 | 6, address: ArrayLike<number>, mac: Uint8Array): void => {
      const text = formatAddress(family, address);
      if (!known.has(text)) known.set(text, mac);
    };
    for (const { device } of stations) {
      for (const { family, address } of device.addresses) add(family, address, device.mac);
    }
    // Linux answers ARP for all addresses of the machine on every interface (arp_ignore 0), neighbour discovery only for the interface's own.
    for (const { host, device } of stations) {
      for (const other of this.#hosts.get(host)!.devices) {
        for (const { family, address } of other.addresses) if (family === 4) add(4, address, device.mac);
      }
    }
    return known;
  }
}

function key({ host, device }: Station): string {
  return `${host}/${device.name}`;
}
