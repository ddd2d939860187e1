import type { Fields } from '../kubernetes/fields.ts';
import { readManifests } from '../kubernetes/manifests.ts';
import {
  closeGroup,
  type ImportedGroups,
  type ImportFile,
  Names,
  nothingImported,
  ruleOf,
  type WrittenGroup,
  type WrittenRule,
} from './imported.ts';
import { type Pod, Pods } from './pods.ts';
import { readSelector, type Selector, selects } from './selectors.ts';

type Way = 'ingress' | 'egress';

interface Policy {
  namespace: string;
  name: string;
  fields: Fields;
  pods: Pod[];
  ways: ReadonlySet<Way>;
}

/** Groups of Pods that no policy isolates in a direction. */
const OPEN: Readonly<Record<Way, string>> = { ingress: 'any-ingress', egress: 'any-egress' };
/** Policies of other kinds, which would have their say in the cluster. */
const OTHER_POLICIES =
  /^(AdminNetworkPolicy|BaselineAdminNetworkPolicy|ClusterNetworkPolicy|CiliumNetworkPolicy|CiliumClusterwideNetworkPolicy|GlobalNetworkPolicy)$/;

/**
 * Reads NetworkPolicies (networking.k8s.io/v1) with the Pods and Namespaces that they select: each policy becomes a group of the Pods that
 * it selects, each selector of a rule a group without rules. Who is in which is as of now: Pods to come are not. Throws ManifestError.
 */
export function readNetworkPolicies(files: readonly ImportFile[]): ImportedGroups {
  return new PolicyReader().read(files);
}

class PolicyReader {
  readonly #all = nothingImported();
  readonly #names = new Names();
  readonly #pods = new Pods();
  readonly #groupsOf = new Map<Pod, string[]>();

  read(files: readonly ImportFile[]): ImportedGroups {
    const written: Fields[] = [];
    for (const { name, text } of files) {
      for (const { kind, fields } of readManifests(text, name)) {
        if (kind === 'Pod') this.#pods.takePod(fields);
        else if (kind === 'Namespace') this.#pods.takeNamespace(fields);
        else if (kind === 'NetworkPolicy') written.push(fields);
        else if (OTHER_POLICIES.test(kind)) {
          this.#warn(fields.error(null, `a ${kind} is not read: what it allows or denies is missing`).message);
        }
      }
    }
    if (this.#pods.all.length === 0) {
      this.#warn(
        `${files[0]!.name}: no Pods: the groups have no members; kubectl get networkpolicies,pods,namespaces -A -o yaml has all`,
      );
    }
    for (const text of this.#pods.passedOver) this.#warn(text);
    const policies = written.map((fields) => this.#policy(fields));
    for (const policy of policies) this.#groups(policy);
    for (const way of ['ingress', 'egress'] as const) this.#open(way, policies);
    for (const pod of this.#pods.all) this.#machine(pod);
    return this.#all;
  }

  #warn(text: string): void {
    this.#all.warnings.push(text);
  }

  #policy(fields: Fields): Policy {
    const metadata = fields.map('metadata');
    const spec = fields.map('spec');
    const namespace = metadata.text('namespace') ?? 'default';
    const selector = readSelector(spec.map('podSelector'));
    const types = spec.texts('policyTypes');
    const wrong = types.find((type) => type !== 'Ingress' && type !== 'Egress');
    if (wrong !== undefined) throw spec.error('policyTypes', `"${wrong}" is neither Ingress nor Egress`);
    const ways = new Set<Way>(types.map((type) => (type === 'Ingress' ? 'ingress' : 'egress')));
    if (types.length === 0) {
      // Without the types: ingress, and egress where there are rules about it.
      ways.add('ingress');
      if (spec.list('egress').length > 0) ways.add('egress');
    }
    const pods = this.#pods.all.filter((pod) => pod.namespace === namespace && selects(selector, pod.labels));
    return { namespace, name: metadata.text('name') ?? '', fields: spec, pods, ways };
  }

