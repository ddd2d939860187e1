import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compileNode } from '../../src/kubernetes/compile.ts';
import { nodeOf } from '../../src/kubernetes/nodes.ts';
import { readCluster } from '../../src/kubernetes/read.ts';
import { describePacket } from '../../src/packet/notation/describe.ts';
import { formatEnd } from '../../src/packet/notation/format.ts';
import { simulate } from '../../src/simulation/simulate.ts';
import { type Family, NETWORK, objects, type RandomService, serviceArbitrary } from './services.ts';

// Random Services on one node of a cluster: who may serve whom is worked out here from the Services alone, then packets are sent through
// the compiled rules. Every endpoint that may serve is reached, about equally often, and no other.

type Client = 'pod' | 'node' | 'within' | 'beyond';
type Target = 'cluster IP' | 'node port' | 'external IP' | 'load balancer';

/** What should become of the packets of a client: the endpoints and the source that they see, or an end. */
function expected(service: RandomService, index: number, client: Client, target: Target, family: Family) {
  const net = NETWORK[family];
  const all = service.endpoints.map((endpoint, at) => ({
    ...endpoint,
    address: net.pod(endpoint.here, 10 * (index + 1) + at),
  }));
  const best = (list: typeof all): typeof all => {
    const ready = list.filter(({ state }) => state === 'ready');
    return ready.length > 0 ? ready : list.filter(({ state }) => state === 'leaving');
  };
  const everywhere = best(all);
  const here = best(all.filter((endpoint) => endpoint.here));
  if (everywhere.length === 0) {
    // What the node itself sends to an address that is not its own passes no rule that would refuse it (OUTPUT has no such jump).
    return client === 'node' && (target === 'external IP' || target === 'load balancer') ? 'sent' : 'rejected';
  }
  if (target === 'load balancer' && service.ranges && client !== 'within') return 'dropped';
  const inside = client === 'pod' || client === 'node';
  const local = target === 'cluster IP' ? service.internal === 'Local' : service.external === 'Local' && !inside;
  const may = local ? here : everywhere;
  if (may.length === 0) return 'dropped';
  const keeps =
    client === 'pod'
      ? target === 'cluster IP' || service.external === 'Local'
      : client !== 'node' && target !== 'cluster IP' && local;
  return { may: may.map(({ address }) => address), keeps };
}

const TIMES = 48;

async function prove(services: RandomService[], family: Family): Promise<number> {
  const net = NETWORK[family];
  const files = (list: object[]) => [
    { name: 'x.json', text: JSON.stringify({ kind: 'List', items: list }) },
    { name: 'proxy.yaml', text: `kind: KubeProxyConfiguration\nclusterCIDR: "${net.pods}"\n` },
  ];
  const list = objects(services, family);
  const cluster = readCluster(files(list));
  const { rules4, rules6 } = compileNode(cluster, nodeOf(cluster, 'here'));
  const turned = readCluster(files([...list].reverse()));
  expect(compileNode(turned, nodeOf(turned, 'here'))).toMatchObject({ rules4, rules6 });
  const machine = simulate({
    rules: rules4,
    rules6,
    host: {
      interfaces: {
        eth0: { addresses: [`${net.node.eth0}/${net.length.near}`] },
        cni0: { addresses: [`${net.node.cni0}/${net.length.near}`] },
      },
      routes: [`${net.pods} via ${net.neighbour} dev eth0`, `default via ${net.neighbour} dev eth0`],
      sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 },
    },
    seed: services.length,
  });
  const sources: Record<Client, [string, string]> = {
    pod: ['cni0', net.pod(true, 99)],
    node: ['local', net.node.eth0],
    within: ['eth0', net.clients.within],
    beyond: ['eth0', net.clients.beyond],
  };
  let port = 20000;
  let proved = 0;
  for (const [index, service] of services.entries()) {
    const targets: [Target, string, number][] = [['cluster IP', net.service(0, index), 80]];
    if (service.exposed) {
      targets.push(['node port', net.node.eth0, 30000 + index]);
      targets.push(['external IP', net.service(1, index), 80], ['load balancer', net.service(2, index), 80]);
    }
    for (const [target, address, to] of targets) {
      for (const [client, [device, source]] of Object.entries(sources) as [Client, [string, string]][]) {
        const words = Array.from(
          { length: TIMES },
          () =>
            `in=${device} ${service.protocol.toLowerCase()} ${formatted(source, port++)} > ${formatted(address, to)}`,
        );
        const traced = await machine.trace(...words);
        const right = expected(service, index, client, target, family);
        const what = `${client} to ${target} of ${JSON.stringify(service)}`;
        proved++;
        if (typeof right === 'string') {
          expect(new Set(traced.map(({ verdict }) => verdict)), what).toEqual(new Set([right]));
          continue;
        }
        const counts = new Map<string, number>();
        for (const { emitted } of traced) {
          expect(emitted, what).toHaveLength(1);
          const packet = describePacket(emitted[0]!.bytes);
          const seen = formatEnd(family, packet.source, null);
          const reached = formatEnd(family, packet.destination, null);
          const out = emitted[0]!.device.name as 'eth0' | 'cni0';
          expect(seen, what).toBe(right.keeps ? source : net.node[out]);
          counts.set(reached, (counts.get(reached) ?? 0) + 1);
        }
        if (service.affinity) expect(counts.size, what).toBe(1);
        else expect([...counts.keys()].sort(), what).toEqual([...right.may].sort());
        const share = 1 / right.may.length;
        const most = 4 * Math.sqrt(TIMES * share * (1 - share));
        for (const [reached, count] of counts) {
          expect(right.may, what).toContain(reached);
          if (!service.affinity) expect(Math.abs(count - TIMES * share), what).toBeLessThanOrEqual(most);
        }
      }
    }
  }
  return proved;
}

function formatted(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

it.each([4, 6] as const)('random Services, IPv%d', async (family) => {
  let proved = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(serviceArbitrary, { minLength: 1, maxLength: 2 }), async (services) => {
      proved += await prove(services, family);
    }),
    { numRuns: 10, seed: 11 },
  );
  expect(proved).toBeGreaterThan(60);
});
