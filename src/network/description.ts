import type { HostDescription } from '../host/description.ts';

/** A host of a network: what a host.yaml holds, and its rules. Texts that are one line are names of files. */
export interface NetworkHost extends HostDescription {
  /**
   * A directory with host.yaml, rules.v4, rules.v6 and ipsets (as `iptsim import` makes it), or one that iptsim-collect.sh made on a live
   * machine; what is said here goes before it.
   */
  dir?: string | null;
  /** A host.yaml. */
  file?: string | null;
  /** `iptables-save` text, or the file that holds it. */
  iptables?: string | null;
  ip6tables?: string | null;
  /** `ipset save` text, or the file that holds it. */
  ipset?: string | null;
  /** Forwards packets of both families. */
  router?: boolean | null;
  /** A node of a Kubernetes cluster: it has the rules of kube-proxy besides its own. */
  kubernetes?: KubernetesMembership | null;
}

export interface KubernetesMembership {
  /** Services, EndpointSlices, Nodes, as kubectl prints them. */
  files: readonly string[];
  /** Name of the node; default that of the host. */
  node?: string | null;
  /** The bridge of the node's Pods: those that the files tell of become machines on it. */
  pods?: string | null;
}

/** A virtual machine: a host with one interface, `eth0`, whose other end is a tap on a bridge of the host it runs on. */
export interface VirtualMachine {
  /** The host it runs on. */
  on: string;
  /** The bridge of that host; made if the host does not describe it. */
  bridge: string;
  /** Name of the tap; default `tap-` and the machine's name. */
  tap?: string | null;
  /** The bridge sends frames of the machine back to it. */
  hairpin?: boolean | null;
  mac?: string | null;
  /** With their prefix lengths. */
  addresses: readonly string[];
  /** Next hops of default routes, one of a family. */
  gateways?: readonly string[] | null;
  listen?: HostDescription['listen'];
  iptables?: string | null;
  ip6tables?: string | null;
  ipset?: string | null;
  /** Security groups; default the group `default`, where the network has groups at all. */
  groups?: readonly string[] | null;
  /** false: no group and no protection against spoofing. */
  port_security?: boolean | null;
  /** Further addresses (CIDR), each with its MAC if it has another, from which the machine may send. */
  allowed_address_pairs?: readonly { address: string; mac?: string | null }[] | null;
}

/** A machine of the internet, known by its name. */
export interface InternetServer {
  addresses: readonly string[];
  listen?: readonly string[] | null;
}

export interface Internet {
  servers?: Readonly<Record<string, InternetServer>> | null;
  /** Further ways to the networks of this file (`ip route` syntax; an interface is called `to-` and the host it leads to). */
  routes?: readonly string[] | null;
}

/** A conversation, and what is expected of it. */
export interface ExpectedConversation {
  from: string;
  to: string;
  protocol?: 'tcp' | 'udp' | 'icmp' | null;
  expect: ConversationResult;
  /** The host where it is lost or refused. */
  at?: string | null;
  /** The source address and port that the far end sees, or the address alone. */
  seen_as?: string | null;
  /** The host that it reaches, or several that it may reach. */
  by?: string | readonly string[] | null;
  /** How often it is had, one after the other from a port more each time; default 1. */
  times?: number | null;
  /** How `times` conversations fall on the hosts of `by`: as evenly as chance does it, or all on one. */
  spread?: 'even' | 'one' | null;
}

/**
 * `answered`: there and back; `refused`: a reset or an ICMP error came back; `lost`: nothing came back.
 */
export type ConversationResult = 'answered' | 'refused' | 'lost';

/** The content of a network.yaml. */
export interface NetworkDescription {
  hosts?: Readonly<Record<string, NetworkHost | null>> | null;
  vms?: Readonly<Record<string, VirtualMachine>> | null;
  /** By name, what a wire or a dumb switch joins: `HOST:INTERFACE`, `VM`, or `internet`. */
  links?: Readonly<Record<string, readonly string[]>> | null;
  internet?: Internet | null;
  /** Names of addresses, as DNS would have them. */
  names?: Readonly<Record<string, string>> | null;
  conversations?: readonly ExpectedConversation[] | null;
  /** Security groups, or the name of the file that has them with their prefix lists; src/groups reads them. */
  groups?: unknown;
  prefix_lists?: unknown;
}

/** What is wrong with a network; `path` leads to the wrong entry of the file. */
export class NetworkError extends Error {
  readonly path: readonly (string | number)[];
  constructor(path: readonly (string | number)[], message: string) {
    super(message);
    this.name = 'NetworkError';
    this.path = path;
  }
}
