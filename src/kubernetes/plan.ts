import { type KubernetesMembership, type NetworkDescription, NetworkError } from '../network/description.ts';
import type { ReadFile } from '../network/files.ts';
import { hostOf } from '../network/node.ts';
import type { HostPlan, NetworkPlan } from '../network/plan.ts';
import { formatAddress } from '../packet/address-text.ts';
import { compileNode, opensLocalhost, type ProxyNode } from './compile.ts';
import { ManifestError } from './fields.ts';
import type { Address, Cluster } from './model.ts';
import { mainAddresses } from './nodes.ts';
import { readCluster } from './read.ts';

const LIBERAL = 'net.netfilter.nf_conntrack_tcp_be_liberal';
const LOCALNET = 'net.ipv4.conf.all.route_localnet';

/**
 * A plan whose Kubernetes nodes have what kube-proxy gives them: its rules besides their own, route_localnet, sockets for the health checks
 * of load balancers. Services have names as in the cluster's DNS. Throws NetworkError.
 */
export function withKubernetesNodes(plan: NetworkPlan, network: NetworkDescription, readFile: ReadFile): NetworkPlan {
  const clusters = new Map<string, Cluster>();
  const names = new Map(plan.names);
  const hosts = plan.hosts.map((host) => {
    const membership = host.path[0] === 'hosts' ? network.hosts?.[host.name]?.kubernetes : null;
    if (membership == null) return host;
    const key = JSON.stringify(membership.files);
    const path = [...host.path, 'kubernetes'];
    let cluster = clusters.get(key);
    if (cluster === undefined) {
      cluster = readFiles(membership, path, readFile);
      clusters.set(key, cluster);
      nameServices(cluster, names);
    }
    return withNode(host, cluster, membership.node ?? host.name, path);
  });
  return clusters.size === 0 ? plan : { ...plan, hosts, names };
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

function withNode(host: HostPlan, cluster: Cluster, name: string, path: readonly string[]): HostPlan {
  const known = cluster.nodes.get(name);
  if (known === undefined && cluster.nodes.size > 0) {
    const nodes = [...cluster.nodes.keys()].join(', ');
    throw new NetworkError([...path, 'node'], `no Node ${name} in these files; there are ${nodes}`);
  }
  const { description } = host;
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
      listen: [...(description.listen ?? []), ...[...checks].map((port) => `tcp/${port}`)],
    },
  };
}
