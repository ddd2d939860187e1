import { describe, expect, it } from 'vitest';
import { NetworkError } from '../network/description.ts';
import { planKubernetes } from './plan.ts';

const POD = (
  name: string,
  more = 'nodeName: one',
  status = 'podIPs: [{ ip: 10.244.1.10 }, { ip: "fd00::10" }]',
  namespace = 'web',
) => `---
kind: Pod
metadata: { name: ${name}, namespace: ${namespace} }
spec: { ${more}, containers: [{ ports: [{ containerPort: 8080 }, { containerPort: 53, protocol: UDP }] }] }
status: { phase: Running, ${status} }
`;
const SLICE = `---
kind: EndpointSlice
metadata: { name: s, namespace: web, labels: { kubernetes.io/service-name: s } }
addressType: IPv4
endpoints: [{ addresses: [10.244.1.10] }, { addresses: [192.0.2.11] }]
ports: [{ name: https, port: 6443 }]
`;

function plan(files: string, bridge: object = { addresses: ['10.244.1.1/24', 'fd00::1/64'], bridge: [] }) {
  const kubernetes = { files: ['cluster.yaml'], pods: 'cni0' };
  const interfaces = { eth0: { addresses: ['192.0.2.11/24'] }, cni0: bridge };
  return planKubernetes({ hosts: { one: { router: true, kubernetes, interfaces } } }, () => files);
}

describe('Pods', () => {
  it('become machines behind the bridge of their node', () => {
    const { hosts, links } = plan(POD('web-1') + SLICE);
    expect(hosts.map(({ name }) => name)).toEqual(['one', 'web-1']);
    const [one, pod] = hosts;
    expect(pod!.description).toMatchObject({
      interfaces: { eth0: { addresses: ['10.244.1.10/24', 'fd00::10/64'] } },
      routes: ['default via 10.244.1.1 dev eth0', 'default via fd00::1 dev eth0'],
      // What its containers declare, and what a slice says of it.
      listen: ['tcp/8080', 'udp/53', 'tcp/6443'],
    });
    const tap = links[0]!.ends[0]!.device;
    expect(tap).toMatch(/^veth[0-9a-f]{8}$/);
    expect(one!.description.interfaces).toMatchObject({ cni0: { bridge: [tap] }, [tap]: { hairpin: true } });
  });

  it('of other nodes, of the network of their node, without an address, or done are none', () => {
    const others = [
      POD('a', 'nodeName: two'),
      POD('b', 'nodeName: one, hostNetwork: true'),
      POD('c', 'nodeName: one', 'podIPs: []'),
      POD('d').replace('Running', 'Succeeded'),
    ];
    expect(plan(others.join('')).hosts.map(({ name }) => name)).toEqual(['one']);
  });

  it('of one name are told apart by their namespaces', () => {
    const both =
      POD('a') +
      POD('a', 'nodeName: one', 'podIP: 10.244.1.11', 'shop') +
      POD('one', 'nodeName: one', 'podIP: 10.244.1.12');
    expect(plan(both).hosts.map(({ name }) => name)).toEqual(['one', 'a', 'a.shop', 'one.web']);
  });

  it('need a bridge with an address', () => {
    expect(() => plan(POD('a'), {})).toThrow(NetworkError);
    expect(() => plan(POD('a'), {})).toThrow("one has no bridge cni0, with the gateway's addresses");
    expect(() => plan(POD('a'), { addresses: ['10.244.1.1/24'], bridge: [] })).toThrow(
      'cni0 has no IPv6 address for Pod web/a',
    );
  });
});

it('what serves with the address of the node itself listens there', () => {
  expect(plan(SLICE).hosts[0]!.description.listen).toEqual([{ port: 'tcp/6443', address: '192.0.2.11' }]);
});
