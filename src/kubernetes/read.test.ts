import { describe, expect, it } from 'vitest';
import { serviceChains } from './chain-names.ts';
import { DEFAULT_SETTINGS } from './proxy-settings.ts';
import { readCluster } from './read.ts';

const read = (...texts: string[]) => readCluster(texts.map((text, index) => ({ name: `${index + 1}.yaml`, text })));

const SERVICE = `apiVersion: v1
kind: Service
metadata: { name: shop, namespace: web }
spec:
  clusterIP: 10.96.0.80
  ports:
  - { name: http, port: 80, protocol: TCP, targetPort: 8080 }
`;
const SLICE = `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: shop-x, namespace: web, labels: { kubernetes.io/service-name: shop } }
addressType: IPv4
endpoints:
- { addresses: [10.244.1.10], nodeName: one, conditions: { ready: true } }
ports:
- { name: http, port: 8080, protocol: TCP }
`;

describe('files', () => {
  it('hold one object, several documents, lists of a kind or of all kinds, or JSON', () => {
    const one = read(SERVICE, SLICE);
    expect(one.ports.map(({ name }) => name)).toEqual(['web/shop:http']);
    expect(one.endpoints.get('web/shop:http TCP 4')?.map(({ text }) => text)).toEqual(['10.244.1.10:8080']);
    const indented = (text: string): string => text.replace(/^/gm, '  ').replace(/^ {2}/, '- ').trimEnd();
    expect(read(`${SERVICE}---\n${SLICE}---\n# nothing\n`)).toEqual(one);
    expect(read(`kind: List\nitems:\n${indented(SERVICE)}\n${indented(SLICE)}\n`)).toEqual(one);
    // A list as the API gives it: its items do not repeat the kind.
    const service = {
      metadata: { name: 'shop', namespace: 'web' },
      spec: { clusterIP: '10.96.0.80', ports: [{ name: 'http', port: 80 }] },
    };
    expect(read(JSON.stringify({ kind: 'ServiceList', apiVersion: 'v1', items: [service] }, null, 1), SLICE)).toEqual(
      one,
    );
  });

  it('may hold other things', () => {
    expect(read('kind: Pod\nmetadata: { name: web-1 }\n---\nkind: Ingress\nmetadata: { name: x }\n').ports).toEqual([]);
  });

  it.each([
    [
      'kind: Service\nmetadata: {}\n',
      '1.yaml:2: Service: metadata.name: a name is missing: lower case, digits, - and .',
    ],
    [
      SERVICE.replace('port: 80,', 'port: 99999,'),
      '1.yaml:7: Service web/shop: spec.ports[0].port: 99999: a number from 1 to 65535 is needed',
    ],
    [
      SERVICE.replace('TCP', 'tcp'),
      '1.yaml:7: Service web/shop: spec.ports[0].protocol: "tcp" is none of TCP, UDP, SCTP',
    ],
    [
      SERVICE.replace('10.96.0.80', '10.96.0'),
      '1.yaml:5: Service web/shop: spec.clusterIP: "10.96.0" is no IP address',
    ],
    [`${SERVICE}---\n${SERVICE}`, '1.yaml:9: Service web/shop: the Service is there already'],
    [
      SLICE.replace('10.244.1.10', '"fd00::1"'),
      "1.yaml:6: EndpointSlice web/shop-x: endpoints[0].addresses: fd00::1 is not of the slice's addressType",
    ],
    [
      'kind: List\nitems:\n- kind: Service\n  metadata: { name: A }\n',
      '1.yaml:4: Service A: metadata.name: "A" is no name: lower case, digits, - and .',
    ],
    ['- 1\n', '1.yaml:1: a mapping is needed'],
    ['metadata: {}\n', '1.yaml:1: no object of Kubernetes: "kind" is missing'],
    ['kind: [\n', '1.yaml:2: Flow sequence in block collection must be sufficiently indented and end with a ]'],
    [
      'kind: KubeProxyConfiguration\ndetectLocalMode: BridgeInterface\n',
      '1.yaml:1: KubeProxyConfiguration: detectLocal: mode BridgeInterface needs the name of the bridge',
    ],
    [
      'kind: KubeProxyConfiguration\nclusterCIDR: 10.0.0.0\n',
      '1.yaml:2: KubeProxyConfiguration: clusterCIDR: "10.0.0.0" is no CIDR such as 10.244.0.0/16',
    ],
  ])('say where and what is wrong in %j', (text, message) => {
    expect(() => read(text)).toThrow(message);
  });
});

