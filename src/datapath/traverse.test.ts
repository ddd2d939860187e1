import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createHost } from '../host/host.ts';
import { decode } from '../packet/decode.ts';
import { Packet } from '../packet/packet.ts';
import type { RuleSpec, TargetUse } from '../ruleset/rule.ts';
import type { Step } from '../trace/steps.ts';
import { compose } from './compose.ts';
import type { MachineServices } from './environment.ts';
import { Hook, type HookState } from './hooks.ts';
import type { LoadedChain, LoadedTable } from './machine-contract.ts';
import { compileTable, type TableProgram } from './program.ts';
import { ProgramEvaluator } from './traverse.ts';
import { ReferenceEvaluator, type RuleTracer, traceComment } from './traverse-reference.ts';
import { Verdict } from './verdicts.ts';

const host = createHost();
const lo = host.device('lo')!;
const NO_MACHINE = {} as MachineServices;
const NO_EXTENSIONS = { match: () => undefined, target: () => undefined };

function rule(target: TargetUse, parts: Partial<RuleSpec> = {}): RuleSpec {
  return {
    family: 4,
    protocol: 0,
    protocolInvert: false,
    source: null,
    destination: null,
    inInterface: null,
    outInterface: null,
    fragment: null,
    matches: [],
    target,
    ...parts,
  };
}

function chain(name: string, policy: 'ACCEPT' | 'DROP' | null, specs: RuleSpec[]): LoadedChain {
  return {
    name,
    policy,
    counters: { packets: 0n, bytes: 0n },
    rules: specs.map((spec) => ({ spec, packets: 0n, bytes: 0n })),
  };
}

function compile(chains: LoadedChain[], variant: 'legacy' | 'nft' = 'nft'): TableProgram {
  const table: LoadedTable = { name: 'filter', chains };
  return compileTable(table, 4, variant, NO_EXTENSIONS, NO_MACHINE, (_key, make) => make());
}

const udp = (): Packet =>
  compose(4, { source: [0x0a000001], destination: [0x0a000002], protocol: 17 }, new Uint8Array(8));
const at: HookState = { hook: Hook.forward, family: 4, inDevice: lo, outDevice: null };
const ACCEPT: TargetUse = { kind: 'verdict', verdict: 'ACCEPT' };
const DROP: TargetUse = { kind: 'verdict', verdict: 'DROP' };
const RETURN: TargetUse = { kind: 'verdict', verdict: 'RETURN' };
const NONE: TargetUse = { kind: 'none' };

describe('walking through chains, as Linux 6.18 with iptables 1.8.9 does', () => {
  it('counts RETURN in a base chain in the rule and in the policy', () => {
    const program = compile([chain('FORWARD', 'DROP', [rule(RETURN), rule(ACCEPT)])]);
    const evaluator = new ProgramEvaluator(program, host.devices);
    expect(evaluator.run(udp(), at)).toBe(Verdict.drop);
    expect([...program.packets]).toEqual([1, 0, 1]);
    expect([...program.bytes]).toEqual([28, 0, 28]);
    expect(program.numberOf[evaluator.decided]).toBe(0);
  });

  it('returns from the end of a chain entered with -g to the caller of the chain that went there', () => {
    const program = compile([
      chain('FORWARD', 'DROP', [rule({ kind: 'jump', chain: 'first' }), rule(ACCEPT)]),
      chain('first', null, [rule({ kind: 'goto', chain: 'aside' }), rule(DROP)]),
      chain('aside', null, [rule(NONE)]),
    ]);
    expect(new ProgramEvaluator(program, host.devices).run(udp(), at)).toBe(Verdict.accept);
    expect(program.chainOf.map((name, slot) => `${name} ${program.packets[slot]}`)).toEqual([
      'FORWARD 1',
      'FORWARD 1',
      'FORWARD 0',
      'first 1',
      'first 0',
      'first 0',
      'aside 1',
      'aside 1',
    ]);
  });

  it('goes from a base chain with -g to the policy when the other chain ends', () => {
    const program = compile([
      chain('FORWARD', 'DROP', [rule({ kind: 'goto', chain: 'aside' }), rule(ACCEPT)]),
      chain('aside', null, [rule(NONE)]),
    ]);
    expect(new ProgramEvaluator(program, host.devices).run(udp(), at)).toBe(Verdict.drop);
  });

  it('names the lines of TRACE as legacy does', () => {
    // Measured with the nfnetlink_log logger: unconditional plain verdicts show as the end of their chain.
    const udpOnly = { protocol: 17 };
    const program = compile(
      [
        chain('FORWARD', 'ACCEPT', [
          rule({ kind: 'jump', chain: 'custom' }, udpOnly),
          rule({ kind: 'jump', chain: 'cond' }, udpOnly),
          rule(NONE, udpOnly),
          rule(ACCEPT),
        ]),
        chain('cond', null, [rule(RETURN, udpOnly)]),
        chain('custom', null, [rule(NONE, udpOnly), rule(RETURN), rule(NONE)]),
      ],
      'legacy',
    );
    const lines: string[] = [];
    const packet = udp();
    packet.trace = true;
    const tracer: RuleTracer = {
      matched: (_packet, _at, where, slot) => void lines.push(traceComment(where, slot)),
    };
    new ReferenceEvaluator(program, null, tracer).run(packet, at);
    expect(lines).toEqual([
      'filter:FORWARD:rule:1',
      'filter:custom:rule:1',
      'filter:custom:return:2',
      'filter:FORWARD:rule:2',
      'filter:cond:rule:1',
      'filter:FORWARD:rule:3',
      'filter:FORWARD:policy:4',
    ]);
  });

  it('tells the observer which part of a rule did not fit', () => {
    const program = compile([
      chain('FORWARD', 'ACCEPT', [
        rule(DROP, { source: { address: [0, 0, 0, 0], mask: [0xff000000, 0, 0, 0], invert: false } }),
        rule(DROP, { inInterface: { name: 'eth+', invert: false } }),
        rule(DROP, { protocol: 17, protocolInvert: true }),
        rule(DROP, { fragment: true }),
      ]),
    ]);
    const steps: Step[] = [];
    new ReferenceEvaluator(program, (step) => steps.push(step), null).run(udp(), at);
    expect(steps.map((step) => (step.kind === 'rule' ? step.failed : step.kind))).toEqual([
      '-s',
      '-i',
      '-p',
      '-f',
      'policy',
    ]);
  });
});