  /** The groups of a policy: one, or as many as its Pods have numbers for the ports that it names. */
  #groups(policy: Policy): void {
    const { namespace, name, fields, pods, ways } = policy;
    const named = namedPorts(fields);
    const kinds = new Map<string, Pod[]>();
    for (const pod of pods) {
      const key = JSON.stringify(named.map((port) => pod.named.get(port) ?? []));
      kinds.set(key, [...(kinds.get(key) ?? []), pod]);
    }
    if (kinds.size === 0) kinds.set('', []);
    let number = 0;
    for (const [key, members] of kinds) {
      const suffix = kinds.size === 1 ? '' : `-${++number}`;
      const id = `policy ${namespace}/${name}${suffix}`;
      const group = this.#names.of(id, `${namespace === 'default' ? '' : `${namespace}-`}${name}${suffix}`);
      const numbers = new Map(
        named.map((port, index) => [port, key === '' ? [] : (JSON.parse(key) as number[][])[index]!]),
      );
      const rules: WrittenRule[] = [];
      if (ways.has('ingress')) {
        for (const rule of fields.list('ingress')) rules.push(...this.#ingress(rule, namespace, numbers));
      }
      if (ways.has('egress')) {
        for (const rule of fields.list('egress')) rules.push(...this.#egress(rule, namespace));
      }
      const written: WrittenGroup = { description: `NetworkPolicy ${namespace}/${name}`, rules };
      this.#all.groups.set(group, closeGroup(written));
      for (const pod of members) this.#join(pod, group);
    }
  }

  #join(pod: Pod, group: string): void {
    const groups = this.#groupsOf.get(pod);
    if (groups === undefined) this.#groupsOf.set(pod, [group]);
    else if (!groups.includes(group)) groups.push(group);
  }

  /** What comes to the Pods of the policy; `numbers` are those of their named ports. */
  #ingress(rule: Fields, namespace: string, numbers: ReadonlyMap<string, readonly number[]>): WrittenRule[] {
    const matters =
      rule.has('ports') && rule.list('ports').length > 0
        ? rule.list('ports').flatMap((port) => {
            const { protocol, name, matter } = readPort(port);
            if (name === null) return [matter!];
            const found = numbers.get(`${name}/${protocol}`) ?? [];
            if (found.length === 0)
              this.#warn(
                port.error('port', `no Pod that the policy selects has a port "${name}" of ${protocol}`).message,
              );
            return found.map((number) => ({ protocol, ports: String(number) }));
          })
        : [{}];
    const remotes = this.#peers(rule, 'from', namespace);
    return remotes.flatMap((remote) => matters.map((matter) => ruleOf({ ...matter, ...remote })));
  }

  /** Where the Pods of the policy may go. A named port is one of the Pods at the other end: each number has its own group of them. */
  #egress(rule: Fields, namespace: string): WrittenRule[] {
    const ports = rule.list('ports');
    const rules: WrittenRule[] = [];
    const all = (matter: WrittenRule): void => {
      for (const remote of this.#peers(rule, 'to', namespace))
        rules.push(ruleOf({ direction: 'egress', ...matter, ...remote }));
    };
    if (ports.length === 0) all({});
    for (const port of ports) {
      const { protocol, name, matter } = readPort(port);
      if (name === null) {
        all(matter!);
        continue;
      }
      const peers = rule.list('to');
      const there = peers.length === 0 ? this.#pods.all : peers.flatMap((peer) => this.#podsOf(peer, namespace) ?? []);
      if (peers.some((peer) => peer.has('ipBlock')) || peers.length === 0) {
        this.#warn(
          port.error('port', `the port "${name}" is known of Pods alone: no rule for other addresses`).message,
        );
      }
      const numbers = new Set(there.flatMap((pod) => pod.named.get(`${name}/${protocol}`) ?? []));
      for (const number of numbers) {
        const members = there.filter((pod) => pod.named.get(`${name}/${protocol}`)?.includes(number));
        const remote_group = this.#selection(
          `port ${name} ${number} ${podsKey(members)}`,
          `${name}-${number}`,
          members,
        );
        rules.push({ direction: 'egress', protocol, ports: String(number), remote_group });
      }
    }
    return rules;
  }

  /** The peers of a rule, as remotes; without any, everybody. */
  #peers(rule: Fields, key: 'from' | 'to', namespace: string): WrittenRule[] {
    const peers = rule.list(key);
    if (peers.length === 0) return [{}];
    return peers.map((peer) => {
      const members = this.#podsOf(peer, namespace);
      if (members !== null)
        return { remote_group: this.#selection(peerKey(peer, namespace), peerName(peer, namespace), members) };
      const block = peer.map('ipBlock');
      const except = block.cidrs('except').map(({ text }) => text);
      return ruleOf({ remote: block.cidr('cidr').text, except: except.length > 0 ? except : null });
    });
  }

  /** The Pods of a peer; null for a block of addresses. */
  #podsOf(peer: Fields, namespace: string): Pod[] | null {
    const [byPod, byNamespace] = [peer.has('podSelector'), peer.has('namespaceSelector')];
    if (peer.has('ipBlock')) {
      if (byPod || byNamespace) throw peer.error('ipBlock', 'stands alone, without selectors');
      return null;
    }
    if (!byPod && !byNamespace) throw peer.error(null, 'podSelector, namespaceSelector or ipBlock is needed');
    const pod = readSelector(peer.map('podSelector'));
    const spaces = byNamespace ? readSelector(peer.map('namespaceSelector')) : null;
    if (spaces !== null) this.#tellUnknown(spaces, peer);
    return this.#pods.all.filter(
      (each) =>
        selects(pod, each.labels) &&
        (spaces === null ? each.namespace === namespace : selects(spaces, this.#pods.labelsOf(each.namespace))),
    );
  }

  #tellUnknown({ requirements }: Selector, peer: Fields): void {
    const unknown = this.#pods.unknownNamespaces();
    if (unknown.length === 0 || requirements.every(({ key }) => key === 'kubernetes.io/metadata.name')) return;
    this.#warn(
      peer.error(
        'namespaceSelector',
        `the labels of ${unknown.join(', ')} are in none of the files: kubectl get namespaces -o yaml`,
      ).message,
    );
  }

  /** A group without rules, for others to name. */
  #selection(key: string, name: string, members: readonly Pod[]): string {
    const group = this.#names.of(`pods ${key}`, name);
    if (!this.#all.groups.has(group)) {
      this.#all.groups.set(group, { description: `Pods: ${name}`, rules: [], egress: 'none' });
      for (const pod of members) this.#join(pod, group);
    }
    return group;
  }

  /** Pods that no policy selects for a direction may do there whatever they like. */
  #open(way: Way, policies: readonly Policy[]): void {
    const isolated = new Set(policies.filter(({ ways }) => ways.has(way)).flatMap(({ pods }) => pods));
    const open = this.#pods.all.filter((pod) => !isolated.has(pod));
    if (open.length === 0) return;
    const group = this.#names.of(`open ${way}`, OPEN[way]);
    const rules: WrittenRule[] = [way === 'ingress' ? {} : { direction: 'egress' }];
    this.#all.groups.set(group, closeGroup({ description: `Pods that no policy isolates (${way})`, rules }));
    for (const pod of open) this.#join(pod, group);
  }

  #machine(pod: Pod): void {
    const { namespace, name, node, addresses, ports } = pod;
    const twice = this.#pods.all.some((other) => other !== pod && other.name === name);
    this.#all.machines.push({
      name: twice ? `${namespace}.${name}` : name,
      host: node,
      mac: null,
      addresses: [...addresses],
      groups: this.#groupsOf.get(pod) ?? [],
      portSecurity: true,
      pairs: [],
      listen: [...new Set(ports)],
    });
  }
}

