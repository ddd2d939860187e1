import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Variant } from '../../extensions/contract.ts';
import { findMatch, findTarget } from '../../extensions/registry.ts';
import { createHost } from '../../host/host.ts';
import { decode } from '../../packet/decode.ts';
import type { Family } from '../../packet/family.ts';
import { Packet } from '../../packet/packet.ts';
import { systemNames } from '../../state/names.ts';
import { parseCanonicalRuleset } from '../../syntax/save-format.ts';
import { compose } from '../compose.ts';
import type { MachineServices } from '../environment.ts';
import { Hook, type HookState } from '../hooks.ts';
import { loadRuleset } from '../load.ts';
import { compileTable, type TableProgram } from '../program.ts';
import { ProgramEvaluator } from '../traverse.ts';
import { ReferenceEvaluator } from '../traverse-reference.ts';

const host = createHost();
const lo = host.device('lo')!;
const names = systemNames();

/** What stateful matches need, the same for each program that is given its own. */
function machine(): MachineServices {
  let seed = 1;
  const named = new Map<string, unknown>();
  return {
    now: () => 0,
    random: () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return seed;
    },
    namedState: <T>(kind: string, name: string, make: () => T): T => {
      const key = `${kind} ${name}`;
      if (!named.has(key)) named.set(key, make());
      return named.get(key) as T;
    },
  } as unknown as MachineServices;
}

function compile(text: string, family: Family, variant: Variant): TableProgram {
  const { tables } = loadRuleset(parseCanonicalRuleset(text, family), { family, variant, names });
  const lookup = {
    match: (name: string) => findMatch(name, family),
    target: (name: string) => findTarget(name, family),
  };
  return compileTable(tables[0]!, family, variant, lookup, machine(), (_key, make) => make());
}

