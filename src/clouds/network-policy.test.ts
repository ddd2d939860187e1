import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide, type End } from '../groups/reach.ts';
import { readCloud } from '../groups/read.ts';
import { planNetwork } from '../network/plan.ts';
import { readNetworkYaml } from '../network/yaml.ts';
import { inPrefix, parseAddress } from '../packet/address-text.ts';
import { importedText, importGroups } from './import.ts';

const PREFIX = 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: p }\n';
const POD = `kind: Pod
metadata: { name: web, labels: { app: web } }
spec: { containers: [{ ports: [{ name: http, containerPort: 8080 }] }] }
status: { podIP: 10.0.0.1 }
`;
const read = (...texts: string[]) =>
  importGroups(
    texts.map((text, index) => ({ name: `${index}.yaml`, text })),
    null,
  );

describe('policies', () => {
  it.each([
    ['without rules nothing comes in', 'spec: { podSelector: {} }', { rules: [], egress: 'none' }],
    ['an empty rule lets everything in', 'spec: { podSelector: {}, ingress: [{}] }', { rules: [{}], egress: 'none' }],
    [
      'rules about egress isolate both ways',
      'spec: { podSelector: {}, egress: [{ ports: [{ port: 53, protocol: UDP }] }] }',
      { rules: [{ direction: 'egress', protocol: 'udp', ports: '53' }] },
    ],
    [
      'egress alone',
      'spec: { podSelector: {}, policyTypes: [Egress], ingress: [{}], egress: [{ to: [{ ipBlock: { cidr: 10.0.0.0/8 } }] }] }',
      { rules: [{ direction: 'egress', remote: '10.0.0.0/8' }] },
    ],
    [
      'all ports of a protocol, a range, a named port',
      'spec: { podSelector: {}, ingress: [{ ports: [{ protocol: SCTP }, { port: 80, endPort: 90 }, { port: http }] }] }',
      {
        rules: [{ protocol: 'sctp' }, { protocol: 'tcp', ports: '80-90' }, { protocol: 'tcp', ports: '8080' }],
        egress: 'none',
      },
    ],
    [
      'blocks with exceptions',
      'spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: 10.0.0.0/8, except: [10.1.0.0/16] } }] }] }',
      { rules: [{ remote: '10.0.0.0/8', except: ['10.1.0.0/16'] }], egress: 'none' },
    ],
  ])('%s', (_what, spec, group) => {
    const { groups, warnings } = read(PREFIX + spec, POD);
    expect(groups.get('p')).toEqual({ description: 'NetworkPolicy default/p', ...group });
    expect(warnings).toEqual([]);
  });

  it.each([
    [
      'spec: { podSelector: {}, ingress: [{ ports: [{ port: 80, endPort: 70 }] }] }',
      '0.yaml:4: NetworkPolicy p: spec.ingress[0].ports[0].port: "80" is no port, or above endPort',
    ],
    ['spec: { podSelector: {}, ingress: [{ ports: [{ port: http, endPort: 90 }] }] }', 'a named port has no end'],
    ['spec: { podSelector: {}, ingress: [{ from: [{}] }] }', 'podSelector, namespaceSelector or ipBlock is needed'],
    ['spec: { podSelector: {}, policyTypes: [Inngress] }', '"Inngress" is neither Ingress nor Egress'],
    ['spec: { podSelector: { matchExpressions: [{ key: a, operator: In }] } }', 'In needs values'],
    [
      'spec: { podSelector: {}, ingress: [{ from: [{ podSelector: {}, ipBlock: { cidr: 10.0.0.0/8 } }] }] }',
      'stands alone, without selectors',
    ],
  ])('%s', (spec, message) => {
    expect(() => read(PREFIX + spec, POD)).toThrow(message);
  });

  it.each([
    [
      'spec: { podSelector: {}, ingress: [{ ports: [{ port: grpc }] }] }',
      POD,
      'no Pod that the policy selects has a port "grpc" of tcp',
    ],
    ['spec: { podSelector: {} }', 'kind: Namespace\nmetadata: { name: a }', 'no Pods: the groups have no members'],
    [
      'spec: { podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: a } } }] }] }',
      POD,
      'the labels of default are in none of the files',
    ],
    [
      'spec: { podSelector: {} }',
      `${POD}---\n${POD.replace('name: web', 'name: host').replace('spec: {', 'spec: { hostNetwork: true,')}`,
      'Pod default/host uses the network of its node',
    ],
    [
      'spec: { podSelector: {} }\n---\nkind: CiliumNetworkPolicy\nmetadata: { name: c }',
      POD,
      'CiliumNetworkPolicy c: a CiliumNetworkPolicy is not read',
    ],
  ])('warns: %s', (spec, pods, message) => {
    expect(read(PREFIX + spec, pods).warnings.join('\n')).toContain(message);
  });
});