interface PolicyPort {
  protocol: string;
  /** A named port; what it means depends on the Pod. */
  name: string | null;
  matter: WrittenRule | null;
}

function readPort(fields: Fields): PolicyPort {
  const protocol = (fields.word('protocol', ['TCP', 'UDP', 'SCTP']) ?? 'TCP').toLowerCase();
  const port = fields.textOrNumber('port');
  const end = fields.integer('endPort', 1, 65535);
  if (typeof port === 'string') {
    if (end !== null) throw fields.error('endPort', 'a named port has no end');
    return { protocol, name: port, matter: null };
  }
  if (port === null) {
    if (end !== null) throw fields.error('endPort', 'there is no port that it could be the end of');
    return { protocol, name: null, matter: { protocol } };
  }
  if (port < 1 || port > 65535 || (end !== null && end < port))
    throw fields.error('port', `"${port}" is no port, or above endPort`);
  return {
    protocol,
    name: null,
    matter: { protocol, ports: end === null || end === port ? String(port) : `${port}-${end}` },
  };
}

/** Named ports that ingress rules of a policy use, as `name/protocol`. */
function namedPorts(spec: Fields): string[] {
  const names = spec.list('ingress').flatMap((rule) =>
    rule.list('ports').flatMap((port) => {
      const { protocol, name } = readPort(port);
      return name === null ? [] : [`${name}/${protocol}`];
    }),
  );
  return [...new Set(names)];
}

function peerKey(peer: Fields, namespace: string): string {
  const pod = JSON.stringify(readSelector(peer.map('podSelector')).requirements);
  const spaces = peer.has('namespaceSelector')
    ? JSON.stringify(readSelector(peer.map('namespaceSelector')).requirements)
    : `only ${namespace}`;
  return `${pod} in ${spaces}`;
}

/** `app=web`, `team=a/app=web`, `all`. */
function peerName(peer: Fields, namespace: string): string {
  const pod = readSelector(peer.map('podSelector')).text;
  const spaces = peer.has('namespaceSelector')
    ? readSelector(peer.map('namespaceSelector')).text || 'everywhere'
    : namespace === 'default'
      ? ''
      : namespace;
  return [spaces, pod || 'all'].filter((part) => part !== '').join('.');
}

function podsKey(pods: readonly Pod[]): string {
  return pods.map(({ namespace, name }) => `${namespace}/${name}`).join(' ');
}
