import type { Family } from '../packet/family.ts';
import { type Fields, readCidr } from './fields.ts';
import type { Cidr } from './model.ts';

/** How kube-proxy tells what its own node's Pods send from the rest. */
export type LocalDetection =
  | { mode: 'ClusterCIDR' }
  | { mode: 'NodeCIDR' }
  | { mode: 'BridgeInterface'; bridge: string }
  | { mode: 'InterfaceNamePrefix'; prefix: string };

export type LocalMode = LocalDetection['mode'];

export const LOCAL_MODES: readonly LocalMode[] = ['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix'];

/** Settings of kube-proxy that its rules depend on. */
export interface ProxySettings {
  clusterCidrs: readonly Cidr[];
  localDetection: LocalDetection;
  masqueradeAll: boolean;
  /** The bit of the packet mark that asks for masquerading. */
  masqueradeBit: number;
  /** Networks of the addresses on which node ports are open; empty: all; `primary`: the node's own. */
  nodePortAddresses: readonly Cidr[] | 'primary';
  /** Node ports are open on 127.0.0.0/8 too. */
  localhostNodePorts: boolean;
  /** The node has net.netfilter.nf_conntrack_tcp_be_liberal: INVALID packets are not dropped. */
  tcpBeLiberal: boolean;
  /** Rules count in objects of nfacct, as they do where the node's kernel has these. */
  nfacct: boolean;
}

/** The defaults of kube-proxy v1.33. */
export const DEFAULT_SETTINGS: ProxySettings = {
  clusterCidrs: [],
  localDetection: { mode: 'ClusterCIDR' },
  masqueradeAll: false,
  masqueradeBit: 14,
  nodePortAddresses: [],
  localhostNodePorts: true,
  tcpBeLiberal: false,
  nfacct: false,
};

/** Settings of a KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1). Throws ManifestError. */
export function readProxySettings(fields: Fields): ProxySettings {
  const iptables = fields.map('iptables');
  return {
    clusterCidrs: readCidrs(fields.text('clusterCIDR') ?? '', (message) => fields.error('clusterCIDR', message)),
    localDetection: readDetection(fields),
    masqueradeAll: iptables.flag('masqueradeAll') ?? DEFAULT_SETTINGS.masqueradeAll,
    masqueradeBit: iptables.integer('masqueradeBit', 0, 31) ?? DEFAULT_SETTINGS.masqueradeBit,
    nodePortAddresses: readNodePortAddresses(fields.texts('nodePortAddresses'), (message) =>
      fields.error('nodePortAddresses', message),
    ),
    localhostNodePorts: iptables.flag('localhostNodePorts') ?? DEFAULT_SETTINGS.localhostNodePorts,
    tcpBeLiberal: fields.map('conntrack').flag('tcpBeLiberal') ?? DEFAULT_SETTINGS.tcpBeLiberal,
    nfacct: DEFAULT_SETTINGS.nfacct,
  };
}

function readDetection(fields: Fields): LocalDetection {
  // kubeadm writes an empty text where nothing is set.
  const mode = fields.text('detectLocalMode') === '' ? null : fields.word('detectLocalMode', LOCAL_MODES);
  const names = fields.map('detectLocal');
  return localDetection(
    mode ?? 'ClusterCIDR',
    { bridge: names.text('bridgeInterface'), prefix: names.text('interfaceNamePrefix') },
    (message) => fields.error('detectLocal', message),
  );
}

/** Puts mode and names together; `fail` makes the error where the mode needs a name that is not there. */
export function localDetection(
  mode: LocalMode,
  names: { bridge: string | null; prefix: string | null },
  fail: (message: string) => Error,
): LocalDetection {
  const needed = (name: string | null, what: string): string => {
    if (name === null || !/^[^\s"/]{1,15}$/.test(name)) throw fail(`mode ${mode} needs ${what}`);
    return name;
  };
  if (mode === 'BridgeInterface') return { mode, bridge: needed(names.bridge, 'the name of the bridge') };
  if (mode === 'InterfaceNamePrefix') {
    return { mode, prefix: needed(names.prefix, 'the prefix of the names of the interfaces of Pods') };
  }
  return { mode };
}

/** `10.244.0.0/16,fd00:10:244::/56`. */
export function readCidrs(text: string, fail: (message: string) => Error): Cidr[] {
  const words = text.split(',').filter((word) => word.trim() !== '');
  return words.map((word) => {
    const cidr = readCidr(word);
    if (cidr === null) throw fail(`"${word}" is no CIDR such as 10.244.0.0/16`);
    return cidr;
  });
}

/** A list of CIDRs, or `primary` alone. */
export function readNodePortAddresses(
  words: readonly string[],
  fail: (message: string) => Error,
): ProxySettings['nodePortAddresses'] {
  if (words.length === 1 && words[0] === 'primary') return 'primary';
  return readCidrs(words.join(','), fail);
}

export function ofFamily<T extends { family: Family }>(list: readonly T[], family: Family): T[] {
  return list.filter((each) => each.family === family);
}
