import { describe, expect, it } from 'vitest';
import { parseCaseFile } from './case-file.ts';

const CASE = '{ packet: "in=eth0 tcp 192.0.2.7:1 > 192.0.2.1:22", expect: dropped }';

describe('a file of cases', () => {
  it('names packets, what comes before them, and what is expected', () => {
    const file = parseCaseFile(
      `dir: state
variant: legacy
cases:
  - name: first
    before: [ "in=eth1 udp 10.0.0.5:5000 > 198.51.100.7:53" ]
    packet: { in: eth0, proto: udp, src: "198.51.100.7:53", dst: "192.0.2.1:5000", ttl: 9 }
    expect: { verdict: forwarded, rule: "established" }
  - flow: in=eth0 tcp 198.51.100.7:40000 > 192.0.2.1:80
    continue: true
    expect: { rule: filter/FORWARD/2, emitted: 1 }
`,
      'c.yaml',
    );
    expect(file).toMatchObject({ dir: 'state', variant: 'legacy', rules: null });
    const [first, second] = file.cases;
    expect(first).toMatchObject({
      name: 'first',
      line: 4,
      continued: false,
      items: [{ line: { kind: 'packet', packet: { in: 'eth0', ttl: 9, sourcePort: 53 } } }],
      expectation: { verdict: 'forwarded', rule: { kind: 'text', text: 'established' } },
    });
    expect(first!.before).toHaveLength(1);
    expect(second).toMatchObject({
      name: 'case 2',
      continued: true,
      items: [{ line: { kind: 'flow' } }],
      expectation: { rule: { kind: 'place', table: 'filter', chain: 'FORWARD', rule: 2 }, emitted: 1 },
    });
  });

  it.each([
    ['', 'c.yaml:1: the file is empty; expected a list "cases:"'],
    ['- a\n', 'c.yaml:1: expected a mapping with the key "cases"'],
    ['rules: x\n', 'c.yaml:1: expected a list "cases:"'],
    [`cases: [${CASE}]\nruls: x\n`, 'c.yaml:2: unknown key "ruls" at the top; known are dir, rules'],
    ['variant: nftables\ncases: []\n', 'c.yaml:1: variant "nftables": expected legacy or nft'],
    ['cases:\n  - { expect: dropped }\n', 'c.yaml:2: the case has no packet, packets or flow'],
    ['cases:\n  - { packet: "x > y" }\n', 'c.yaml:2: no protocol before the source'],
    ['cases:\n  - packet: "udp 1.1.1.1:1 > 2.2.2.2:2"\n', 'c.yaml:2: the case has no "expect"'],
    ['cases:\n  - packet: "udp 1.1.1.1:1 > 2.2.2.2:2"\n    flow: x\n    expect: sent\n', 'c.yaml:3: a case has one of'],
    ['cases:\n  - packet: 5\n    expect: sent\n', 'c.yaml:2: expected a packet like'],
    ['cases: [\n', 'c.yaml:'],
  ])('says what is wrong with %j', (text, message) => {
    expect(() => parseCaseFile(text, 'c.yaml')).toThrow(message);
  });
});
