import type { Family } from '../packet/family.ts';
import { endpointChain, serviceChains } from './chain-names.ts';
import type { Fields } from './fields.ts';
import { type Manifest, readManifests } from './manifests.ts';
import {
  type Address,
  type Cluster,
  type Endpoint,
  type KubernetesNode,
  type Pod,
  type ServicePort,
  type ServiceProtocol,
  serviceKey,
} from './model.ts';
import { DEFAULT_SETTINGS, ofFamily, type ProxySettings, readProxySettings } from './proxy-settings.ts';

const PROTOCOLS: readonly ServiceProtocol[] = ['TCP', 'UDP', 'SCTP'];
/** Default of `sessionAffinityConfig.clientIP.timeoutSeconds`: three hours. */
const AFFINITY_SECONDS = 10800;
const SERVICE_LABEL = 'kubernetes.io/service-name';
const PROXY_LABEL = 'service.kubernetes.io/service-proxy-name';
const HEADLESS_LABEL = 'service.kubernetes.io/headless';
const ZONE_LABEL = 'topology.kubernetes.io/zone';

/**
 * Reads Services, EndpointSlices, Nodes and the configuration of kube-proxy; other objects are passed over. Throws ManifestError.
 *
 * @param files texts with the names that messages say
 */
export function readCluster(files: readonly { name: string; text: string }[]): Cluster {
  const reader = new ClusterReader();
  for (const { name, text } of files) for (const manifest of readManifests(text, name)) reader.take(manifest, name);
  return reader.finish();
}

class ClusterReader {
  readonly #services = new Set<string>();
  readonly #ports = new Map<string, ServicePort>();
  readonly #slices: { name: string; fields: Fields }[] = [];
  readonly #nodes = new Map<string, KubernetesNode>();
  readonly #pods: Pod[] = [];
  readonly #notes: string[] = [];
  #settings: ProxySettings | null = null;

  take({ kind, fields }: Manifest, file: string): void {
    if (kind === 'Service') this.#service(fields);
    else if (kind === 'EndpointSlice') this.#slice(fields);
    else if (kind === 'Node') this.#node(fields);
    else if (kind === 'Pod') this.#pod(fields);
    else if (kind === 'KubeProxyConfiguration') this.#configuration(fields);
    else if (kind === 'ConfigMap' && fields.map('metadata').text('name') === 'kube-proxy') {
      const text = fields.map('data').text('config.conf') ?? '';
      for (const manifest of readManifests(text, `${file}, config.conf of ConfigMap kube-proxy`))
        this.take(manifest, file);
    }
  }

  finish(): Cluster {
    const order = (a: ServicePort, b: ServicePort): number => compare(serviceKey(a), serviceKey(b));
    const endpoints = new Map<string, Map<string, Endpoint>>();
    this.#slices.sort((a, b) => compare(a.name, b.name));
    for (const { fields } of this.#slices) this.#endpoints(fields, endpoints);
    const sorted = [...endpoints].map(
      ([key, set]) => [key, [...set].sort(([a], [b]) => compare(a, b)).map(([, endpoint]) => endpoint)] as const,
    );
    return {
      ports: [...this.#ports.values()].sort(order),
      endpoints: new Map(sorted),
      nodes: this.#nodes,
      pods: this.#pods,
      settings: this.#settings ?? DEFAULT_SETTINGS,
      notes: this.#notes,
    };
  }

  #configuration(fields: Fields): void {
    if (this.#settings !== null) throw fields.error(null, 'there is a configuration of kube-proxy already');
    this.#settings = readProxySettings(fields);
    const mode = fields.text('mode') ?? '';
    if (mode !== '' && mode !== 'iptables') {
      this.#notes.push(`kube-proxy is configured for mode ${mode}; what follows are the rules of mode iptables`);
    }
  }

  #node(fields: Fields): void {
    const metadata = fields.map('metadata');
    const name = metadata.name('name');
    if (this.#nodes.has(name)) throw fields.error(null, 'the node is there already');
    const spec = fields.map('spec');
    const podCidrs = spec.cidrs('podCIDRs');
    const addresses: { type: string | null; address: Address }[] = [];
    for (const entry of fields.map('status').list('addresses')) {
      const type = entry.text('type');
      if (type === 'InternalIP' || type === 'ExternalIP') addresses.push({ type, address: entry.address('address') });
    }
    const inner = addresses.filter(({ type }) => type === 'InternalIP');
    const outer = addresses.filter(({ type }) => type === 'ExternalIP');
    this.#nodes.set(name, {
      name,
      addresses: [...inner, ...outer].map(({ address }) => address),
      podCidrs: podCidrs.length > 0 || !spec.has('podCIDR') ? podCidrs : [spec.cidr('podCIDR')],
      zone: metadata.map('labels').text(ZONE_LABEL),
    });
  }

