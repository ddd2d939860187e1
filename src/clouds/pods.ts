import type { Fields } from '../kubernetes/fields.ts';

/** A Pod as policies see it. */
export interface Pod {
  namespace: string;
  name: string;
  labels: ReadonlyMap<string, string>;
  addresses: readonly string[];
  node: string;
  /** Numbers of named ports by `name/protocol`. */
  named: ReadonlyMap<string, readonly number[]>;
  /** All declared ports, such as `tcp/80`. */
  ports: readonly string[];
}

/** The label that every namespace has. */
const NAME_LABEL = 'kubernetes.io/metadata.name';

/** Pods and namespaces of a cluster. */
export class Pods {
  readonly all: Pod[] = [];
  readonly #namespaces = new Map<string, ReadonlyMap<string, string>>();
  /** Pods that no policy guards, and why. */
  readonly passedOver: string[] = [];

  takePod(fields: Fields): void {
    const metadata = fields.map('metadata');
    const [spec, status] = [fields.map('spec'), fields.map('status')];
    const namespace = metadata.text('namespace') ?? 'default';
    const name = metadata.text('name') ?? '';
    const phase = status.text('phase');
    if (phase === 'Succeeded' || phase === 'Failed') return;
    if (spec.flag('hostNetwork') === true) {
      this.passedOver.push(`Pod ${namespace}/${name} uses the network of its node: no policy guards it`);
      return;
    }
    const addresses = status.list('podIPs').flatMap((each) => each.text('ip') ?? []);
    const first = status.text('podIP');
    if (first !== null && !addresses.includes(first)) addresses.unshift(first);
    if (addresses.length === 0) {
      this.passedOver.push(`Pod ${namespace}/${name} has no address yet`);
      return;
    }
    const named = new Map<string, number[]>();
    const ports: string[] = [];
    for (const container of [...spec.list('containers'), ...spec.list('initContainers')]) {
      for (const port of container.list('ports')) {
        const number = port.integer('containerPort', 1, 65535);
        if (number === null) continue;
        const protocol = (port.text('protocol') ?? 'TCP').toLowerCase();
        ports.push(`${protocol}/${number}`);
        const key = `${port.text('name')}/${protocol}`;
        named.set(key, [...(named.get(key) ?? []), number]);
      }
    }
    const node = spec.text('nodeName') ?? 'node';
    this.all.push({ namespace, name, labels: metadata.textMap('labels'), addresses, node, named, ports });
  }

  takeNamespace(fields: Fields): void {
    const metadata = fields.map('metadata');
    const name = metadata.text('name') ?? '';
    this.#namespaces.set(name, new Map([[NAME_LABEL, name], ...metadata.textMap('labels')]));
  }

  /** Labels of a namespace; of one that was not read, the name is known. */
  labelsOf(namespace: string): ReadonlyMap<string, string> {
    return this.#namespaces.get(namespace) ?? new Map([[NAME_LABEL, namespace]]);
  }

  /** Namespaces of Pods of which only the name is known. */
  unknownNamespaces(): string[] {
    return [...new Set(this.all.map(({ namespace }) => namespace))].filter((name) => !this.#namespaces.has(name));
  }
}
