import { describe, expect, it } from 'vitest';
import { formatRuleset, RulesError } from '../syntax/save-format.ts';
import { makeRule, parseRuleset, ruleData } from './ruleset.ts';

const TEXT = `# two rules
*filter
:INPUT DROP [0:0]
:web - [0:0]

-A INPUT -p tcp --dport 80,443 -m multiport -j web
-A INPUT -s 10.0.0.1,10.0.0.2 -j ACCEPT
-I INPUT -i lo -j ACCEPT
COMMIT
`.replace('--dport 80,443 -m multiport', '-m multiport --dports 80,443');

describe('a ruleset as a value', () => {
  const ruleset = parseRuleset(TEXT);
  const table = ruleset.tables.get('filter')!;
  const { rules } = table.chains.get('INPUT')!;

  it('knows the line of each rule', () => {
    expect(rules.map(({ line }) => line)).toEqual([8, 6, 7, 7]);
  });

  it('gives rules as data', () => {
    expect(ruleData(rules[0]!, table)).toMatchObject({ inInterface: { name: 'lo', invert: false } });
    expect(ruleData(rules[1]!, table)).toMatchObject({
      protocol: 6,
      matches: [{ name: 'multiport' }],
      target: { kind: 'jump', chain: 'web' },
    });
  });

  it('takes rules as data and as text, and prints them', () => {
    const edited = parseRuleset(TEXT);
    const filter = edited.tables.get('filter')!;
    const spec = ruleData(rules[2]!, table);
    filter.chains
      .get('web')!
      .rules.push(
        makeRule({ ...spec, target: { kind: 'verdict', verdict: 'DROP' } }, filter),
        makeRule('-p tcp --syn -j RETURN', filter),
      );
    expect(formatRuleset(edited)).toContain(
      '[0:0] -A web -s 10.0.0.1/32 -j DROP\n[0:0] -A web -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN\n',
    );
    expect(formatRuleset(parseRuleset(formatRuleset(edited)))).toBe(formatRuleset(edited));
  });

  it('says where something is wrong', () => {
    const error = (text: string): RulesError => {
      try {
        parseRuleset(text);
      } catch (caught) {
        return caught as RulesError;
      }
      throw new Error('it is taken');
    };
    expect(error('*filter\n-A INPUT -p tcp --dprt 22 -j ACCEPT\nCOMMIT\n')).toMatchObject({ line: 2, column: 17 });
    expect(error('*filter\n-A INPUT -s 1.2.3.4/33\nCOMMIT\n')).toMatchObject({ line: 2, column: 21 });
    expect(error('*nosuch\n')).toMatchObject({ line: 1, column: 2 });
    expect(() => makeRule('-j', table)).toThrow(RulesError);
  });
});
