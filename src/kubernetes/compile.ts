import { inPrefix } from '../packet/address-text.ts';
import type { Family } from '../packet/family.ts';
import type { ServiceChains } from './chain-names.ts';
import { type Address, type Cidr, type Cluster, type Endpoint, type ServicePort, serviceKey } from './model.ts';
import { ofFamily } from './proxy-settings.ts';
import { COMMENTED_ENDPOINTS, type RuleSettings, serviceRules } from './service-rules.ts';
import { type Place, usableEndpoints } from './usable-endpoints.ts';

/** What kube-proxy on a node knows of it. */
export interface ProxyNode extends Place {
  /** Main address of each family, as far as it has one. */
  nodeIps: readonly Address[];
  /** Addresses of all interfaces, those of `lo` included. */
  interfaceAddresses: readonly Address[];
  podCidrs: readonly Cidr[];
}

/** Who serves a port of a Service on a node, and by which chains. */
export interface ServiceSummary {
  service: string;
  protocol: string;
  family: Family;
  clusterIp: string;
  port: number;
  nodePort: number | null;
  chains: ServiceChains;
  endpoints: { endpoint: string; chain: string; node: string | null; policies: ('Cluster' | 'Local')[] }[];
}

/** Rules of a node as texts for `iptables-restore --noflush` and `ip6tables-restore --noflush`. */
export interface NodeRules {
  node: string;
  rules4: string;
  rules6: string;
}

export function compileNode(cluster: Cluster, node: ProxyNode): NodeRules {
  return {
    node: node.node,
    rules4: familyText(cluster, node, 4),
    rules6: familyText(cluster, node, 6),
  };
}

const contains = (cidr: Cidr, address: ArrayLike<number>): boolean =>
  inPrefix(cidr.family, address, cidr.words, cidr.length);

const LOOPBACK: Readonly<Record<Family, string>> = { 4: '127.0.0.0/8', 6: '::1/128' };

/**
 * Jumps to kube-proxy's chains, each put in front of what its chain holds, so the last comes first; the one to KUBE-FIREWALL stands last,
 * for kubelet has made it before kube-proxy starts.
 */
const FILTER_JUMPS = [
  '-I INPUT -j KUBE-FIREWALL',
  '-I OUTPUT -j KUBE-FIREWALL',
  ...['INPUT', 'FORWARD'].map(
    (chain) =>
      `-I ${chain} -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES`,
  ),
  '-I INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS',
  ...['FORWARD', 'OUTPUT'].map(
    (chain) =>
      `-I ${chain} -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES`,
  ),
  '-I FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
  ...['INPUT', 'OUTPUT', 'FORWARD'].map(
    (chain) =>
      `-I ${chain} -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL`,
  ),
];
const NAT_JUMPS = [
  '-I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
  '-I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
  '-I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
];
const FILTER_CHAINS = ['SERVICES', 'EXTERNAL-SERVICES', 'FORWARD', 'NODEPORTS', 'PROXY-FIREWALL', 'FIREWALL'];
const NAT_CHAINS = ['SERVICES', 'NODEPORTS', 'POSTROUTING', 'MARK-MASQ'];

