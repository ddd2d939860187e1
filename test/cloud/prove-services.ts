import process from 'node:process';
import fc from 'fast-check';
import { planKubernetes } from '../../src/kubernetes/plan.ts';
import { playConversation } from '../../src/network/converse.ts';
import type { NetworkDescription } from '../../src/network/description.ts';
import { Network } from '../../src/network/network.ts';
import { wellKnownNames } from '../../src/simulation/names.ts';
import { type Family, NETWORK, objects, type RandomService, serviceArbitrary } from '../kubernetes/services.ts';
import { type RealAnswer, RealNetwork } from './namespaces.ts';

/** So often is each conversation played: whom chance may choose is then known but in one of thousands. */
const SEEDS = 24;
const FIRST_PORT = 20000;
/** Real conversations at a time. */
const WIDTH = 8;

/** Two nodes behind a router, a client Pod on one of them, and clients outside, one of them beyond the load balancers' ranges. */
export function describeServices(family: Family): NetworkDescription {
  const net = NETWORK[family];
  const { near } = net.length;
  const node = (name: 'here' | 'there') => {
    const [own, other, pods, others] =
      name === 'here'
        ? [net.node.eth0, net.neighbour, net.pod(true, 1), net.pod(false, 0)]
        : [net.neighbour, net.node.eth0, net.pod(false, 1), net.pod(true, 0)];
    return {
      router: true,
      kubernetes: { files: ['cluster.json', 'proxy.yaml'], pods: 'cni0' },
      interfaces: {
        eth0: { addresses: [`${own}/${near}`] },
        cni0: { addresses: [`${pods}/${near}`], bridge: [] },
      },
      routes: [`${others}/${near} via ${other} dev eth0`, `default via ${net.router.inside} dev eth0`],
    };
  };
  const outside = (address: string) => ({
    interfaces: { eth0: { addresses: [`${address}/${net.length.world}`] } },
    routes: [`default via ${net.router.outside} dev eth0`],
  });
  return {
    hosts: {
      here: node('here'),
      there: node('there'),
      router: {
        router: true,
        interfaces: {
          inside: { addresses: [`${net.router.inside}/${near}`] },
          outside: { addresses: [`${net.router.outside}/${net.length.world}`] },
        },
        routes: [0, 1, 2].map(
          (kind) => `${net.service(kind, -1)}/${net.length.services} via ${net.node.eth0} dev inside`,
        ),
      },
      within: outside(net.clients.within),
      beyond: outside(net.clients.beyond),
    },
    vms: {
      pod: {
        on: 'here',
        bridge: 'cni0',
        addresses: [`${net.pod(true, 99)}/${near}`],
        gateways: [net.node.cni0],
      },
    },
    links: { rack: ['here:eth0', 'there:eth0', 'router:inside'], world: ['router:outside', 'within', 'beyond'] },
  };
}

interface Asked {
  from: string;
  address: string;
  port: number;
  protocol: 'tcp' | 'udp';
}

function questions(services: readonly RandomService[], family: Family): Asked[] {
  const net = NETWORK[family];
  return services.flatMap((service, index) => {
    const targets: [string, number][] = [[net.service(0, index), 80]];
    if (service.exposed) {
      targets.push([net.node.eth0, 30000 + index], [net.neighbour, 30000 + index]);
      targets.push([net.service(1, index), 80], [net.service(2, index), 80]);
    }
    const protocol = service.protocol === 'TCP' ? 'tcp' : 'udp';
    return targets.flatMap(([address, port]) =>
      ['pod', 'here', 'within', 'beyond'].map((from): Asked => ({ from, address, port, protocol })),
    );
  });
}

const outcome = ({ result, server, seenAs }: RealAnswer): string =>
  result === 'answered' ? `answered by ${server}, who sees ${seenAs!.replace(/:\d+$/, '')}` : result;

/** Random Services on two real nodes: what happens to each conversation is among what iptsim says may happen. */
async function proveOne(services: readonly RandomService[], family: Family, number: number, variant: 'legacy' | 'nft') {
  const net = NETWORK[family];
  const files: Record<string, string> = {
    'cluster.json': JSON.stringify({ kind: 'List', items: objects(services, family) }),
    'proxy.yaml': `kind: KubeProxyConfiguration\nclusterCIDR: "${net.pods}"\n`,
  };
  const plan = planKubernetes(describeServices(family), (name) => files[name] ?? null);
  const asked = questions(services, family);
  const may = asked.map(() => new Set<string>());
  for (let seed = 1; seed <= SEEDS; seed++) {
    const network = new Network(plan, { names: wellKnownNames(), variant, seed });
    for (const [index, { from, address, port, protocol }] of asked.entries()) {
      const question = { from: `${from}:${FIRST_PORT + index}`, to: `[${address}]:${port}`, protocol, family };
      const { result, server, seenAs } = playConversation(network, question);
      may[index]!.add(outcome({ result, server, seenAs: seenAs?.source ?? null }));
    }
  }
  const wrong: string[] = [];
  const real = new RealNetwork(plan, variant, number);
  try {
    await real.start();
    for (let at = 0; at < asked.length; at += WIDTH) {
      const some = asked.slice(at, at + WIDTH).map(async ({ from, address, port, protocol }, index) => {
        const got = outcome(await real.ask(from, protocol, address, port, FIRST_PORT + at + index));
        const said = may[at + index]!;
        if (said.has(got)) return;
        const service = JSON.stringify(
          services[[...services.keys()].find((each) => address === net.service(0, each)) ?? 0],
        );
        wrong.push(
          `${from} > ${protocol} ${address} ${port}: iptsim says ${[...said].join(' or ')}, Linux ${got}; ${service}`,
        );
      });
      await Promise.all(some);
    }
  } finally {
    real.stop();
  }
  return { asked: asked.length, wrong };
}

/** Returns how many conversations were had, and the differences. */
export async function proveServices(
  count: number,
  seed: number,
  variant: 'legacy' | 'nft',
): Promise<{ conversations: number; failed: number }> {
  let conversations = 0;
  let failed = 0;
  const samples = fc.sample(fc.array(serviceArbitrary, { minLength: 2, maxLength: 3 }), { numRuns: count, seed });
  for (const [index, services] of samples.entries()) {
    const family = index % 2 === 0 ? 4 : 6;
    const { asked, wrong } = await proveOne(services, family, 500 + index, variant);
    conversations += asked;
    failed += wrong.length;
    process.stdout.write(
      `random Services ${index + 1} of seed ${seed}, IPv${family}: ${asked} conversations, ${wrong.length === 0 ? 'all as iptsim says' : `${wrong.length} differences`}\n`,
    );
    for (const text of wrong) process.stdout.write(`  ${text}\n`);
  }
  return { conversations, failed };
}
