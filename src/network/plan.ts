import type { MachineMemory } from '../datapath/machine-contract.ts';
import type { HostDescription, InterfaceDescription } from '../host/description.ts';
import { type NetworkDescription, NetworkError } from './description.ts';
import { type HostTexts, type ReadFile, readHostFiles } from './files.ts';
import { INTERNET, planInternet } from './internet.ts';

/** A host ready to be switched on: everything said about it, from wherever, in one place. */
export interface HostPlan {
  name: string;
  /** What it remembers of the time before it is switched on; its clock stands at 0. */
  memory?: MachineMemory | null;
  description: HostDescription;
  texts: HostTexts;
  /** Rules that come to these, as `iptables-restore --noflush` adds them. */
  added?: { rules4: string; rules6: string };
  /** Where in the file it stands. */
  path: readonly string[];
}

export interface LinkEnd {
  host: string;
  device: string;
}

/** A wire, or with more than two ends a dumb switch. */
export interface LinkPlan {
  name: string;
  ends: LinkEnd[];
}

export interface NetworkPlan {
  hosts: HostPlan[];
  links: LinkPlan[];
  /** Addresses by the names that are no hosts. */
  names: Map<string, readonly string[]>;
  /** What of hosts that were collected on live machines is not as there. */
  notes?: readonly string[];
}

/** Interface of every virtual machine. */
export const VM_INTERFACE = 'eth0';

type Interfaces = Record<string, InterfaceDescription | null>;

export function tapOf(name: string, tap: string | null | undefined): string {
  return tap ?? `tap-${name}`;
}

/**
 * Turns a description into hosts and links: virtual machines become hosts, their taps ports of bridges, the internet a router, and
 * every interface gets a MAC of its own. Throws NetworkError.
 */
export function planNetwork(network: NetworkDescription, readFile: ReadFile): NetworkPlan {
  const plans = new Map<string, HostPlan>();
  const links: LinkPlan[] = [];
  const notes: string[] = [];
  for (const [name, host] of Object.entries(network.hosts ?? {})) {
    const path = ['hosts', name];
    if (name === INTERNET) throw new NetworkError(path, `"${INTERNET}" is described under its own key`);
    const { description, texts, notes: own } = readHostFiles(host ?? {}, path, readFile);
    notes.push(...own);
    const sysctl = host?.router === true ? { ...FORWARDING, ...description.sysctl } : description.sysctl;
    // A copy of the interfaces: taps are added to it.
    const interfaces = { ...description.interfaces };
    plans.set(name, {
      name,
      description: { ...description, interfaces, ...(sysctl == null ? {} : { sysctl }) },
      texts,
      path,
    });
  }
  for (const [name, vm] of Object.entries(network.vms ?? {})) {
    const path = ['vms', name];
    if (plans.has(name)) throw new NetworkError(path, `there is a host ${name} already`);
    if (name === INTERNET) throw new NetworkError(path, `a machine cannot be called ${INTERNET}`);
    const on = plans.get(vm.on);
    if (on === undefined || on.path[0] !== 'hosts') throw new NetworkError([...path, 'on'], `no host ${vm.on}`);
    const tap = tapOf(name, vm.tap);
    plugTap(on, vm.bridge, tap, vm.hairpin === true, path);
    links.push({
      name: `${vm.on}-${tap}`,
      ends: [
        { host: vm.on, device: tap },
        { host: name, device: VM_INTERFACE },
      ],
    });
    const { texts } = readHostFiles(
      { iptables: vm.iptables ?? null, ip6tables: vm.ip6tables ?? null, ipset: vm.ipset ?? null },
      path,
      readFile,
    );
    const description: HostDescription = {
      interfaces: { [VM_INTERFACE]: { mac: vm.mac ?? null, addresses: vm.addresses } },
      routes: (vm.gateways ?? []).map((gateway) => `default via ${gateway} dev ${VM_INTERFACE}`),
      listen: vm.listen ?? [],
    };
    plans.set(name, { name, description, texts, path });
  }
  for (const [name, ends] of Object.entries(network.links ?? {})) {
    links.push({ name, ends: ends.map((end, index) => linkEnd(end, ends, plans, ['links', name, index])) });
  }
  const names = new Map<string, readonly string[]>();
  for (const [name, address] of Object.entries(network.names ?? {})) names.set(name, [address]);
  if (network.internet != null || links.some(({ ends }) => ends.some(({ host }) => host === INTERNET))) {
    for (const [name, { addresses }] of Object.entries(network.internet?.servers ?? {})) names.set(name, addresses);
    plans.set(INTERNET, planInternet(network.internet ?? {}, links, plans));
  }
  checkLinks(links, plans);
  const hosts = [...plans.values()].map((plan, index) => withMacs(plan, index));
  return { hosts, links, names, notes };
}

