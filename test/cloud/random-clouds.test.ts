import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Service } from '../../src/groups/model.ts';
import { compileCloud, withGroupRules } from '../../src/groups/plan.ts';
import { decide, type End } from '../../src/groups/reach.ts';
import { readCloud } from '../../src/groups/read.ts';
import { hopsOf, playConversation } from '../../src/network/converse.ts';
import type { NetworkDescription } from '../../src/network/description.ts';
import { Network } from '../../src/network/network.ts';
import { planNetwork } from '../../src/network/plan.ts';
import { inPrefix, parseAddress } from '../../src/packet/address-text.ts';
import { buildPacket } from '../../src/packet/notation/build.ts';
import { parsePacket } from '../../src/packet/notation/parse.ts';
import { wellKnownNames } from '../../src/simulation/names.ts';
import {
  address,
  cloudArbitrary,
  type DeclaredCloud,
  type DeclaredRule,
  describeCloud,
  LISTS,
  PROBES,
} from './clouds.ts';

// What the compiled rules let through is exactly what the groups declare: random clouds of two hosts and four machines, every pair, both
// directions, both families. The expectation is worked out here from the declaration alone.

const covers = (prefix: string, text: string): boolean => {
  const [network, length] = prefix.split('/');
  const [a, b] = [parseAddress(network!)!, parseAddress(text)!];
  return a.family === b.family && inPrefix(a.family, b.words, a.words, Number(length));
};

/** Whether a conversation gets through both ways: where groups are stateless, answers need rules of their own. */
function answered(
  cloud: DeclaredCloud,
  from: number,
  to: number,
  family: 4 | 6,
  protocol: 'tcp' | 'udp' | 'icmp',
  port: number,
  source: number,
): boolean {
  const isStateless = (vm: number): boolean =>
    (cloud.vms[vm]!.groups ?? []).some((name) => cloud.groups[name]!.stateful === false);
  return (
    declared(cloud, 'egress', from, to, family, protocol, port) &&
    declared(cloud, 'ingress', to, from, family, protocol, port) &&
    (!isStateless(to) || declared(cloud, 'egress', to, from, family, protocol, source)) &&
    (!isStateless(from) || declared(cloud, 'ingress', from, to, family, protocol, source))
  );
}

/** Whether the groups of one machine let a packet through, read off the declaration. */
function declared(
  cloud: DeclaredCloud,
  direction: 'ingress' | 'egress',
  own: number,
  other: number,
  family: 4 | 6,
  protocol: 'tcp' | 'udp' | 'icmp',
  port: number,
): boolean {
  if (direction === 'egress' && protocol === 'icmp' && family === 6) return true;
  const isIn = (vm: number, group: string): boolean => (cloud.vms[vm]!.groups ?? ['default']).includes(group);
  return (cloud.vms[own]!.groups ?? ['default']).some((name) => {
    const group =
      name === 'default'
        ? { rules: [{ direction: 'ingress' as const, remote_group: 'default' }] }
        : cloud.groups[name]!;
    const rules: DeclaredRule[] = group.rules.filter((rule) => rule.direction === direction);
    const none = !group.rules.some((rule) => rule.direction === 'egress');
    if (direction === 'egress' && none && !('egress' in group)) return true;
    return rules.some((rule) => {
      if (rule.protocol !== undefined && rule.protocol !== protocol) return false;
      if (rule.ports !== undefined) {
        const [low, high] = rule.ports.split('-');
        if (port < Number(low) || port > Number(high ?? low)) return false;
      }
      const inside = (prefix: string): boolean => covers(prefix, address(other, family));
      if (rule.remote !== undefined) return inside(rule.remote) && !(rule.except ?? []).some(inside);
      if (rule.prefix_list !== undefined) return LISTS[rule.prefix_list]!.some(inside);
      return rule.remote_group === undefined || isIn(other, rule.remote_group);
    });
  });
}

const PROTOCOLS = { tcp: 6, udp: 17, icmp: 1 } as const;

