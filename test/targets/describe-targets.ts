import { describe, expect, it } from 'vitest';
import { NO_NAMES } from '../../src/extensions/no-names.ts';
import { findTarget } from '../../src/extensions/registry.ts';
import type { Family } from '../../src/packet/family.ts';
import { emptyRule } from '../../src/ruleset/rule.ts';
import {
  beginUse,
  finishUse,
  type MutableParseContext,
  optionsOf,
  takeOption,
} from '../../src/syntax/extension-use.ts';

/** What iptables 1.8.9 (legacy) makes of a rule: its part of -S, of -L -n and of -L, or its message. */
type Vector = { family: Family; rule: string } & (
  | { save: string; numeric: string; listed: string }
  | { error: string }
);

const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17 };

/** Reads `[-p PROTOCOL] [--syn] -j TARGET OPTIONS` with the option engine. */
function read(family: Family, text: string) {
  const words = text.split(' ');
  const rule = { ...emptyRule(family), protocol: words[0] === '-p' ? PROTOCOLS[words[1]!]! : 0 };
  const context: MutableParseContext = {
    family,
    variant: 'legacy',
    table: 'filter',
    names: NO_NAMES,
    rule,
    seen: new Set(),
    warn() {},
    setByName: () => undefined,
  };
  const at = words.indexOf('-j');
  const target = findTarget(words[at + 1]!, family)!;
  const use = beginUse(target, context);
  const { byName } = optionsOf(target);
  for (let i = at + 2; i < words.length; i++) {
    const option = byName.get(words[i]!.slice(2))!;
    const argument = option.need === 'none' ? null : words[++i]!;
    takeOption(use, option.id.declaration, false, argument, undefined, context);
  }
  finishUse(use, context);
  const print = (numeric: boolean) => ({ family, variant: 'legacy' as const, numeric, names: NO_NAMES, rule });
  return {
    save: target.save(use.data, print(true)),
    numeric: target.print(use.data, print(true)),
    listed: target.print(use.data, print(false)),
    data: use.data,
    target,
  };
}

/** Targets as iptables 1.8.9 reads and writes them. */
export function describeTargets(what: string, vectors: readonly Vector[]): void {
  describe(what, () => {
    it.each(vectors)('IPv$family $rule', (vector) => {
      if ('error' in vector) {
        expect(() => read(vector.family, vector.rule)).toThrow(vector.error);
        return;
      }
      const { save, numeric, listed } = read(vector.family, vector.rule);
      expect({ save, numeric, listed }).toEqual({ save: vector.save, numeric: vector.numeric, listed: vector.listed });
    });

    it('reads back what it saves, as the same', () => {
      for (const vector of vectors) {
        if ('error' in vector || vector.save.includes('"')) continue;
        const first = read(vector.family, vector.rule);
        const protocol = vector.rule.startsWith('-p') ? vector.rule.slice(0, vector.rule.indexOf('-j')) : '';
        const again = read(vector.family, `${protocol}-j ${first.target.name}${first.save}`);
        const same =
          first.target.same?.(first.data, again.data) ?? JSON.stringify(first.data) === JSON.stringify(again.data);
        expect([vector.rule, same]).toEqual([vector.rule, true]);
      }
    });
  });
}
