import type { ServiceChains } from './chain-names.ts';
import type { Endpoint, ServicePort } from './model.ts';
import { isExposed, type UsableEndpoints, usesCluster, usesLocal } from './usable-endpoints.ts';

/** What the rules of all Services of a node share. */
export interface RuleSettings {
  /** Matches what the node's own Pods send, and what they do not; null: nobody knows. */
  local: { is: string; isNot: string } | null;
  masqueradeAll: boolean;
  localhostNodePorts: boolean;
  nfacct: boolean;
  /** With more than 1,000 endpoints kube-proxy leaves out the comments of endpoints' chains. */
  comments: boolean;
  /** The node's own address. */
  nodeIp: readonly number[] | null;
}

/** Rules of one port of a Service: lines for the two tables. */
export interface ServiceRules {
  filter: string[];
  /** Names of chains in nat, in order. */
  chains: string[];
  nat: string[];
}

export type ContainsAddress = (cidr: ServicePort['sourceRanges'][number], address: readonly number[]) => boolean;

/** Above so many endpoints kube-proxy writes no comments at their chains. */
export const COMMENTED_ENDPOINTS = 1000;

class Writer implements ServiceRules {
  readonly filter: string[] = [];
  readonly chains: string[] = [];
  readonly nat: string[] = [];
  readonly port: ServicePort;
  readonly names: ServiceChains;
  readonly protocol: string;
  readonly usable: UsableEndpoints;
  readonly settings: RuleSettings;

  constructor(port: ServicePort, usable: UsableEndpoints, settings: RuleSettings) {
    this.port = port;
    this.protocol = port.protocol.toLowerCase();
    this.names = port.chains;
    this.usable = usable;
    this.settings = settings;
  }

  /** Matches of protocol, destination and destination port. */
  to(address: string | null, port: number): string {
    const destination = address === null ? '' : ` -d ${address}`;
    return `-m ${this.protocol} -p ${this.protocol}${destination} --dport ${port}`;
  }
}

const comment = (text: string): string => `-m comment --comment "${text}"`;

/** The rules of one port of a Service, in the order in which kube-proxy writes them (pkg/proxy/iptables/proxier.go, v1.33). */
export function serviceRules(
  port: ServicePort,
  usable: UsableEndpoints,
  settings: RuleSettings,
  contains: ContainsAddress,
): ServiceRules {
  const writer = new Writer(port, usable, settings);
  const { names } = writer;
  const internal = port.internalPolicyLocal ? names.local : names.cluster;
  const hasInternal = usable.any && (!port.internalPolicyLocal || usable.local.length > 0);
  const hasExternal = usable.any && (!port.externalPolicyLocal || usable.local.length > 0);
  const firewalled = usable.any && port.loadBalancerIps.length > 0 && port.sourceRanges.length > 0;
  captureClusterIp(writer, hasInternal ? internal : null);
  captureExternalAddresses(writer, hasExternal, firewalled);
  captureNodePort(writer, hasExternal);
  if (hasInternal) masqueradeInternal(writer, internal);
  if (usable.any && isExposed(port)) writeExternalChain(writer, hasExternal);
  if (firewalled) writeFirewallChain(writer, contains);
  if (usesCluster(port) && usable.cluster.length > 0) spread(writer, names.cluster, usable.cluster);
  if (usesLocal(port) && usable.local.length > 0) spread(writer, names.local, usable.local);
  for (const endpoint of usable.reachable) writeEndpointChain(writer, endpoint);
  return writer;
}

function captureClusterIp(writer: Writer, chain: string | null): void {
  const { port, usable } = writer;
  const match = writer.to(port.clusterIp.text, port.port);
  if (chain !== null) writer.nat.push(`-A KUBE-SERVICES ${comment(`${port.name} cluster IP`)} ${match} -j ${chain}`);
  else writer.filter.push(`-A KUBE-SERVICES ${refusal(port, usable, match)}`);
}

/** Without any endpoint a Service refuses; without one of the node, where only such may serve, it is silent. */
function refusal(port: ServicePort, { any }: UsableEndpoints, match: string): string {
  return any
    ? `${comment(`${port.name} has no local endpoints`)} ${match} -j DROP`
    : `${comment(`${port.name} has no endpoints`)} ${match} -j REJECT`;
}

function captureExternalAddresses(writer: Writer, hasExternal: boolean, firewalled: boolean): void {
  const { port, usable, names, nat, filter } = writer;
  for (const { text } of port.externalIps) {
    const match = writer.to(text, port.port);
    if (usable.any) nat.push(`-A KUBE-SERVICES ${comment(`${port.name} external IP`)} ${match} -j ${names.external}`);
    if (!hasExternal) filter.push(`-A KUBE-EXTERNAL-SERVICES ${refusal(port, usable, match)}`);
  }
  for (const { text } of port.loadBalancerIps) {
    const match = writer.to(text, port.port);
    const chain = firewalled ? names.firewall : names.external;
    if (usable.any) nat.push(`-A KUBE-SERVICES ${comment(`${port.name} loadbalancer IP`)} ${match} -j ${chain}`);
    if (firewalled) {
      const why = comment(`${port.name} traffic not accepted by ${names.firewall}`);
      filter.push(`-A KUBE-PROXY-FIREWALL ${why} ${match} -j DROP`);
    }
  }
  if (hasExternal) return;
  for (const { text } of port.loadBalancerIps) {
    filter.push(`-A KUBE-EXTERNAL-SERVICES ${refusal(port, usable, writer.to(text, port.port))}`);
  }
}