// Random policies over eight Pods of two namespaces: what the groups decide is what the policies say, worked out here from the
// policies alone (https://kubernetes.io/docs/concepts/services-networking/network-policies/).

interface RandomPod {
  namespace: string;
  labels: Record<string, string>;
  http: number;
}
interface RandomPeer {
  pod?: Record<string, string> | null;
  namespace?: Record<string, string> | null;
  block?: { cidr: string; except: string[] };
}
interface RandomRule {
  peers: RandomPeer[];
  ports: { port?: number | string; endPort?: number; protocol: string }[];
}
interface RandomPolicy {
  namespace: string;
  select: Record<string, string>;
  types: ('Ingress' | 'Egress')[];
  ingress: RandomRule[];
  egress: RandomRule[];
}

const NAMESPACES: Record<string, Record<string, string>> = { a: { team: 'x' }, b: { team: 'y' } };
const labels = fc.record({ app: fc.constantFrom('web', 'db'), tier: fc.constantFrom('1', '2') });
const selector = fc.oneof(
  fc.constant({}),
  fc.constantFrom('web', 'db').map((app) => ({ app })),
  labels,
) as fc.Arbitrary<Record<string, string>>;
const peer: fc.Arbitrary<RandomPeer> = fc.oneof(
  selector.map((pod): RandomPeer => ({ pod })),
  fc
    .constantFrom<Record<string, string>[]>({}, { team: 'x' }, { team: 'y' })
    .map((namespace): RandomPeer => ({ namespace })),
  fc
    .tuple(selector, fc.constantFrom<Record<string, string>[]>({}, { team: 'y' }))
    .map(([pod, namespace]): RandomPeer => ({ pod, namespace })),
  fc
    .constantFrom<{ cidr: string; except: string[] }[]>(
      { cidr: '10.0.0.0/29', except: ['10.0.0.2/31'] },
      { cidr: '0.0.0.0/0', except: [] },
      { cidr: '10.0.0.4/30', except: ['10.0.0.5/32'] },
    )
    .map((block): RandomPeer => ({ block })),
);
const port = fc.oneof(
  fc.record({ port: fc.constantFrom<(number | string)[]>(80, 81, 'http'), protocol: fc.constantFrom('TCP', 'UDP') }),
  fc.constant({ port: 80, endPort: 82, protocol: 'TCP' }),
  fc.constant({ protocol: 'UDP' }),
);
const rule: fc.Arbitrary<RandomRule> = fc.record({
  peers: fc.array(peer, { maxLength: 2 }),
  ports: fc.array(port, { maxLength: 2 }),
});
const policy: fc.Arbitrary<RandomPolicy> = fc.record({
  namespace: fc.constantFrom('a', 'b'),
  select: selector,
  types: fc.constantFrom<('Ingress' | 'Egress')[][]>([], ['Ingress'], ['Egress'], ['Ingress', 'Egress']),
  ingress: fc.array(rule, { maxLength: 2 }),
  egress: fc.array(rule, { maxLength: 2 }),
});
const cluster = fc.record({
  pods: fc.array(fc.record({ namespace: fc.constantFrom('a', 'b'), labels, http: fc.constantFrom(80, 81, 90) }), {
    minLength: 8,
    maxLength: 8,
  }),
  policies: fc.array(policy, { maxLength: 4 }),
});

const fits = (wanted: Record<string, string>, have: Record<string, string>): boolean =>
  Object.entries(wanted).every(([key, value]) => have[key] === value);

