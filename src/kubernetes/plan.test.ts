import { describe, expect, it } from 'vitest';
import { playConversation } from '../network/converse.ts';
import type { NetworkDescription } from '../network/description.ts';
import { Network } from '../network/network.ts';
import { wellKnownNames } from '../simulation/names.ts';
import { planKubernetes } from './plan.ts';

const CLUSTER = `kind: Service
metadata: { name: shop, namespace: web }
spec: { type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 32000, clusterIP: 10.96.0.80, ports: [{ port: 80, nodePort: 30080 }] }
---
kind: EndpointSlice
metadata: { name: shop-x, namespace: web, labels: { kubernetes.io/service-name: shop } }
addressType: IPv4
endpoints: [{ addresses: [10.244.1.10], nodeName: one }]
ports: [{ name: "", port: 8080 }]
`;
const NODES = `---
kind: Node
metadata: { name: one }
`;

function plan(description: NetworkDescription, cluster = CLUSTER) {
  const readFile = (name: string) => (name === 'cluster.yaml' ? cluster : null);
  return planKubernetes(description, readFile);
}
const switchOn = (description: NetworkDescription, cluster = CLUSTER): Network =>
  new Network(plan(description, cluster), { names: wellKnownNames(), variant: 'nft', seed: 1 });

function network(more: object = {}, hairpin = false): NetworkDescription {
  return {
    hosts: {
      one: {
        router: true,
        kubernetes: { files: ['cluster.yaml'] },
        interfaces: {
          eth0: { addresses: ['192.0.2.11/24'] },
          'tap-pod': { hairpin },
          cni0: { addresses: ['10.244.1.1/24'], bridge: ['tap-pod'] },
        },
        ...more,
      },
      client: { interfaces: { eth0: { addresses: ['192.0.2.7/24'] } } },
    },
    vms: {
      pod: {
        on: 'one',
        bridge: 'cni0',
        addresses: ['10.244.1.10/24'],
        gateways: ['10.244.1.1'],
        listen: ['tcp/8080'],
      },
    },
    links: { lan: ['one:eth0', 'client:eth0'] },
  };
}
const ask = (on: Network, from: string, to: string) => playConversation(on, { from, to, protocol: null, family: null });

describe('a node', () => {
  it("has kube-proxy's rules, route_localnet and sockets for health checks", () => {
    const one = plan(network()).hosts[0]!;
    expect(one.added!.rules4).toContain('"web/shop cluster IP"');
    expect(one.description.sysctl).toMatchObject({ 'net.ipv4.conf.all.route_localnet': 1 });
    expect(one.description.listen).toEqual(['tcp/32000']);
    expect(
      plan(network(), `${CLUSTER}---\nkind: KubeProxyConfiguration\niptables: { localhostNodePorts: false }\n`)
        .hosts[0]!.description.sysctl,
    ).not.toHaveProperty(['net.ipv4.conf.all.route_localnet']);
  });

  it('keeps rules of its own, behind the jumps', () => {
    const own = '*filter\n:FORWARD DROP [0:0]\n-A FORWARD -s 10.244.0.0/16 -j ACCEPT\nCOMMIT\n';
    const { ruleset4 } = switchOn(network({ iptables: own })).nodes.get('one')!;
    const forward = ruleset4.tables.get('filter')!.chains.get('FORWARD')!;
    expect(forward.policy).toBe('DROP');
    expect(forward.rules.map(({ text }) => text.split(' ').at(-1))).toEqual([
      'KUBE-PROXY-FIREWALL',
      'KUBE-FORWARD',
      'KUBE-SERVICES',
      'KUBE-EXTERNAL-SERVICES',
      'ACCEPT',
    ]);
  });

  it('drops INVALID packets unless conntrack is liberal', () => {
    const sysctl = { 'net.netfilter.nf_conntrack_tcp_be_liberal': 1 };
    expect(plan(network()).hosts[0]!.added!.rules4).toContain('--ctstate INVALID');
    expect(plan(network({ sysctl })).hosts[0]!.added!.rules4).not.toContain('--ctstate INVALID');
  });
});

describe('conversations', () => {
  it('reach a Service by its name', () => {
    // A cluster IP is no address of anybody: something has to be routed there before it is translated.
    const on = switchOn(network({ routes: ['default via 192.0.2.7 dev eth0'] }));
    expect(ask(on, 'one', 'shop.web.svc:80')).toMatchObject({ result: 'answered', server: 'pod' });
    expect(ask(on, 'one', 'shop.web.svc.cluster.local:80')).toMatchObject({ result: 'answered', server: 'pod' });
    expect(ask(on, 'client', '192.0.2.11:30080')).toMatchObject({
      server: 'pod',
      seenAs: { source: '192.0.2.7:40000' },
    });
  });

  // Linux's br_netfilter bridges what is translated to the port where it came from; only a hairpin port takes it.
  it('of a Pod with itself need a hairpin port', () => {
    expect(ask(switchOn(network()), 'pod', 'shop.web.svc:80')).toMatchObject({
      result: 'lost',
      stop: { host: 'one', reason: 'its destination is behind the port where it came in' },
    });
    expect(ask(switchOn(network({}, true)), 'pod', 'shop.web.svc:80')).toMatchObject({
      result: 'answered',
      server: 'pod',
      seenAs: { destination: '10.244.1.10:8080' },
    });
  });
});

describe('what is wrong', () => {
  const at = (description: NetworkDescription, cluster = CLUSTER): unknown => {
    try {
      plan(description, cluster);
    } catch (error) {
      return error;
    }
    return null;
  };

  it('with the files is said at the host', () => {
    const kubernetes = { files: ['cluster.yaml', 'x.yaml'] };
    expect(at(network({ kubernetes }))).toMatchObject({
      path: ['hosts', 'one', 'kubernetes', 'files', 1],
      message: 'no such file: x.yaml',
    });
    expect(at(network(), CLUSTER.replace('port: 80,', 'port: 0,'))).toMatchObject({
      path: ['hosts', 'one', 'kubernetes', 'files'],
      message: 'cluster.yaml:3: Service web/shop: spec.ports[0].port: 0: a number from 1 to 65535 is needed',
    });
  });

  it('with rules that kube-proxy has written before, too', () => {
    expect(at(network({ iptables: '*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n' }))).toMatchObject({
      path: ['hosts', 'one', 'kubernetes'],
      message: 'hosts.one.iptables has the chains of kube-proxy already: leave them out, or "kubernetes"',
    });
  });

  it('with the name of the node, too', () => {
    expect(at(network(), CLUSTER + NODES)).toBeNull();
    expect(at(network({ kubernetes: { files: ['cluster.yaml'], node: 'two' } }), CLUSTER + NODES)).toMatchObject({
      path: ['hosts', 'one', 'kubernetes', 'node'],
      message: 'no Node two in these files; there are one',
    });
  });
});
