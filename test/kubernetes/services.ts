import fc from 'fast-check';

export interface RandomEndpoint {
  here: boolean;
  state: 'ready' | 'starting' | 'leaving' | 'gone';
}
export interface RandomService {
  protocol: 'TCP' | 'UDP';
  external: 'Cluster' | 'Local';
  internal: 'Cluster' | 'Local';
  affinity: boolean;
  ranges: boolean;
  exposed: boolean;
  endpoints: RandomEndpoint[];
}

export const serviceArbitrary: fc.Arbitrary<RandomService> = fc.record({
  protocol: fc.constantFrom('TCP', 'UDP'),
  external: fc.constantFrom('Cluster', 'Local'),
  internal: fc.constantFrom('Cluster', 'Local'),
  affinity: fc.boolean(),
  ranges: fc.boolean(),
  exposed: fc.boolean(),
  endpoints: fc.array(
    fc.record({
      here: fc.boolean(),
      state: fc.constantFrom(
        'ready' as const,
        'ready' as const,
        'starting' as const,
        'leaving' as const,
        'gone' as const,
      ),
    }),
    { maxLength: 4 },
  ),
});

const CONDITIONS = {
  ready: { ready: true, serving: true, terminating: false },
  starting: { ready: false, serving: false, terminating: false },
  leaving: { ready: false, serving: true, terminating: true },
  gone: { ready: false, serving: false, terminating: true },
};

/** Addresses of the cluster in one family. */
export const NETWORK = {
  4: {
    pods: '10.244.0.0/16',
    pod: (here: boolean, last: number) => `10.244.${here ? 1 : 2}.${last}`,
    node: { eth0: '192.0.2.11', cni0: '10.244.1.1' },
    length: { near: 24, world: 24, services: 24 },
    router: { inside: '192.0.2.1', outside: '198.51.100.1' },
    neighbour: '192.0.2.12',
    service: (kind: number, index: number) => ['10.96.0.', '203.0.113.', '203.0.114.'][kind] + String(index + 1),
    range: '198.51.100.0/25',
    clients: { within: '198.51.100.7', beyond: '198.51.100.200' },
  },
  6: {
    pods: 'fd00:10:244::/48',
    pod: (here: boolean, last: number) => `fd00:10:244:${here ? 1 : 2}::${last}`,
    node: { eth0: '2001:db8:2::11', cni0: 'fd00:10:244:1::1' },
    length: { near: 64, world: 64, services: 64 },
    router: { inside: '2001:db8:2::1', outside: '2001:db8:51::1' },
    neighbour: '2001:db8:2::12',
    service: (kind: number, index: number) =>
      ['fd00:10:96::', '2001:db8:113::', '2001:db8:114::'][kind] + String(index + 1),
    range: '2001:db8:51::/112',
    clients: { within: '2001:db8:51::7', beyond: '2001:db8:51::1:7' },
  },
} as const;
export type Family = keyof typeof NETWORK;

/** The objects of Services `random/s0`, `random/s1`, ... on the nodes `here` and `there`, with their endpoints' Pods. */
export function objects(services: readonly RandomService[], family: Family): object[] {
  const net = NETWORK[family];
  return services.flatMap((service, index) => {
    const ports = [
      { name: 'p', port: 80, protocol: service.protocol, ...(service.exposed ? { nodePort: 30000 + index } : {}) },
    ];
    const name = `s${index}`;
    return [
      {
        kind: 'Service',
        metadata: { name, namespace: 'random' },
        spec: {
          type: service.exposed ? 'LoadBalancer' : 'ClusterIP',
          clusterIP: net.service(0, index),
          externalIPs: service.exposed ? [net.service(1, index)] : [],
          externalTrafficPolicy: service.external,
          internalTrafficPolicy: service.internal,
          sessionAffinity: service.affinity ? 'ClientIP' : 'None',
          loadBalancerSourceRanges: service.ranges ? [net.range] : [],
          ports,
        },
        status: { loadBalancer: { ingress: service.exposed ? [{ ip: net.service(2, index) }] : [] } },
      },
      {
        kind: 'EndpointSlice',
        metadata: { name, namespace: 'random', labels: { 'kubernetes.io/service-name': name } },
        addressType: `IPv${family}`,
        endpoints: service.endpoints.map(({ here, state }, at) => ({
          addresses: [net.pod(here, 10 * (index + 1) + at)],
          nodeName: here ? 'here' : 'there',
          conditions: CONDITIONS[state],
        })),
        ports: [{ name: 'p', port: 8080, protocol: service.protocol }],
      },
      ...service.endpoints.map(({ here }, at) => ({
        kind: 'Pod',
        metadata: { name: `${name}-${at}`, namespace: 'random' },
        spec: { nodeName: here ? 'here' : 'there' },
        status: { podIPs: [{ ip: net.pod(here, 10 * (index + 1) + at) }] },
      })),
    ];
  });
}