  #pod(fields: Fields): void {
    const [spec, status] = [fields.map('spec'), fields.map('status')];
    const over = ['Succeeded', 'Failed'].includes(status.text('phase') ?? '');
    if (over || !spec.has('nodeName') || spec.flag('hostNetwork') === true) return;
    const addresses = status.list('podIPs').map((entry) => entry.address('ip'));
    if (addresses.length === 0 && status.has('podIP')) addresses.push(status.address('podIP'));
    if (addresses.length === 0) return;
    const ports = spec.list('containers').flatMap((container) => container.list('ports'));
    const metadata = fields.map('metadata');
    this.#pods.push({
      namespace: namespaceOf(metadata),
      name: metadata.name('name'),
      node: spec.name('nodeName'),
      addresses,
      listen: ports.map((entry) => {
        const port = entry.integer('containerPort', 1, 65535);
        if (port === null) throw entry.error('containerPort', 'a port is missing');
        return `${(entry.word('protocol', PROTOCOLS) ?? 'TCP').toLowerCase()}/${port}`;
      }),
    });
  }

  #service(fields: Fields): void {
    const name = objectName(fields);
    if (this.#services.has(name)) throw fields.error(null, 'the Service is there already');
    this.#services.add(name);
    const spec = fields.map('spec');
    const type = spec.word('type', ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']) ?? 'ClusterIP';
    if (type === 'ExternalName') return;
    if (fields.map('metadata').map('labels').has(PROXY_LABEL)) {
      this.#notes.push(`Service ${name} is left out: its label ${PROXY_LABEL} gives it to another proxy`);
      return;
    }
    if (spec.text('clusterIP') === 'None') return;
    const clusterIps = spec.has('clusterIPs') ? spec.addresses('clusterIPs') : [];
    if (clusterIps.length === 0 && spec.has('clusterIP') && spec.text('clusterIP') !== '') {
      clusterIps.push(spec.address('clusterIP'));
    }
    if (clusterIps.length === 0) {
      this.#notes.push(
        `Service ${name} is left out: it has no clusterIP; a cluster gives it one (kubectl get -o yaml)`,
      );
    }
    for (const family of [4, 6] as const) {
      const [clusterIp] = ofFamily(clusterIps, family);
      if (clusterIp !== undefined) this.#servicePorts(name, type, family, clusterIp, fields);
    }
  }

  #servicePorts(name: string, type: string, family: Family, clusterIp: Address, fields: Fields): void {
    const spec = fields.map('spec');
    const externalIps = ofFamily(spec.addresses('externalIPs'), family);
    const exposed = type !== 'ClusterIP' || spec.entries('externalIPs').length > 0;
    const externalPolicy = spec.word('externalTrafficPolicy', ['Cluster', 'Local', '']);
    const internalPolicy = spec.word('internalTrafficPolicy', ['Cluster', 'Local']);
    const externalPolicyLocal = exposed && externalPolicy === 'Local';
    const ranges = ofFamily(spec.cidrs('loadBalancerSourceRanges'), family);
    const checked = type === 'LoadBalancer' && externalPolicyLocal;
    const affinity = spec.word('sessionAffinity', ['None', 'ClientIP', '']) === 'ClientIP';
    const seconds = spec.map('sessionAffinityConfig').map('clientIP').integer('timeoutSeconds', 1, 86400);
    const ports = spec.list('ports');
    if (ports.length === 0) throw spec.error('ports', 'a Service needs at least one port');
    for (const entry of ports) {
      const portName = entry.has('name') && entry.text('name') !== '' ? entry.name('name') : '';
      const port = entry.integer('port', 1, 65535);
      if (port === null) throw entry.error('port', 'a port is missing');
      const full = portName === '' ? name : `${name}:${portName}`;
      const protocol = entry.word('protocol', PROTOCOLS) ?? 'TCP';
      const each: ServicePort = {
        name: full,
        protocol,
        family,
        clusterIp,
        port,
        nodePort: entry.integer('nodePort', 0, 65535) ?? 0,
        externalIps,
        loadBalancerIps: loadBalancerIps(fields, family),
        // A range of all addresses says as much as none.
        sourceRanges: ranges.some(({ length }) => length === 0) ? [] : ranges,
        externalPolicyLocal,
        internalPolicyLocal: internalPolicy === 'Local',
        healthCheckNodePort: checked ? (spec.integer('healthCheckNodePort', 0, 65535) ?? 0) : 0,
        affinity: affinity ? (seconds ?? AFFINITY_SECONDS) : null,
        chains: serviceChains(full, protocol.toLowerCase()),
      };
      const key = serviceKey(each);
      if (this.#ports.has(key))
        throw entry.error('name', `another port of the Service is ${portName || 'without a name'} too`);
      this.#ports.set(key, each);
    }
  }

  #slice(fields: Fields): void {
    const name = objectName(fields);
    const labels = fields.map('metadata').map('labels');
    if (labels.has(PROXY_LABEL) || labels.has(HEADLESS_LABEL)) return;
    if (!labels.has(SERVICE_LABEL)) {
      this.#notes.push(`EndpointSlice ${name} is left out: it has no label ${SERVICE_LABEL}`);
      return;
    }
    if (this.#slices.some((other) => other.name === name))
      throw fields.error(null, 'the EndpointSlice is there already');
    this.#slices.push({ name, fields });
  }

  #endpoints(fields: Fields, all: Map<string, Map<string, Endpoint>>): void {
    const metadata = fields.map('metadata');
    const service = `${namespaceOf(metadata)}/${metadata.map('labels').name(SERVICE_LABEL)}`;
    const type = fields.word('addressType', ['IPv4', 'IPv6', 'FQDN']);
    if (type === null) throw fields.error('addressType', 'IPv4 or IPv6 is needed');
    if (type === 'FQDN') return;
    const family = type === 'IPv4' ? 4 : 6;
    const endpoints = fields.list('endpoints').map((entry) => readEndpoint(entry, family));
    for (const entry of fields.list('ports')) {
      const portName = entry.text('name') ?? '';
      const port = entry.integer('port', 0, 65535) ?? 0;
      if (port === 0) continue;
      const name = portName === '' ? service : `${service}:${portName}`;
      const protocol = entry.word('protocol', PROTOCOLS) ?? 'TCP';
      const key = serviceKey({ name, protocol, family });
      let set = all.get(key);
      if (set === undefined) {
        set = new Map();
        all.set(key, set);
      }
      for (const endpoint of endpoints) {
        const { text: host } = endpoint.address;
        const text = family === 6 ? `[${host}]:${port}` : `${host}:${port}`;
        // Two Pods with one address: the one that is not on its way out.
        if (set.has(text) && endpoint.terminating) continue;
        set.set(text, { ...endpoint, port, text, chain: endpointChain(name, protocol.toLowerCase(), text) });
      }
    }
  }
}