describe('Services', () => {
  const portsOf = (spec: string, status = '{}') =>
    read(`kind: Service\nmetadata: { name: a }\nspec: ${spec}\nstatus: ${status}\n`);

  it('have the defaults of the API', () => {
    expect(portsOf('{ clusterIP: 10.96.0.1, ports: [{ port: 80 }] }').ports).toEqual([
      {
        name: 'default/a',
        protocol: 'TCP',
        family: 4,
        clusterIp: { family: 4, words: [0x0a60_0001, 0, 0, 0], text: '10.96.0.1' },
        port: 80,
        nodePort: 0,
        externalIps: [],
        loadBalancerIps: [],
        sourceRanges: [],
        externalPolicyLocal: false,
        internalPolicyLocal: false,
        healthCheckNodePort: 0,
        affinity: null,
        chains: serviceChains('default/a', 'tcp'),
      },
    ]);
  });

  it('are of both families where they have two cluster IPs', () => {
    const { ports } = portsOf(
      '{ clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, "fd00:0::1"], externalIPs: [192.0.2.1, "2001:db8::1"], ports: [{ port: 80 }] }',
    );
    expect(ports.map(({ clusterIp, externalIps }) => [clusterIp.text, ...externalIps.map(({ text }) => text)])).toEqual(
      [
        ['10.96.0.1', '192.0.2.1'],
        ['fd00::1', '2001:db8::1'],
      ],
    );
  });

  it('of a load balancer serve its addresses but those of a proxy', () => {
    const [port] = portsOf(
      '{ type: LoadBalancer, clusterIP: 10.96.0.1, externalTrafficPolicy: Local, healthCheckNodePort: 32000, ports: [{ port: 80, nodePort: 30080 }], loadBalancerSourceRanges: [" 198.51.100.0/24 ", "2001:db8::/32"] }',
      '{ loadBalancer: { ingress: [{ ip: 203.0.113.1 }, { ip: 203.0.113.2, ipMode: Proxy }, { ip: 203.0.113.3, ipMode: VIP }, { hostname: x.example }] } }',
    ).ports;
    expect(port).toMatchObject({ externalPolicyLocal: true, healthCheckNodePort: 32000, nodePort: 30080 });
    expect(port!.loadBalancerIps.map(({ text }) => text)).toEqual(['203.0.113.1', '203.0.113.3']);
    expect(port!.sourceRanges.map(({ text }) => text)).toEqual(['198.51.100.0/24']);
  });

  it('open to all ranges need no range', () => {
    const spec =
      '{ clusterIP: 10.96.0.1, loadBalancerSourceRanges: [198.51.100.0/24, 0.0.0.0/0], ports: [{ port: 80 }] }';
    expect(portsOf(spec).ports[0]!.sourceRanges).toEqual([]);
  });

  it('keep a client for three hours where they do not say how long', () => {
    expect(
      portsOf('{ clusterIP: 10.96.0.1, sessionAffinity: ClientIP, ports: [{ port: 80 }] }').ports[0]!.affinity,
    ).toBe(10800);
  });

  it('without an address of their own are left out', () => {
    expect(portsOf('{ clusterIP: None, ports: [{ port: 80 }] }')).toMatchObject({ ports: [], notes: [] });
    expect(portsOf('{ type: ExternalName, externalName: x.example }')).toMatchObject({ ports: [], notes: [] });
    expect(portsOf('{ ports: [{ port: 80 }] }')).toMatchObject({
      ports: [],
      notes: ['Service default/a is left out: it has no clusterIP; a cluster gives it one (kubectl get -o yaml)'],
    });
  });
});

describe('EndpointSlices', () => {
  it('are put together; of two Pods with one address the one that stays counts', () => {
    const again = SLICE.replace('shop-x', 'shop-y').replace(
      'nodeName: one, conditions: { ready: true }',
      'nodeName: two',
    );
    const leaving = SLICE.replace('{ ready: true }', '{ ready: false, terminating: true }');
    const more = SLICE.replace('shop-x', 'shop-z').replace('10.244.1.10', '10.244.1.9');
    const { endpoints } = read(SERVICE, leaving, again, more);
    expect(endpoints.get('web/shop:http TCP 4')?.map((each) => [each.text, each.node])).toEqual([
      ['10.244.1.10:8080', 'two'],
      ['10.244.1.9:8080', 'one'],
    ]);
  });

  it('without a label belong to nobody', () => {
    const { notes, endpoints } = read(SLICE.replace(', labels: { kubernetes.io/service-name: shop }', ''));
    expect(endpoints.size).toBe(0);
    expect(notes).toEqual(['EndpointSlice web/shop-x is left out: it has no label kubernetes.io/service-name']);
  });
});

describe('the configuration of kube-proxy', () => {
  const CONFIGURATION = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clusterCIDR: 10.244.0.0/16,fd00:10:244::/56
detectLocalMode: ""
iptables: { masqueradeAll: true, masqueradeBit: 15, localhostNodePorts: false }
nodePortAddresses: [primary]
mode: nftables
conntrack: { tcpBeLiberal: true }
`;
  const expected = {
    ...DEFAULT_SETTINGS,
    masqueradeAll: true,
    masqueradeBit: 15,
    localhostNodePorts: false,
    nodePortAddresses: 'primary',
    tcpBeLiberal: true,
  };

  it('is a document of its own, or in the ConfigMap of kubeadm', () => {
    const { settings, notes } = read(CONFIGURATION);
    expect(settings).toMatchObject({
      ...expected,
      clusterCidrs: [{ text: '10.244.0.0/16' }, { text: 'fd00:10:244::/56' }],
    });
    expect(notes).toEqual(['kube-proxy is configured for mode nftables; what follows are the rules of mode iptables']);
    const map = {
      kind: 'ConfigMap',
      metadata: { name: 'kube-proxy', namespace: 'kube-system' },
      data: { 'config.conf': CONFIGURATION },
    };
    expect(read(JSON.stringify(map)).settings).toEqual(settings);
  });

  it('is what kube-proxy has by itself where there is none', () => {
    expect(read(SERVICE).settings).toEqual(DEFAULT_SETTINGS);
  });
});
