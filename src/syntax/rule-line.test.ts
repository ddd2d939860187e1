import { expect, it } from 'vitest';
import { lineOfRule } from './rule-line.ts';

const TEXT = `# comment
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -p tcp -j ACCEPT
COMMIT
*filter
:INPUT ACCEPT [0:0]
:OTHER - [0:0]

[1:60] -A INPUT -j OTHER
-A OTHER -j DROP
[2:120] -A INPUT -j DROP
COMMIT
`;

it('finds the line of a rule', () => {
  expect(lineOfRule(TEXT, 'filter', 'INPUT', 1)).toBe(10);
  expect(lineOfRule(TEXT, 'filter', 'INPUT', 2)).toBe(12);
  expect(lineOfRule(TEXT, 'filter', 'OTHER', 1)).toBe(11);
  expect(lineOfRule(TEXT, 'nat', 'PREROUTING', 1)).toBe(4);
});

it('gives no line where it would have to read the rules', () => {
  expect(lineOfRule(TEXT, 'filter', 'INPUT', 3)).toBeNull();
  expect(lineOfRule(TEXT.replace('-A OTHER', '-I OTHER'), 'filter', 'INPUT', 2)).toBeNull();
  expect(lineOfRule(TEXT.replace('-A OTHER', '-I OTHER'), 'nat', 'PREROUTING', 1)).toBe(4);
});