describe('random clouds', () => {
  it('the compiled rules let through what the groups declare, and nothing else', () => {
    let allowedOnes = 0;
    let refusedOnes = 0;
    let withoutAnswer = 0;
    fc.assert(
      fc.property(cloudArbitrary, (declaration) => {
        const description = describeCloud(declaration);
        const plan = planNetwork(description, () => null);
        const cloud = readCloud(description, plan);
        const network = new Network(withGroupRules(plan, compileCloud(cloud)), {
          names: wellKnownNames(),
          variant: 'nft',
          seed: 1,
        });
        let source = 20000;
        for (let from = 0; from < 4; from++) {
          for (let to = 0; to < 4; to++) {
            if (from === to) continue;
            for (const family of [4, 6] as const) {
              for (const [protocol, port] of PROBES) {
                const client = source++;
                const expected = answered(declaration, from, to, family, protocol, port, client);
                const target = protocol === 'icmp' ? `[${address(to, family)}]` : `[${address(to, family)}]:${port}`;
                const conversation = playConversation(network, {
                  from: `vm${from}:${client}`,
                  to: target,
                  protocol,
                  family,
                });
                const what = `vm${from} > vm${to} ${protocol}/${port} IPv${family}`;
                expect(`${what} ${conversation.result}`).toBe(`${what} ${expected ? 'answered' : 'lost'}`);
                const end = (vm: number): End => ({
                  port: cloud.ports.find((each) => each.vm === `vm${vm}`)!,
                  family,
                  address: parseAddress(address(vm, family))!.words,
                });
                const service: Service =
                  protocol === 'icmp'
                    ? { protocol: family === 4 ? 1 : 58, port: null, icmp: { type: family === 4 ? 8 : 128, code: 0 } }
                    : { protocol: PROTOCOLS[protocol], port, icmp: null };
                expect(decide(cloud, end(from), end(to), service, [client, client]).allowed).toBe(expected);
                if (expected) allowedOnes++;
                else if (conversation.seenAs !== null) withoutAnswer++;
                else refusedOnes++;
              }
            }
          }
        }
      }),
      { numRuns: 40, seed: 7 },
    );
    // All of them happen often enough to mean something.
    expect(Math.min(allowedOnes, refusedOnes)).toBeGreaterThan(300);
    expect(withoutAnswer).toBeGreaterThan(50);
  });
});

describe('anti-spoofing', () => {
  const open = { rules: [{ direction: 'ingress' as const }] };
  const description: NetworkDescription = {
    ...describeCloud({
      groups: { A: open, B: open, C: open },
      vms: [
        { on: 'one', groups: ['A'] },
        { on: 'two', groups: ['A'] },
      ],
    }),
  };
  const vms = description.vms as Record<string, object>;
  vms.vm0 = { ...vms.vm0, mac: 'fa:16:3e:00:00:01', allowed_address_pairs: [{ address: '10.0.0.64/28' }] };
  const plan = planNetwork(description, () => null);
  const network = new Network(withGroupRules(plan, compileCloud(readCloud(description, plan))), {
    names: wellKnownNames(),
    variant: 'nft',
    seed: 1,
  });
  const arrives = (line: string): boolean => {
    const root = network.send('vm0', buildPacket(parsePacket(line)));
    return hopsOf(root).some(({ host, delivered }) => host === 'vm1' && delivered.length > 0);
  };

  it.each([
    ['its own address', 'udp 10.0.0.1:1000 > 10.0.0.2:80', true],
    ['an allowed address pair', 'udp 10.0.0.70:1001 > 10.0.0.2:80', true],
    ["another machine's address", 'udp 10.0.0.3:1002 > 10.0.0.2:80', false],
    ['an address just beyond the pair', 'udp 10.0.0.80:1003 > 10.0.0.2:80', false],
    ['DHCP as a server', 'udp 10.0.0.1:67 > 10.0.0.2:68', false],
    ['DHCP as a client', 'udp 10.0.0.1:68 > 10.0.0.2:67', true],
    ["another machine's IPv6 address", 'udp [2001:db8::3]:1004 > [2001:db8::2]:80', false],
    ['a router advertisement', 'icmp 2001:db8::1 > 2001:db8::2 type=134 code=0', false],
    ['its link-local address', 'udp [fe80::f816:3eff:fe00:1]:1005 > [2001:db8::2]:80', true],
    ["another's link-local address", 'udp [fe80::f816:3eff:fe00:2]:1006 > [2001:db8::2]:80', false],
  ])('%s', (_what, line, expected) => {
    expect(arrives(line)).toBe(expected);
  });
});
