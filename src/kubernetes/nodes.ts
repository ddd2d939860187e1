import type { ProxyNode } from './compile.ts';
import type { Address, Cluster } from './model.ts';
import { ofFamily } from './proxy-settings.ts';

const LOOPBACK: readonly Address[] = [
  { family: 4, words: [0x7f00_0001, 0, 0, 0], text: '127.0.0.1' },
  { family: 6, words: [0, 0, 0, 1], text: '::1' },
];

/** The nodes of a cluster as its Node objects tell of them; without any, those that endpoints are on. */
export function nodesOf(cluster: Cluster): ProxyNode[] {
  const names = new Set(cluster.nodes.keys());
  if (names.size === 0) {
    for (const endpoints of cluster.endpoints.values()) {
      for (const { node } of endpoints) if (node !== null) names.add(node);
    }
  }
  return [...names].sort().map((name) => nodeOf(cluster, name));
}

/** What the cluster's objects tell of a node; of its interfaces that is the addresses of its status, and loopback. */
export function nodeOf(cluster: Cluster, name: string): ProxyNode {
  const known = cluster.nodes.get(name);
  const addresses = known?.addresses ?? [];
  return {
    node: name,
    zone: known?.zone ?? null,
    nodeIps: mainAddresses(addresses),
    interfaceAddresses: [...addresses, ...LOOPBACK],
    podCidrs: known?.podCidrs ?? [],
  };
}

/** The first of each family. */
export function mainAddresses(addresses: readonly Address[]): Address[] {
  return ([4, 6] as const).flatMap((family) => ofFamily(addresses, family).slice(0, 1));
}