const FORWARDING = { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 };

/** Makes the tap a port of the bridge. */
function plugTap(on: HostPlan, bridge: string, tap: string, hairpin: boolean, path: readonly string[]): void {
  const interfaces = on.description.interfaces as Interfaces;
  for (const [name, other] of Object.entries(interfaces)) {
    if (name !== bridge && other?.bridge?.includes(tap)) {
      throw new NetworkError([...path, 'tap'], `${tap} is a port of another bridge of ${on.name}`);
    }
  }
  const described = interfaces[bridge] ?? {};
  const ports = described.bridge ?? [];
  interfaces[tap] = { ...interfaces[tap], ...(hairpin ? { hairpin } : {}) };
  interfaces[bridge] = { ...described, bridge: ports.includes(tap) ? ports : [...ports, tap] };
}

function linkEnd(
  end: string,
  ends: readonly string[],
  plans: ReadonlyMap<string, HostPlan>,
  path: readonly (string | number)[],
): LinkEnd {
  if (end === INTERNET) {
    const peer = ends.find((other) => other !== INTERNET) ?? '';
    return { host: INTERNET, device: `to-${peer.split(':')[0]}`.slice(0, 15) };
  }
  const colon = end.indexOf(':');
  const [host, device] = colon < 0 ? [end, null] : [end.slice(0, colon), end.slice(colon + 1)];
  const plan = plans.get(host);
  if (plan === undefined) throw new NetworkError(path, `no host ${host}`);
  const names = Object.keys(plan.description.interfaces ?? {}).filter((name) => name !== 'lo');
  if (device === null) {
    if (names.length !== 1) {
      throw new NetworkError(
        path,
        `${host} has the interfaces ${names.join(', ') || '(none)'}: write ${host}:INTERFACE`,
      );
    }
    return { host, device: names[0]! };
  }
  if (!names.includes(device)) {
    throw new NetworkError(path, `${host} has no interface ${device}; it has ${names.join(', ') || 'none'}`);
  }
  return { host, device };
}

function checkLinks(links: readonly LinkPlan[], plans: ReadonlyMap<string, HostPlan>): void {
  const used = new Map<string, string>();
  for (const { name, ends } of links) {
    for (const { host, device } of ends) {
      const key = `${host}:${device}`;
      const other = used.get(key);
      if (other !== undefined) {
        throw new NetworkError(
          ['links', name],
          `${key} is on link ${other} already: a link can have more than two ends`,
        );
      }
      used.set(key, name);
      const described = plans.get(host)!.description.interfaces?.[device];
      if (described?.bridge != null)
        throw new NetworkError(['links', name], `${key} is a bridge: link one of its ports`);
      if (described?.link != null)
        throw new NetworkError(['links', name], `${key} is a VLAN device: link ${described.link}`);
    }
  }
}

/** Gives every interface without one a MAC that no other host has; bridges and VLAN devices take theirs from what is below. */
function withMacs(plan: HostPlan, index: number): HostPlan {
  const interfaces: Interfaces = {};
  Object.entries(plan.description.interfaces ?? {}).forEach(([name, described], port) => {
    const inherits = name === 'lo' || described?.bridge != null || described?.link != null;
    if (inherits || described?.mac != null) interfaces[name] = described;
    else {
      const bytes = [0x02, 0x01, index >> 8, index & 255, port >> 8, port & 255];
      const mac = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
      interfaces[name] = { ...described, mac };
    }
  });
  return { ...plan, description: { ...plan.description, interfaces } };
}