function readEndpoint(entry: Fields, family: Family): Omit<Endpoint, 'port' | 'text' | 'chain'> {
  // All addresses of an endpoint are the same to its clients; kube-proxy takes the first.
  const [address] = entry.addresses('addresses');
  if (address === undefined) throw entry.error('addresses', 'an address is missing');
  if (address.family !== family) throw entry.error('addresses', `${address.text} is not of the slice's addressType`);
  const conditions = entry.map('conditions');
  const hints = entry.map('hints');
  const names = (key: string): string[] => hints.list(key).map((each) => each.text('name') ?? '');
  return {
    address,
    node: entry.has('nodeName') ? entry.name('nodeName') : null,
    ready: conditions.flag('ready') ?? true,
    serving: conditions.flag('serving') ?? true,
    terminating: conditions.flag('terminating') ?? false,
    zones: names('forZones'),
    nodes: names('forNodes'),
  };
}

function loadBalancerIps(fields: Fields, family: Family): Address[] {
  const ingress = fields.map('status').map('loadBalancer').list('ingress');
  const served = ingress.filter(
    (entry) =>
      entry.has('ip') && entry.text('ip') !== '' && (entry.word('ipMode', ['VIP', 'Proxy']) ?? 'VIP') === 'VIP',
  );
  return ofFamily(
    served.map((entry) => entry.address('ip')),
    family,
  );
}

function namespaceOf(metadata: Fields): string {
  return metadata.has('namespace') ? metadata.name('namespace') : 'default';
}

function objectName(fields: Fields): string {
  const metadata = fields.map('metadata');
  return `${namespaceOf(metadata)}/${metadata.name('name')}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
