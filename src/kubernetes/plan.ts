import { type KubernetesMembership, type NetworkDescription, NetworkError } from '../network/description.ts';
import type { ReadFile } from '../network/files.ts';
import { hostOf } from '../network/node.ts';
import { type HostPlan, type NetworkPlan, planNetwork } from '../network/plan.ts';
import { formatAddress } from '../packet/address-text.ts';
import { compileNode, opensLocalhost, type ProxyNode } from './compile.ts';
import { ManifestError } from './fields.ts';
import type { Address, Cluster } from './model.ts';
import { mainAddresses } from './nodes.ts';
import { endpointSockets, type Membership, withPods } from './pods.ts';
import { readCluster } from './read.ts';

const LIBERAL = 'net.netfilter.nf_conntrack_tcp_be_liberal';
const LOCALNET = 'net.ipv4.conf.all.route_localnet';

/**
 * The plan of a network, and for hosts that are Kubernetes nodes what kube-proxy gives them: its rules besides their own, route_localnet,
 * sockets for the health checks of load balancers. Pods become machines where the host says on which bridge. Services have names as in
 * the cluster's DNS. Throws NetworkError.
 */
export function planKubernetes(network: NetworkDescription, readFile: ReadFile): NetworkPlan {
  const clusters = new Map<string, Pick<Membership, 'cluster' | 'sockets'>>();
  const nodes = new Map<string, Membership>();
  for (const [name, host] of Object.entries(network.hosts ?? {})) {
    if (host?.kubernetes == null) continue;
    const key = JSON.stringify(host.kubernetes.files);
    const path = ['hosts', name, 'kubernetes'];
    let known = clusters.get(key);
    if (known === undefined) {
      const cluster = readFiles(host.kubernetes, path, readFile);
      known = { cluster, sockets: endpointSockets(cluster) };
      clusters.set(key, known);
    }
    nodes.set(name, { ...known, node: host.kubernetes.node ?? name, bridge: host.kubernetes.pods ?? null, path });
  }
  const plan = planNetwork(withPods(network, nodes, readFile), readFile);
  const names = new Map(plan.names);
  for (const { cluster } of clusters.values()) nameServices(cluster, names);
  const hosts = plan.hosts.map((host) => {
    const membership = nodes.get(host.name);
    return membership === undefined ? host : withNode(host, membership);
  });
  return { ...plan, hosts, names };
}

function readFiles(membership: KubernetesMembership, path: readonly (string | number)[], readFile: ReadFile): Cluster {
  const files = membership.files.map((name, index) => {
    const text = typeof name === 'string' ? readFile(name) : null;
    if (text === null) throw new NetworkError([...path, 'files', index], `no such file: ${name}`);
    return { name, text };
  });
  try {
    return readCluster(files);
  } catch (error) {
    if (error instanceof ManifestError) throw new NetworkError([...path, 'files'], error.message);
    throw error;
  }
}

/** `shop.default.svc` and with the cluster's usual domain. */
function nameServices(cluster: Cluster, names: Map<string, readonly string[]>): void {
  const addresses = new Map<string, Set<string>>();
  for (const { name, clusterIp } of cluster.ports) {
    const [namespace, service] = name.split(':')[0]!.split('/');
    const dns = `${service}.${namespace}.svc`;
    addresses.set(dns, (addresses.get(dns) ?? new Set()).add(clusterIp.text));
  }
  for (const [dns, texts] of addresses) {
    for (const name of [dns, `${dns}.cluster.local`]) if (!names.has(name)) names.set(name, [...texts]);
  }
}

function withNode(host: HostPlan, { cluster, sockets, node: name, path }: Membership): HostPlan {
  const known = cluster.nodes.get(name);
  if (known === undefined && cluster.nodes.size > 0) {
    const nodes = [...cluster.nodes.keys()].join(', ');
    throw new NetworkError([...path, 'node'], `no Node ${name} in these files; there are ${nodes}`);
  }
  const { description, texts } = host;
  for (const { text, from } of [texts.rules4, texts.rules6]) {
    if (/^:KUBE-SERVICES /m.test(text))
      throw new NetworkError(path, `${from} has the chains of kube-proxy already: leave them out, or "kubernetes"`);
  }
  const own = hostOf(host).devices.flatMap((device) =>
    device.addresses.map(({ family, address }): Address & { loopback: boolean } => ({
      family,
      words: address,
      text: formatAddress(family, address),
      loopback: device.kind === 'loopback',
    })),
  );
  const node: ProxyNode = {
    node: name,
    zone: known?.zone ?? null,
    nodeIps: mainAddresses(known?.addresses ?? own.filter(({ loopback }) => !loopback)),
    interfaceAddresses: own,
    podCidrs: known?.podCidrs ?? [],
  };
  const liberal = Number(description.sysctl?.[LIBERAL] ?? 0) !== 0;
  const settings = { ...cluster.settings, tcpBeLiberal: cluster.settings.tcpBeLiberal || liberal };
  const { rules4, rules6 } = compileNode({ ...cluster, settings }, node);
  const checks = new Set(
    cluster.ports.map(({ healthCheckNodePort }) => healthCheckNodePort).filter((port) => port !== 0),
  );
  return {
    ...host,
    added: { rules4, rules6 },
    description: {
      ...description,
      sysctl: {
        ...description.sysctl,
        ...(opensLocalhost(cluster) ? { [LOCALNET]: 1 } : {}),
        ...(settings.tcpBeLiberal ? { [LIBERAL]: 1 } : {}),
      },
      listen: [
        ...(description.listen ?? []),
        ...[...checks].map((port) => `tcp/${port}`),
        // What an endpoint names without a Pod's network: the API server, for one.
        ...own.flatMap(({ text }) => [...(sockets.get(text) ?? [])].map((port) => ({ port, address: text }))),
      ],
    },
  };
}