const ADDRESSES = {
  4: ['10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '10.1.2.3/32', '10.1.2.4/32', '0.0.0.3/0.0.0.255'],
  6: ['2001:db8::/32', '2001:db8:1::/48', '2001:db8:1::3/128', 'fe80::/10', '::3/::ff'],
} as const;
const ENDS = {
  4: [[0x0a010203], [0x0a010204], [0x0a020203], [0xc0000203]],
  6: [
    [0x20010db8, 0x00010000, 0, 3],
    [0x20010db8, 0, 0, 4],
    [0xfe800000, 0, 0, 3],
  ],
} as const;

const pick = (...texts: string[]): fc.Arbitrary<string> => fc.constantFrom(...texts);
const not = (text: string): fc.Arbitrary<string> => pick(text, text, ` !${text}`);
const ports = pick('80', '53', '1000:2000', '1024:65535', '0:79', '7');

/** Text of a rule: header, some matches, a target that may jump to a later chain. */
function ruleText(family: Family, later: readonly string[]): fc.Arbitrary<string> {
  const address = pick(...ADDRESSES[family]);
  const header = fc
    .tuple(
      fc.option(
        address.chain((each) => not(` -s ${each}`)),
        { nil: '' },
      ),
      fc.option(
        address.chain((each) => not(` -d ${each}`)),
        { nil: '' },
      ),
      pick('', '', ' -i lo', ' ! -i lo', ' -i eth+', ' -o lo'),
    )
    .map((parts) => parts.join(''));
  const transport = fc.oneof(
    pick(
      '',
      '',
      ' ! -p tcp',
      family === 4 ? ' -p icmp -m icmp --icmp-type 8' : ' -p ipv6-icmp -m icmp6 --icmpv6-type 128',
    ),
    fc
      .tuple(pick('tcp', 'udp'), pick('--dport', '--sport', '! --dport'), ports)
      .map(([protocol, option, range]) => ` -p ${protocol} -m ${protocol} ${option} ${range}`),
    fc
      .tuple(pick('tcp', 'udp'), pick('--dports', '--sports', '--ports', '! --dports'))
      .map(([protocol, option]) => ` -p ${protocol} -m multiport ${option} 7,53,80:90`),
    pick(' -p tcp -m tcp --tcp-option 2 -m mark --mark 0x1', ' -p tcp -m tcp --dport 80 --tcp-flags SYN SYN'),
  );
  const match = pick(
    '',
    '',
    '',
    ' -m mark --mark 0x1',
    ' -m mark --mark 0x2/0xf',
    ' -m mark ! --mark 0x1',
    ' -m statistic --mode nth --every 2 --packet 0',
    ' -m statistic --mode random --probability 0.5',
    ' -m length --length 0:60',
    ' -m comment --comment x',
    ' -m ecn --ecn-tcp-cwr',
  );
  const target = pick(
    '',
    '',
    ' -j MARK --set-xmark 0x1/0xffffffff',
    ' -j MARK --set-xmark 0x12/0xff',
    ' -j ACCEPT',
    ' -j DROP',
    ' -j RETURN',
    ...later.flatMap((chain) => [` -j ${chain}`, ` -g ${chain}`]),
  );
  return (
    fc
      .tuple(header, match, transport, match, target)
      // ecn --ecn-tcp-cwr stands only with -p tcp.
      .map((parts) =>
        parts[2].includes('-p tcp') ? parts.join('') : parts.join('').replaceAll(' -m ecn --ecn-tcp-cwr', ''),
      )
  );
}

const CHAINS = ['FORWARD', 'a', 'b'] as const;

function rulesText(family: Family): fc.Arbitrary<string> {
  return fc
    .tuple(
      ...CHAINS.map((_, i) =>
        fc.array(ruleText(family, CHAINS.slice(i + 1)), { minLength: i === 2 ? 0 : 14, maxLength: 50 }),
      ),
    )
    .map((chains) => {
      const heads = CHAINS.map((name, i) => `:${name} ${i === 0 ? 'ACCEPT' : '-'} [0:0]\n`);
      const lines = chains.flatMap((rules, i) => rules.map((text) => `[0:0] -A ${CHAINS[i]}${text}\n`));
      return `*filter\n${heads.join('')}${lines.join('')}COMMIT\n`;
    });
}

interface Input {
  source: number;
  destination: number;
  protocol: number;
  sourcePort: number;
  destinationPort: number;
  /** Bytes of the transport header that are there. */
  length: number;
  fragmentOffset: number;
  mark: number;
  out: boolean;
}

const port = fc.constantFrom(7, 53, 80, 79, 1500, 65535);
const input: fc.Arbitrary<Input> = fc.record({
  source: fc.nat(3),
  destination: fc.nat(3),
  protocol: fc.constantFrom(6, 6, 17, 17, 1, 58, 132, 51),
  sourcePort: port,
  destinationPort: port,
  length: fc.constantFrom(24, 24, 24, 24, 20, 19, 8, 4, 2),
  fragmentOffset: fc.constantFrom(0, 0, 0, 0, 8, 1480),
  mark: fc.constantFrom(0, 1, 2, 0x12),
  out: fc.boolean(),
});

function packetOf(family: Family, each: Input): Packet {
  const payload = Uint8Array.of(
    each.sourcePort >>> 8,
    each.sourcePort & 0xff,
    each.destinationPort >>> 8,
    each.destinationPort & 0xff,
    ...[8, 0, 0, 0, 1, 2, 3, 4, 0x60, 0x82, 0, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4],
  );
  const ends = ENDS[family];
  const { bytes } = compose(
    family,
    { source: ends[each.source % ends.length]!, destination: ends[each.destination % ends.length]!, protocol: 99 },
    payload.subarray(0, each.length),
  );
  bytes[family === 4 ? 9 : 6] = each.protocol;
  if (family === 4) bytes.set([each.fragmentOffset >>> 11, (each.fragmentOffset >>> 3) & 0xff], 6);
  const packet = new Packet(family, bytes);
  decode(packet);
  packet.mark = each.mark;
  return packet;
}

describe.each([
  [4, 'nft'],
  [4, 'legacy'],
  [6, 'nft'],
  [6, 'legacy'],
] as const)('the classifier leaves out only rules that would not match (IPv%s, %s)', (family, variant) => {
  it('for random rules with states, marks and headers that are cut off', () => {
    fc.assert(
      fc.property(rulesText(family), fc.array(input, { minLength: 1, maxLength: 24 }), (text, inputs) => {
        const plain = compile(text, family, variant);
        const fast = compile(text, family, variant);
        const reference = new ReferenceEvaluator(plain, null, null);
        const evaluator = new ProgramEvaluator(fast, host.devices);
        for (const each of inputs) {
          const at: HookState = { hook: Hook.forward, family, inDevice: lo, outDevice: each.out ? lo : null };
          const one = packetOf(family, each);
          const other = packetOf(family, each);
          expect(evaluator.run(one, at)).toBe(reference.run(other, at));
          expect(fast.chainOf[evaluator.decided]).toBe(plain.chainOf[reference.decided]);
          expect(evaluator.decided).toBe(reference.decided);
          expect(one.mark).toBe(other.mark);
        }
        expect([...fast.packets]).toEqual([...plain.packets]);
        expect([...fast.bytes]).toEqual([...plain.bytes]);
      }),
      { numRuns: 150 },
    );
  });
});
