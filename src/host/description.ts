/** The simulated machine as plain data: what host.yaml holds, and what a library user writes. */
export interface HostDescription {
  /** By name, in the order in which Linux would number them (`lo`, always index 1, need not be among them). */
  interfaces?: Readonly<Record<string, InterfaceDescription | null>> | null;
  /** `ip route` syntax of both families; connected, local and broadcast routes are implied. */
  routes?: readonly string[] | null;
  /** `ip rule` syntax; one without an address holds in both families. */
  rules?: readonly string[] | null;
  /** Address to MAC. One that is missing resolves to a made-up MAC. */
  neighbours?: Readonly<Record<string, string>> | null;
  /** Names with dots or slashes, as sysctl(8) takes them. */
  sysctl?: Readonly<Record<string, string | number>> | null;
  /** Sockets of the local machine: `tcp/22`, or the long form. */
  listen?: readonly (string | ListenDescription)[] | null;
}

export interface InterfaceDescription {
  /** `aa:bb:cc:dd:ee:ff`; made up from the index when missing (a VLAN device has that of its link, a bridge its ports' lowest). */
  mac?: string | null;
  /** `192.0.2.1/24`, `2001:db8::1/64`; without a length /32 or /128. */
  addresses?: readonly string[] | null;
  /** Bytes; default 1500, `lo` 65536, a VLAN device its link's, a bridge the smallest of its ports. */
  mtu?: number | null;
  /** Device group. */
  group?: number | null;
  /** Names of the ports: makes the interface a bridge. */
  bridge?: readonly string[] | null;
  /** Of a port of a bridge: frames may go back out where they came in (`bridge link set dev PORT hairpin on`). */
  hairpin?: boolean | null;
  /** The device below a VLAN device. */
  link?: string | null;
  /** VLAN tag, 0 to 4094; only with `link`. */
  vlan?: number | null;
}

export interface ListenDescription {
  /** `tcp/22`, `udp/53`; also udplite, sctp and dccp. */
  port: string;
  /** The local address; default is the wildcard address of both families. */
  address?: string | null;
  uid?: number | null;
  gid?: number | null;
  /** Path in the cgroup v2 hierarchy of the process. */
  cgroup?: string | null;
  /** Bound to an interface (SO_BINDTODEVICE). */
  device?: string | null;
  /** IP_TRANSPARENT; default true. */
  transparent?: boolean | null;
  /** SO_MARK; default 0. */
  mark?: number | null;
}

/** A description that cannot be. `path` leads to the wrong entry, e.g. `['interfaces', 'eth0', 'mac']`. */
export class HostError extends Error {
  readonly path: readonly (string | number)[];
  constructor(path: readonly (string | number)[], message: string) {
    super(message);
    this.name = 'HostError';
    this.path = path;
  }
}

/** The path as people write it: `interfaces.eth0.addresses[1]`. */
export function pathText(path: readonly (string | number)[]): string {
  let text = '';
  for (const part of path) text += typeof part === 'number' ? `[${part}]` : text === '' ? part : `.${part}`;
  return text;
}