function allowed(
  pods: RandomPod[],
  policies: RandomPolicy[],
  from: number,
  to: number,
  protocol: string,
  number: number,
): boolean {
  return (['egress', 'ingress'] as const).every((way) => {
    const [own, other] = way === 'egress' ? [from, to] : [to, from];
    const isolating = policies.filter(
      (each) =>
        each.namespace === pods[own]!.namespace &&
        fits(each.select, pods[own]!.labels) &&
        (each.types.length > 0
          ? each.types.includes(way === 'egress' ? 'Egress' : 'Ingress')
          : way === 'ingress' || each.egress.length > 0),
    );
    if (isolating.length === 0) return true;
    return isolating.some((each) =>
      each[way].some(({ peers, ports }) => {
        const toPort = ports.some(
          (wanted) =>
            wanted.protocol === protocol &&
            (wanted.port === undefined ||
              (wanted.port === 'http'
                ? protocol === 'TCP' && pods[to]!.http === number
                : number >= Number(wanted.port) && number <= (wanted.endPort ?? Number(wanted.port)))),
        );
        if (ports.length > 0 && !toPort) return false;
        return (
          peers.length === 0 ||
          peers.some(({ pod, namespace, block }) => {
            if (block !== undefined) {
              const inside = (cidr: string): boolean => {
                const [network, length] = cidr.split('/');
                return inPrefix(4, [0x0a000001 + other, 0, 0, 0], parseAddress(network!)!.words, Number(length));
              };
              return inside(block.cidr) && !block.except.some(inside);
            }
            const there = pods[other]!;
            return (
              fits(pod ?? {}, there.labels) &&
              (namespace === undefined
                ? there.namespace === each.namespace
                : fits(namespace!, NAMESPACES[there.namespace]!))
            );
          })
        );
      }),
    );
  });
}

function manifests(pods: RandomPod[], policies: RandomPolicy[]): string {
  const ruleOf =
    (key: 'from' | 'to') =>
    ({ peers, ports }: RandomRule): object => ({
      ...(peers.length === 0
        ? {}
        : {
            [key]: peers.map(({ pod, namespace, block }) => ({
              ...(pod === undefined ? {} : { podSelector: { matchLabels: pod } }),
              ...(namespace === undefined ? {} : { namespaceSelector: { matchLabels: namespace } }),
              ...(block === undefined ? {} : { ipBlock: block }),
            })),
          }),
      ...(ports.length === 0 ? {} : { ports }),
    });
  const items = [
    ...Object.entries(NAMESPACES).map(([name, labels]) => ({ kind: 'Namespace', metadata: { name, labels } })),
    ...pods.map(({ namespace, labels, http }, index) => ({
      kind: 'Pod',
      metadata: { name: `pod${index}`, namespace, labels },
      spec: { nodeName: `node${index % 2}`, containers: [{ ports: [{ name: 'http', containerPort: http }] }] },
      status: { podIP: `10.0.0.${index + 1}` },
    })),
    ...policies.map(({ namespace, select, types, ingress, egress }, index) => ({
      kind: 'NetworkPolicy',
      metadata: { name: `policy${index}`, namespace },
      spec: {
        podSelector: { matchLabels: select },
        ...(types.length === 0 ? {} : { policyTypes: types }),
        ingress: ingress.map(ruleOf('from')),
        egress: egress.map(ruleOf('to')),
      },
    })),
  ];
  return JSON.stringify({ kind: 'List', items });
}

describe('random policies', () => {
  it('the groups decide as the policies say', () => {
    let [yes, no] = [0, 0];
    fc.assert(
      fc.property(cluster, ({ pods, policies }) => {
        const imported = importGroups([{ name: 'all.json', text: manifests(pods, policies) }], null);
        const { description } = readNetworkYaml(importedText(imported, []), 'network.yaml');
        const cloud = readCloud(
          description,
          planNetwork(description, () => null),
        );
        const ends = pods.map((_pod, index): End => {
          const found = cloud.ports.find(({ vm }) => vm === `pod${index}`)!;
          return { port: found, family: 4, address: found.addresses[0]!.address };
        });
        for (let from = 0; from < 8; from++) {
          for (let to = 0; to < 8; to++) {
            if (from === to) continue;
            for (const [protocol, number, word] of [
              ['TCP', 6, 80],
              ['TCP', 6, 81],
              ['TCP', 6, 90],
              ['UDP', 17, 80],
            ] as const) {
              const expected = allowed(pods, policies, from, to, protocol, word);
              const said = decide(cloud, ends[from]!, ends[to]!, { protocol: number, port: word, icmp: null }).allowed;
              const what = `pod${from} > pod${to} ${protocol}/${word}`;
              expect(`${what} ${said}`).toBe(`${what} ${expected}`);
              if (expected) yes++;
              else no++;
            }
          }
        }
      }),
      { numRuns: 60, seed: 11 },
    );
    expect(Math.min(yes, no)).toBeGreaterThan(1000);
  });
});
