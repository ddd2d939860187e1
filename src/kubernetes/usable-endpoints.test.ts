import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { serviceChains } from './chain-names.ts';
import type { Endpoint, ServicePort } from './model.ts';
import { usableEndpoints } from './usable-endpoints.ts';

const endpoint = (last: number, given: Partial<Endpoint> = {}): Endpoint => ({
  address: { family: 4, words: [0x0a00_0000 + last, 0, 0, 0], text: `10.0.0.${last}` },
  port: 80,
  text: `10.0.0.${last}:80`,
  chain: '',
  node: 'one',
  ready: true,
  serving: true,
  terminating: false,
  zones: [],
  nodes: [],
  ...given,
});
const LEAVING = { ready: false, serving: true, terminating: true };
const GONE = { ready: false, serving: false, terminating: true };

const port = (given: Partial<ServicePort> = {}): ServicePort => ({
  name: 'default/shop',
  protocol: 'TCP',
  family: 4,
  clusterIp: { family: 4, words: [1, 0, 0, 0], text: '0.0.0.1' },
  port: 80,
  nodePort: 0,
  externalIps: [],
  loadBalancerIps: [],
  sourceRanges: [],
  externalPolicyLocal: false,
  internalPolicyLocal: false,
  healthCheckNodePort: 0,
  affinity: null,
  chains: serviceChains('default/shop', 'tcp'),
  ...given,
});
const PLACE = { node: 'one', zone: 'a' };

const lasts = (list: readonly Endpoint[]): number[] => list.map(({ address }) => address.words[0] & 0xff);
const usable = (all: Endpoint[], service: Partial<ServicePort> = {}, place: typeof PLACE = PLACE) => {
  const { cluster, local, reachable, any } = usableEndpoints(all, port(service), place);
  return { cluster: lasts(cluster), local: lasts(local), reachable: lasts(reachable), any };
};

// Facts of CategorizeEndpoints (pkg/proxy/topology.go, v1.33).
describe('usable endpoints', () => {
  it('are the ready ones', () => {
    expect(usable([endpoint(1), endpoint(2, { ready: false }), endpoint(3, LEAVING)])).toEqual({
      cluster: [1],
      local: [],
      reachable: [1],
      any: true,
    });
  });

  it('are those that serve while they terminate where none is ready', () => {
    expect(usable([endpoint(1, LEAVING), endpoint(2, GONE), endpoint(3, { ready: false })]).cluster).toEqual([1]);
    expect(usable([endpoint(2, GONE)])).toEqual({ cluster: [], local: [], reachable: [], any: false });
  });

  it('fall back for each policy by itself', () => {
    const all = [endpoint(1, { node: 'two' }), endpoint(2, LEAVING)];
    expect(usable(all, { nodePort: 30000, externalPolicyLocal: true })).toEqual({
      cluster: [1],
      local: [2],
      reachable: [1, 2],
      any: true,
    });
  });

  it('are looked for everywhere, though only those of the node may serve', () => {
    expect(usable([endpoint(1, { node: 'two' })], { internalPolicyLocal: true })).toEqual({
      cluster: [],
      local: [],
      reachable: [],
      any: true,
    });
  });

  it('follow the hints of zones where every ready one has hints', () => {
    const zones = [endpoint(1, { zones: ['a'] }), endpoint(2, { zones: ['b'] }), endpoint(3, { zones: ['a', 'b'] })];
    expect(usable(zones).cluster).toEqual([1, 3]);
    expect(usable(zones, {}, { node: 'one', zone: 'c' }).cluster).toEqual([1, 2, 3]);
    expect(usable([...zones, endpoint(4)]).cluster).toEqual([1, 2, 3, 4]);
    expect(usable([...zones, endpoint(4, { ready: false })]).cluster).toEqual([1, 3]);
  });

  it('follow the hints of nodes before those of zones', () => {
    const both = [endpoint(1, { zones: ['a'], nodes: ['two'] }), endpoint(2, { zones: ['b'], nodes: ['one'] })];
    expect(usable(both).cluster).toEqual([2]);
    expect(usable(both, {}, { node: 'three', zone: 'a' }).cluster).toEqual([1]);
  });

  it('are never such that neither are ready nor serve', () => {
    const anyEndpoint = fc.record({
      node: fc.constantFrom('one', 'two'),
      ready: fc.boolean(),
      serving: fc.boolean(),
      terminating: fc.boolean(),
      zones: fc.subarray(['a', 'b']),
      nodes: fc.subarray(['one', 'two']),
    });
    const anyService = fc.record({
      nodePort: fc.constantFrom(0, 30000),
      externalPolicyLocal: fc.boolean(),
      internalPolicyLocal: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(anyEndpoint, { maxLength: 6 }), anyService, (list, service) => {
        const all = list.map((each, index) => endpoint(index + 1, each));
        const { cluster, local, reachable, any } = usableEndpoints(all, port(service), PLACE);
        expect(reachable.every(({ ready, serving, terminating }) => ready || (serving && terminating))).toBe(true);
        expect(local.every(({ node }) => node === 'one')).toBe(true);
        expect(new Set(reachable)).toEqual(new Set([...cluster, ...local]));
        expect(any).toBe(all.some(({ ready, serving, terminating }) => ready || (serving && terminating)));
        if (cluster.some(({ ready }) => ready)) expect(cluster.every(({ ready }) => ready)).toBe(true);
      }),
    );
  });
});
