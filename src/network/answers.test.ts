import { describe, expect, it } from 'vitest';
import { wellKnownNames } from '../simulation/names.ts';
import { hopsOf, playConversation } from './converse.ts';
import type { NetworkDescription } from './description.ts';
import { Network } from './network.ts';
import { planNetwork } from './plan.ts';

const DNAT = '*nat\n-A PREROUTING -d 192.0.2.1/32 -j DNAT --to-destination 192.0.2.80\nCOMMIT\n';

/** A router that sends clients of its own network to a server on the same one, without translating the way back. */
function network(iptables: string | null): Network {
  const description: NetworkDescription = {
    hosts: {
      pc: { interfaces: { eth0: { addresses: ['192.0.2.7/24'] } }, routes: ['default via 192.0.2.1 dev eth0'] },
      router: {
        router: true,
        interfaces: { lan: { addresses: ['192.0.2.1/24'] } },
        routes: ['198.51.100.0/24 via 192.0.2.80 dev lan'],
        iptables,
      },
      server: {
        interfaces: { eth0: { addresses: ['192.0.2.80/24'] } },
        routes: ['default via 192.0.2.1 dev eth0'],
        listen: ['tcp/80', 'udp/53'],
      },
    },
    links: { lan: ['pc:eth0', 'router:lan', 'server:eth0'] },
  };
  return new Network(
    planNetwork(description, () => null),
    { names: wellKnownNames(), variant: 'nft', seed: 1 },
  );
}
const ask = (on: Network, to: string, protocol: 'tcp' | 'udp') =>
  playConversation(on, { from: 'pc', to, protocol, family: null });

// As real sockets do: they are connected to whom they asked.
describe('an answer past the translation', () => {
  it.each(['tcp', 'udp'] as const)('is nobody’s, %s', (protocol) => {
    const port = protocol === 'tcp' ? 80 : 53;
    expect(ask(network(DNAT), `192.0.2.1:${port}`, protocol)).toMatchObject({
      result: 'lost',
      server: 'server',
      stop: { host: 'pc', reason: `an answer came from 192.0.2.80:${port}, not from 192.0.2.1:${port}` },
    });
  });

  it('is an answer where the way back is translated too', () => {
    const hairpin = DNAT.replace('COMMIT', '-A POSTROUTING -d 192.0.2.80/32 -j MASQUERADE\nCOMMIT');
    expect(ask(network(hairpin), '192.0.2.1:80', 'tcp')).toMatchObject({ result: 'answered', server: 'server' });
  });
});

it('a redirect is no refusal', () => {
  // The router sends it on to the server, and tells the client to do so by itself; the server does not forward.
  const { result, packets } = ask(network(null), '198.51.100.1:53', 'udp');
  expect(result).toBe('lost');
  const answers = hopsOf(packets[0]!.root).flatMap(({ steps }) => steps.filter((step) => step.kind === 'answer'));
  expect(answers).toMatchObject([{ text: 'ICMP 5/1' }]);
});