function familyText(cluster: Cluster, node: ProxyNode, family: Family): string {
  const { settings } = cluster;
  const ports = cluster.ports.filter((port) => port.family === family);
  const mark = `0x${((1 << settings.masqueradeBit) >>> 0).toString(16)}`;
  const localhost = family === 4 && opensLocalhost(cluster);
  const endpoints = ports.reduce((count, port) => count + endpointsOf(cluster, port).length, 0);
  const shared: RuleSettings = {
    local: localMatch(cluster, node, family),
    masqueradeAll: settings.masqueradeAll,
    localhostNodePorts: localhost,
    nfacct: settings.nfacct,
    comments: endpoints <= COMMENTED_ENDPOINTS,
    nodeIp: ofFamily(node.nodeIps, family)[0]?.words ?? null,
  };
  const filter: string[] = [];
  const nat = [
    `-A KUBE-POSTROUTING -m mark ! --mark ${mark}/${mark} -j RETURN`,
    // The mark goes, so that a packet that comes round again is not masqueraded twice.
    `-A KUBE-POSTROUTING -j MARK --xor-mark ${mark}`,
    '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    `-A KUBE-MARK-MASQ -j MARK --or-mark ${mark}`,
  ];
  if (localhost) {
    filter.push(
      '-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 ' +
        '-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP',
    );
  }
  const chains: string[] = [];
  for (const port of ports) {
    const usable = usableEndpoints(endpointsOf(cluster, port), port, node);
    const rules = serviceRules(port, usable, shared, contains);
    filter.push(...rules.filter);
    chains.push(...rules.chains);
    nat.push(...rules.nat);
  }
  nat.push(...nodePortJumps(cluster, node, family, localhost));
  const counted = settings.nfacct ? ' -m nfacct --nfacct-name ct_state_invalid_dropped_pkts' : '';
  if (!settings.tcpBeLiberal) filter.push(`-A KUBE-FORWARD -m conntrack --ctstate INVALID${counted} -j DROP`);
  filter.push(
    `-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark ${mark}/${mark} -j ACCEPT`,
    '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  );
  return (
    tableText('mangle', [], []) +
    tableText('filter', chainNames(FILTER_CHAINS), [...FILTER_JUMPS, ...filter]) +
    tableText('nat', [...chainNames(NAT_CHAINS), ...chains], [...NAT_JUMPS, ...nat])
  );
}

const chainNames = (names: readonly string[]): string[] => names.map((name) => `KUBE-${name}`);

/** Every table has an empty chain by which kube-proxy sees that its rules were flushed. */
function tableText(table: string, chains: readonly string[], rules: readonly string[]): string {
  const declared = [...chains, 'KUBE-PROXY-CANARY'].map((chain) => `:${chain} - [0:0]`);
  return [`*${table}`, ...declared, ...rules, 'COMMIT', ''].join('\n');
}

export function endpointsOf(cluster: Cluster, port: ServicePort): readonly Endpoint[] {
  return cluster.endpoints.get(serviceKey(port)) ?? [];
}

/** Whether node ports are open on 127.0.0.0/8; kube-proxy then sets net.ipv4.conf.all.route_localnet. */
export function opensLocalhost({ settings }: Cluster): boolean {
  const { nodePortAddresses } = settings;
  if (!settings.localhostNodePorts || nodePortAddresses === 'primary') return false;
  const cidrs = ofFamily(nodePortAddresses, 4);
  const loopback = { family: 4, words: [0x7f00_0000, 0, 0, 0] } as const;
  return cidrs.length === 0 || cidrs.some((cidr) => cidr.words[0] >>> 24 === 127 || contains(cidr, loopback.words));
}

function localMatch(cluster: Cluster, node: ProxyNode, family: Family): RuleSettings['local'] {
  const { localDetection, clusterCidrs } = cluster.settings;
  const match = (words: string) => ({ is: words, isNot: `! ${words}` });
  switch (localDetection.mode) {
    case 'BridgeInterface':
      return match(`-i ${localDetection.bridge}`);
    case 'InterfaceNamePrefix':
      return match(`-i ${localDetection.prefix}+`);
    case 'ClusterCIDR':
    case 'NodeCIDR': {
      const [cidr] = ofFamily(localDetection.mode === 'NodeCIDR' ? node.podCidrs : clusterCidrs, family);
      return cidr === undefined ? null : match(`-s ${cidr.text}`);
    }
  }
}

/** The last rules of KUBE-SERVICES: to the node ports, by every address of the node or by those that are asked for. */
function nodePortJumps({ settings }: Cluster, node: ProxyNode, family: Family, localhost: boolean): string[] {
  const why = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"';
  const asked =
    settings.nodePortAddresses === 'primary'
      ? ofFamily(node.nodeIps, family).map(({ words }) => ({ family, words, length: family === 4 ? 32 : 128 }))
      : ofFamily(settings.nodePortAddresses, family);
  if (asked.length === 0 || asked.some(({ length }) => length === 0)) {
    const not = localhost ? '' : ` ! -d ${LOOPBACK[family]}`;
    return [`-A KUBE-SERVICES ${why} -m addrtype --dst-type LOCAL${not} -j KUBE-NODEPORTS`];
  }
  const loopback = ({ words }: Address): boolean =>
    family === 4 ? words[0] >>> 24 === 127 : words.every((word, i) => word === (i === 3 ? 1 : 0));
  const open = ofFamily(node.interfaceAddresses, family).filter(
    (address) =>
      asked.some((cidr) => inPrefix(family, address.words, cidr.words, cidr.length)) &&
      (localhost || !loopback(address)),
  );
  const texts = [...new Set(open.map(({ text }) => text))].sort();
  return texts.map((text) => `-A KUBE-SERVICES ${why} -d ${text} -j KUBE-NODEPORTS`);
}

/** Which endpoints serve each port of each Service on a node. */
export function summarizeServices(cluster: Cluster, place: Place): ServiceSummary[] {
  return cluster.ports.map((port) => summary(cluster, port, place));
}

function summary(cluster: Cluster, port: ServicePort, place: Place): ServiceSummary {
  const protocol = port.protocol.toLowerCase();
  const { cluster: everywhere, local, reachable } = usableEndpoints(endpointsOf(cluster, port), port, place);
  return {
    service: port.name,
    protocol,
    family: port.family,
    clusterIp: port.clusterIp.text,
    port: port.port,
    nodePort: port.nodePort === 0 ? null : port.nodePort,
    chains: port.chains,
    endpoints: reachable.map((endpoint) => ({
      endpoint: endpoint.text,
      chain: endpoint.chain,
      node: endpoint.node,
      policies: [
        ...(everywhere.includes(endpoint) ? (['Cluster'] as const) : []),
        ...(local.includes(endpoint) ? (['Local'] as const) : []),
      ],
    })),
  };
}