describe('ip6tables -p behind AH', () => {
  const packet = (): Packet => {
    const bytes = new Uint8Array(40 + 16 + 8);
    bytes[0] = 0x60;
    bytes[6] = 51;
    bytes[40] = 17;
    bytes[41] = 2;
    const made = new Packet(6, bytes);
    decode(made);
    return made;
  };
  const table = (variant: 'legacy' | 'nft'): TableProgram =>
    compileTable(
      {
        name: 'filter',
        chains: [chain('FORWARD', 'ACCEPT', [rule(NONE, { protocol: 17 }), rule(NONE, { protocol: 51 })])],
      },
      6,
      variant,
      NO_EXTENSIONS,
      NO_MACHINE,
      (_key, make) => make(),
    );

  it.each([
    ['legacy', [1, 0, 1]],
    ['nft', [0, 1, 1]],
  ] as const)('%s', (variant, counted) => {
    const program = table(variant);
    new ProgramEvaluator(program, host.devices).run(packet(), { ...at, family: 6 });
    expect([...program.packets]).toEqual(counted);
  });
});

describe('the fast evaluator gives what the plain one gives', () => {
  const CHAINS = ['a', 'b', 'c'] as const;
  const word = fc.constantFrom(0x0a000001, 0x0a000002, 0xc0000201, 0);
  const mask = fc.constantFrom(0xffffffff, 0xffffff00, 0xff000000, 0x000000ff, 0);
  const address = fc.option(
    fc.record({ address: word, mask, invert: fc.boolean() }).map(({ address, mask, invert }) => ({
      address: [(address & mask) >>> 0, 0, 0, 0] as const,
      mask: [mask, 0, 0, 0] as const,
      invert,
    })),
  );
  const device = fc.option(fc.record({ name: fc.constantFrom('lo', 'l+', '+', 'eth0'), invert: fc.boolean() }));
  /** Chains only jump to later ones, so that there are no loops. */
  const target = (from: number): fc.Arbitrary<TargetUse> =>
    fc.oneof(
      fc.constant(NONE),
      fc.constantFrom<TargetUse>(ACCEPT, DROP, RETURN),
      ...CHAINS.slice(from).flatMap((name) => [
        fc.constant<TargetUse>({ kind: 'jump', chain: name }),
        fc.constant<TargetUse>({ kind: 'goto', chain: name }),
      ]),
    );
  const rules = (from: number): fc.Arbitrary<RuleSpec[]> =>
    fc.array(
      fc
        .record({
          target: target(from),
          protocol: fc.constantFrom(0, 6, 17),
          protocolInvert: fc.boolean(),
          source: address,
          destination: address,
          inInterface: device,
          outInterface: device,
          fragment: fc.constantFrom(null, true, false),
        })
        .map(({ target, ...parts }) => rule(target, parts)),
      { maxLength: 6 },
    );
  const packets = fc.array(
    fc.record({ source: word, destination: word, protocol: fc.constantFrom(1, 6, 17), out: fc.boolean() }),
    { minLength: 1, maxLength: 4 },
  );

  it('for random rules and packets', () => {
    fc.assert(
      fc.property(
        fc.tuple(rules(0), rules(1), rules(2), rules(3)),
        fc.constantFrom('ACCEPT' as const, 'DROP' as const),
        packets,
        ([base, ...others], policy, inputs) => {
          const chains = [chain('FORWARD', policy, base), ...CHAINS.map((name, i) => chain(name, null, others[i]!))];
          const plain = compile(chains);
          const fast = compile(chains);
          const reference = new ReferenceEvaluator(plain, null, null);
          const evaluator = new ProgramEvaluator(fast, host.devices);
          for (const { source, destination, protocol, out } of inputs) {
            const packet = compose(4, { source: [source], destination: [destination], protocol }, new Uint8Array(8));
            const state = { ...at, outDevice: out ? lo : null };
            expect(evaluator.run(packet, state)).toBe(reference.run(packet, state));
            expect(evaluator.decided).toBe(reference.decided);
          }
          expect([...fast.packets]).toEqual([...plain.packets]);
          expect([...fast.bytes]).toEqual([...plain.bytes]);
        },
      ),
    );
  });
});