function captureNodePort(writer: Writer, hasExternal: boolean): void {
  const { port, usable, names, nat, filter, settings } = writer;
  if (port.nodePort !== 0) {
    if (usable.any) {
      const to = `-j ${names.external}`;
      if (settings.nfacct && settings.localhostNodePorts && port.family === 4) {
        const counted = '-m nfacct --nfacct-name localhost_nps_accepted_pkts';
        const match = writer.to('127.0.0.0/8', port.nodePort);
        nat.push(`-A KUBE-NODEPORTS ${unquoted(port.name)} ${match} ${counted} ${to}`);
      }
      nat.push(`-A KUBE-NODEPORTS ${unquoted(port.name)} ${writer.to(null, port.nodePort)} ${to}`);
    }
    if (!hasExternal) {
      const match = `-m addrtype --dst-type LOCAL ${writer.to(null, port.nodePort)}`;
      filter.push(`-A KUBE-EXTERNAL-SERVICES ${refusal(port, usable, match)}`);
    }
  }
  if (port.healthCheckNodePort !== 0) {
    const match = `-m tcp -p tcp --dport ${port.healthCheckNodePort}`;
    filter.push(`-A KUBE-NODEPORTS ${comment(`${port.name} health check node port`)} ${match} -j ACCEPT`);
  }
}

const unquoted = (name: string): string => `-m comment --comment ${name}`;

/** What comes from outside of the cluster to a cluster IP may leave the node again: its answers must come back here. */
function masqueradeInternal(writer: Writer, chain: string): void {
  const { port, settings } = writer;
  const match = `${comment(`${port.name} cluster IP`)} ${writer.to(port.clusterIp.text, port.port)}`;
  if (settings.masqueradeAll) writer.nat.push(`-A ${chain} ${match} -j KUBE-MARK-MASQ`);
  else if (settings.local !== null) writer.nat.push(`-A ${chain} ${match} ${settings.local.isNot} -j KUBE-MARK-MASQ`);
}

function writeExternalChain(writer: Writer, hasExternal: boolean): void {
  const { port, names, nat, settings } = writer;
  const destinations = `${port.name} external destinations`;
  writer.chains.push(names.external);
  if (port.externalPolicyLocal) {
    // What the node or its Pods send follows no policy, as if it had gone out to a load balancer and come back.
    if (settings.local !== null) {
      const why = comment(`pod traffic for ${destinations}`);
      nat.push(`-A ${names.external} ${why} ${settings.local.is} -j ${names.cluster}`);
    }
    const own = '-m addrtype --src-type LOCAL';
    nat.push(
      `-A ${names.external} ${comment(`masquerade LOCAL traffic for ${destinations}`)} ${own} -j KUBE-MARK-MASQ`,
    );
    nat.push(`-A ${names.external} ${comment(`route LOCAL traffic for ${destinations}`)} ${own} -j ${names.cluster}`);
  } else {
    nat.push(`-A ${names.external} ${comment(`masquerade traffic for ${destinations}`)} -j KUBE-MARK-MASQ`);
  }
  if (hasExternal) nat.push(`-A ${names.external} -j ${port.externalPolicyLocal ? names.local : names.cluster}`);
}

function writeFirewallChain(writer: Writer, contains: ContainsAddress): void {
  const { port, names, nat, settings } = writer;
  const rule = `-A ${names.firewall} ${comment(`${port.name} loadbalancer IP`)}`;
  writer.chains.push(names.firewall);
  for (const { text } of port.sourceRanges) nat.push(`${rule} -s ${text} -j ${names.external}`);
  const { nodeIp } = settings;
  // Where the load balancer's address is one of the node, what the node sends to it comes from that address.
  if (nodeIp !== null && port.sourceRanges.some((cidr) => contains(cidr, nodeIp))) {
    for (const { text } of port.loadBalancerIps) nat.push(`${rule} -s ${text} -j ${names.external}`);
  }
  const rest = comment(`other traffic to ${port.name} will be dropped by KUBE-PROXY-FIREWALL`);
  nat.push(`-A ${names.firewall} ${rest}`);
}

/** Rules that choose an endpoint: the one that the client had before, else each with the same probability. */
function spread(writer: Writer, chain: string, endpoints: readonly Endpoint[]): void {
  const { port, settings, nat } = writer;
  const start = (endpoint: Endpoint): string => {
    const why = settings.comments ? ` ${comment(`${port.name} -> ${endpoint.text}`)}` : '';
    return `-A ${chain}${why}`;
  };
  writer.chains.push(chain);
  if (port.affinity !== null) {
    for (const endpoint of endpoints) {
      const had = `-m recent --name ${endpoint.chain} --rcheck --seconds ${port.affinity} --reap`;
      nat.push(`${start(endpoint)} ${had} -j ${endpoint.chain}`);
    }
  }
  endpoints.forEach((endpoint, index) => {
    const left = endpoints.length - index;
    const chance = left > 1 ? ` -m statistic --mode random --probability ${(1 / left).toFixed(10)}` : '';
    nat.push(`${start(endpoint)}${chance} -j ${endpoint.chain}`);
  });
}

function writeEndpointChain(writer: Writer, endpoint: Endpoint): void {
  const { port, settings, protocol, nat } = writer;
  const { chain } = endpoint;
  const rule = `-A ${chain}${settings.comments ? ` ${unquoted(port.name)}` : ''}`;
  writer.chains.push(chain);
  // Hairpin: the endpoint itself asked.
  nat.push(`${rule} -s ${endpoint.address.text} -j KUBE-MARK-MASQ`);
  const remember = port.affinity === null ? '' : ` -m recent --name ${chain} --set`;
  nat.push(`${rule}${remember} -m ${protocol} -p ${protocol} -j DNAT --to-destination ${endpoint.text}`);
}
