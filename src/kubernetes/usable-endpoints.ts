import type { Endpoint, ServicePort } from './model.ts';

/** Where kube-proxy runs. */
export interface Place {
  node: string;
  /** Label topology.kubernetes.io/zone; null: none. */
  zone: string | null;
}

/** Endpoints to which a node sends what comes for a Service. */
export interface UsableEndpoints {
  /** By traffic policy Cluster; empty if the Service never uses it. */
  cluster: readonly Endpoint[];
  /** By traffic policy Local. */
  local: readonly Endpoint[];
  /** Both together, each once. */
  reachable: readonly Endpoint[];
  /** Whether any node has an endpoint. */
  any: boolean;
}

/** Whether something outside of the cluster may ask for it. */
export function isExposed(port: ServicePort): boolean {
  return port.nodePort !== 0 || port.loadBalancerIps.length > 0 || port.externalIps.length > 0;
}

/** What is exposed needs all endpoints even with the policy Local: for what the node and its Pods send. */
export function usesCluster(port: ServicePort): boolean {
  return !port.internalPolicyLocal || isExposed(port);
}

export function usesLocal(port: ServicePort): boolean {
  return port.internalPolicyLocal || (port.externalPolicyLocal && isExposed(port));
}

const isLeaving = (endpoint: Endpoint): boolean => endpoint.serving && endpoint.terminating;

/**
 * Sorts out the endpoints of a port: ready ones, by hints those meant for this node or its zone; where none is ready those that still
 * serve while they terminate, for each policy by itself.
 */
export function usableEndpoints(all: readonly Endpoint[], port: ServicePort, place: Place): UsableEndpoints {
  let cluster: readonly Endpoint[] = [];
  if (usesCluster(port)) {
    const ready = all.filter((endpoint) => endpoint.ready);
    cluster = ready.length > 0 ? ready.filter(hinted(ready, place)) : all.filter(isLeaving);
  }
  let local: readonly Endpoint[] = [];
  if (usesLocal(port)) {
    const here = all.filter((endpoint) => endpoint.node === place.node);
    const ready = here.filter((endpoint) => endpoint.ready);
    local = ready.length > 0 ? ready : here.filter((endpoint) => !endpoint.ready && isLeaving(endpoint));
  }
  const any = cluster.length > 0 || (usesLocal(port) && all.some((endpoint) => endpoint.ready || isLeaving(endpoint)));
  const merged = new Map([...cluster, ...local].map((endpoint) => [endpoint.text, endpoint]));
  return { cluster, local, reachable: [...merged.values()], any };
}

/** The hints are followed where every ready endpoint has one and one of them names the node, or else its zone. */
function hinted(ready: readonly Endpoint[], { node, zone }: Place): (endpoint: Endpoint) => boolean {
  const forNode = (endpoint: Endpoint): boolean => endpoint.nodes.includes(node);
  if (ready.every(({ nodes }) => nodes.length > 0) && ready.some(forNode)) return forNode;
  const forZone = (endpoint: Endpoint): boolean => zone !== null && endpoint.zones.includes(zone);
  if (ready.every(({ zones }) => zones.length > 0) && ready.some(forZone)) return forZone;
  return () => true;
}
