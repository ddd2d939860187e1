import type { AddressWords, Family } from '../packet/family.ts';
import type { ServiceChains } from './chain-names.ts';
import type { ProxySettings } from './proxy-settings.ts';

/** An address with its text as Kubernetes prints it (RFC 5952). */
export interface Address {
  family: Family;
  words: AddressWords;
  text: string;
}

/** `10.244.0.0/16`; host bits are zero. */
export interface Cidr {
  family: Family;
  words: AddressWords;
  length: number;
  text: string;
}

export type ServiceProtocol = 'TCP' | 'UDP' | 'SCTP';

/** A port of a Service as kube-proxy sees it, in one address family. */
export interface ServicePort {
  /** `default/shop:http`. */
  name: string;
  protocol: ServiceProtocol;
  family: Family;
  clusterIp: Address;
  port: number;
  /** 0: none. */
  nodePort: number;
  externalIps: readonly Address[];
  /** Of the load balancer, those that are meant to be served by the node (ipMode VIP). */
  loadBalancerIps: readonly Address[];
  /** Empty: anybody may come by the load balancer. */
  sourceRanges: readonly Cidr[];
  externalPolicyLocal: boolean;
  internalPolicyLocal: boolean;
  /** 0: none. */
  healthCheckNodePort: number;
  /** Seconds that a client stays with its endpoint; null without session affinity. */
  affinity: number | null;
  chains: ServiceChains;
}

/** An endpoint of a port of a Service. */
export interface Endpoint {
  address: Address;
  port: number;
  /** `10.0.0.1:80`, `[2001:db8::1]:80`. */
  text: string;
  /** Its chain KUBE-SEP-. */
  chain: string;
  node: string | null;
  ready: boolean;
  serving: boolean;
  terminating: boolean;
  /** Hints: zones and nodes whose clients it is for. */
  zones: readonly string[];
  nodes: readonly string[];
}

export interface KubernetesNode {
  name: string;
  /** InternalIP first, the main family first. */
  addresses: readonly Address[];
  podCidrs: readonly Cidr[];
  zone: string | null;
}

/** A Pod with an address of its own. */
export interface Pod {
  namespace: string;
  name: string;
  node: string;
  addresses: readonly Address[];
  /** Ports that its containers declare: `tcp/8080`. */
  listen: readonly string[];
}

/** What kube-proxy learns from the cluster's API; and the Pods, of which it knows nothing. */
export interface Cluster {
  /** Sorted by name, protocol and family. */
  ports: readonly ServicePort[];
  /** By `serviceKey`, sorted by address and port. */
  endpoints: ReadonlyMap<string, readonly Endpoint[]>;
  nodes: ReadonlyMap<string, KubernetesNode>;
  pods: readonly Pod[];
  settings: ProxySettings;
  /** What was left out, and why, for people. */
  notes: readonly string[];
}

export function serviceKey({ name, protocol, family }: Pick<ServicePort, 'name' | 'protocol' | 'family'>): string {
  return `${name} ${protocol} ${family}`;
}
