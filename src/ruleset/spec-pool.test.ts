import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RuleSpec } from './rule.ts';
import { SpecPool } from './spec-pool.ts';

const BLANK: RuleSpec = {
  family: 4,
  protocol: 6,
  protocolInvert: false,
  source: null,
  destination: null,
  inInterface: null,
  outInterface: null,
  fragment: null,
  matches: [],
  target: { kind: 'none' },
};

describe('rules that share what is alike', () => {
  it('say what they said before, whatever came earlier', () => {
    const data = fc.oneof(
      fc.record({ ports: fc.tuple(fc.nat(3), fc.nat(3)), invert: fc.boolean() }),
      fc.record({ bits: fc.uint8Array({ maxLength: 2 }) }),
      fc.record({ ports: fc.array(fc.nat(2), { maxLength: 2 }) }),
      fc.constant({}),
      fc.record({ comment: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f') }),
    );
    const use = fc.record({ name: fc.constantFrom('tcp', 'udp'), data });
    fc.assert(
      fc.property(fc.array(fc.array(use, { maxLength: 3 }), { maxLength: 20 }), (rules) => {
        const pool = new SpecPool();
        for (const matches of rules) {
          const spec = structuredClone({ ...BLANK, matches });
          expect(pool.share(spec)).toEqual({ ...BLANK, matches });
        }
      }),
    );
  });

  it('have one object for equal parts', () => {
    const pool = new SpecPool();
    const rule = (): RuleSpec => ({
      ...BLANK,
      source: { address: [0x0a000000, 0, 0, 0], mask: [0xff000000, 0, 0, 0], invert: false },
      matches: [{ name: 'conntrack', data: { states: 2 } }],
      target: { kind: 'verdict', verdict: 'ACCEPT' },
    });
    const [one, other] = [pool.share(rule()), pool.share(rule())];
    expect(other.source).toBe(one.source);
    expect(other.matches[0]).toBe(one.matches[0]);
    expect(other.target).toBe(one.target);
  });
});
