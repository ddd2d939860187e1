import { parseInterfaceAddress } from '../host/devices.ts';
import { type NetworkDescription, NetworkError, type VirtualMachine } from '../network/description.ts';
import type { ReadFile } from '../network/files.ts';
import { type HostPlan, planNetwork } from '../network/plan.ts';
import { formatAddress } from '../packet/address-text.ts';
import { toHex } from '../packet/bytes.ts';
import type { Cluster, Pod } from './model.ts';
import { sha256 } from './sha256.ts';

/** A host that is a node of a cluster. */
export interface Membership {
  cluster: Cluster;
  /** `endpointSockets` of the cluster. */
  sockets: ReadonlyMap<string, ReadonlySet<string>>;
  /** Its name there. */
  node: string;
  /** The bridge of its Pods; null: the network describes them itself. */
  bridge: string | null;
  /** Where in the network's file this stands. */
  path: readonly string[];
}

/** The network with the Pods of its nodes as machines, those on whose host a bridge is named for them. Throws NetworkError. */
export function withPods(
  network: NetworkDescription,
  nodes: ReadonlyMap<string, Membership>,
  readFile: ReadFile,
): NetworkDescription {
  if ([...nodes.values()].every(({ bridge }) => bridge === null)) return network;
  const hosts = new Map(planNetwork(network, readFile).hosts.map((host) => [host.name, host]));
  const vms: Record<string, VirtualMachine> = { ...network.vms };
  for (const [host, membership] of nodes) {
    const { cluster, node, bridge, path } = membership;
    if (bridge === null) continue;
    for (const pod of cluster.pods) {
      if (pod.node !== node) continue;
      const taken = (name: string): boolean => hosts.has(name) || vms[name] !== undefined;
      const name = taken(pod.name) ? `${pod.name}.${pod.namespace}` : pod.name;
      if (taken(name))
        throw new NetworkError(path, `there is a host ${name} already: Pod ${pod.namespace}/${pod.name}`);
      vms[name] = machineOf(pod, hosts.get(host)!, bridge, membership);
    }
  }
  return { ...network, vms };
}

/** A Pod on the bridge of its node, which is its gateway; its port is a hairpin one, as plugins of bridges are usually set. */
function machineOf(pod: Pod, host: HostPlan, bridge: string, { sockets, path }: Membership): VirtualMachine {
  const described = host.description.interfaces?.[bridge];
  if (described?.bridge == null) {
    throw new NetworkError([...path, 'pods'], `${host.name} has no bridge ${bridge}, with the gateway's addresses`);
  }
  const gateways = (described.addresses ?? []).map((text) => parseInterfaceAddress(text));
  const addresses = pod.addresses.map(({ family, text }) => {
    const gateway = gateways.find((each) => each.family === family);
    if (gateway === undefined) {
      throw new NetworkError(
        [...path, 'pods'],
        `${bridge} has no IPv${family} address for Pod ${pod.namespace}/${pod.name}`,
      );
    }
    return `${text}/${gateway.prefixLength}`;
  });
  const named = pod.addresses.flatMap(({ text }) => [...(sockets.get(text) ?? [])]);
  return {
    on: host.name,
    bridge,
    tap: `veth${toHex(sha256(new TextEncoder().encode(`${pod.namespace}/${pod.name}`)), 0, 4)}`,
    hairpin: true,
    addresses,
    gateways: gateways
      .filter(({ family }) => pod.addresses.some((address) => address.family === family))
      .map(({ family, address }) => formatAddress(family, address)),
    listen: [...new Set([...pod.listen, ...named])],
  };
}

/** Sockets by address, those that endpoints name: `tcp/8080`. */
export function endpointSockets(cluster: Cluster): Map<string, Set<string>> {
  const sockets = new Map<string, Set<string>>();
  for (const [key, endpoints] of cluster.endpoints) {
    const protocol = key.split(' ')[1]!.toLowerCase();
    for (const { address, port } of endpoints) {
      const known = sockets.get(address.text);
      if (known === undefined) sockets.set(address.text, new Set([`${protocol}/${port}`]));
      else known.add(`${protocol}/${port}`);
    }
  }
  return sockets;
}
