import type { AddressType, Host, InputRoute, RouteAnswer, RouteQuery } from '../datapath/environment.ts';
import type { Device } from '../host/device.ts';
import { createHost } from '../host/host.ts';
import { addressEquals } from '../packet/address-text.ts';
import { readUint32 } from '../packet/bytes.ts';
import type { AddressWords, Family } from '../packet/family.ts';
import type { PacketDescription } from '../packet/notation/description.ts';
import { NotationError } from '../packet/notation/error.ts';
import type { Packet } from '../packet/packet.ts';
import type { InputPacket } from './input.ts';
import type { Placement } from './written.ts';

/** The interface of packets that name none. */
const UNNAMED = 'eth0';

/**
 * A machine without a description: what a packet says decides its way. `in` alone is for the machine, `in` and `out` is
 * forwarded, `out` alone comes from the machine. Interfaces have made-up addresses, so that MASQUERADE has one to use.
 */
export class AssumedHost implements Host {
  private readonly base: Host;
  private current: InputPacket | null = null;
  private readonly source: [number, number, number, number] = [0, 0, 0, 0];
  private readonly destination: [number, number, number, number] = [0, 0, 0, 0];

  /** @param names of all interfaces that packets name */
  constructor(names: Iterable<string>) {
    const interfaces: Record<string, { addresses: string[] }> = {};
    let index = 1;
    for (const name of new Set([...names, UNNAMED])) {
      if (name === 'lo') continue;
      interfaces[name] = { addresses: [`192.0.2.${index & 255}/32`, `2001:db8::${index.toString(16)}/128`] };
      index++;
    }
    this.base = createHost({
      interfaces,
      sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1, 'net.ipv4.conf.all.send_redirects': 0 },
    });
  }

  /** Told of each packet before the machine gets it. */
  see(input: InputPacket): void {
    this.current = input;
    const { bytes } = input;
    const isIpv6 = (bytes[0] ?? 0) >> 4 === 6;
    const put = (into: [number, number, number, number], at: number): void => {
      for (let i = 0; i < 4; i++) into[i] = isIpv6 || i === 0 ? readUint32(bytes, at + 4 * i) : 0;
    };
    put(this.source, isIpv6 ? 8 : 12);
    put(this.destination, isIpv6 ? 24 : 16);
  }

  get devices(): readonly Device[] {
    return this.base.devices;
  }

  device(name: string): Device | null {
    return this.base.device(name);
  }

  deviceByIndex(index: number): Device | null {
    return this.base.deviceByIndex(index);
  }

  sysctl(name: string): number {
    return this.base.sysctl(name);
  }

  interfaceSysctl(family: Family, device: Device, name: string): number {
    return this.base.interfaceSysctl(family, device, name);
  }

  route(query: RouteQuery): RouteAnswer {
    const own = this.base.route(query);
    if (own.type === 'local' || own.type === 'multicast' || own.type === 'broadcast') return own;
    return this.over(query.outDevice ?? this.wayTo(query.destination), own);
  }

  routeInput(_packet: Packet, device: Device): InputRoute {
    const answer = {
      reason: '',
      broadcast: false,
      multicast: false,
      icmpType: 0,
      icmpCode: 0,
      limited: false,
      redirect: false,
      martian: null,
      isTaken: false,
      realm: 0,
    };
    const out = this.current?.out ?? null;
    const isAnswer = device.kind === 'loopback';
    if (out === null || isAnswer) {
      const route: RouteAnswer = {
        ...this.over(this.base.device('lo')!, null),
        type: 'local',
        text: 'out= is not given: for this machine',
      };
      return { ...answer, action: 'local', route };
    }
    const route = this.over(this.base.device(out)!, null);
    return { ...answer, action: 'forward', route: { ...route, text: `out=${out}` } };
  }

  addressMatches(
    family: Family,
    address: AddressWords,
    types: readonly AddressType[],
    device: Device | null = null,
  ): boolean {
    return types.includes(this.addressType(family, address, device));
  }

  addressType(family: Family, address: AddressWords, device: Device | null = null): AddressType {
    const { current } = this;
    if (current !== null) {
      if (current.device !== null && current.out === null && addressEquals(address, this.destination)) return 'LOCAL';
      if (current.device === null && addressEquals(address, this.source)) return 'LOCAL';
    }
    const type = this.base.addressType(family, address, device);
    return type === 'LOCAL' || type === 'MULTICAST' || type === 'BROADCAST' ? type : 'UNICAST';
  }

  sourceAddress(family: Family, device: Device, destination: AddressWords): AddressWords | null {
    return this.base.sourceAddress(family, device, destination);
  }

  inGroup6(device: Device, group: Uint32Array): boolean {
    return this.base.inGroup6(device, group);
  }

  neighbourMac(family: Family, address: AddressWords, device: Device): Uint8Array {
    return this.base.neighbourMac(family, address, device);
  }

  findSocket(): null {
    return null;
  }

  /** Answers go back to where the packet came from, all else where it is to leave. */
  private wayTo(destination: AddressWords): Device {
    const { current } = this;
    const back = current?.device ?? null;
    if (back !== null && addressEquals(destination, this.source)) return back;
    const out = current?.out ?? null;
    return (out === null ? back : this.base.device(out)) ?? this.base.device(UNNAMED)!;
  }

  private over(device: Device, own: RouteAnswer | null): RouteAnswer {
    return {
      type: 'unicast',
      device,
      gateway: null,
      preferredSource: own?.preferredSource ?? null,
      mtu: device.mtu,
      realm: 0,
      table: 254,
      text: `${device.name}, as the packet says`,
    };
  }
}

/** Interfaces that a packet names. */
export function namedInterfaces(packet: PacketDescription): string[] {
  return [packet.in, packet.out].filter((name): name is string => name !== undefined && name !== 'local');
}

/** Places packets on an assumed host by their own words. */
export function placementOnAssumed(host: AssumedHost): Placement {
  return (packet) => {
    const name = packet.in ?? (packet.out === undefined ? UNNAMED : 'local');
    if (name === 'local') return null;
    const device = host.device(name);
    if (device === null) throw new NotationError(`no interface is called ${name}`);
    return device;
  };
}
