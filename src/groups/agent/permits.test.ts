import { describe, expect, it } from 'vitest';
import { covers, intersection, isKnownRule, permitRule, readPermit } from './permits.ts';

const permit = (rule: string) => readPermit(`${rule} -j RETURN`.trim())!;

describe('rules that let something through', () => {
  it.each([
    '-s 10.0.0.0/8 -p tcp',
    '-d 2001:db8::/32 -p ipv6-icmp -m icmp6 --icmpv6-type 128/0',
    '-p icmp -m icmp --icmp-type 3',
    '-p udp -m multiport --dports 5000:5010 -m set --match-set NIPv4A src',
    '-m state --state RELATED,ESTABLISHED',
    '-m set --match-set NIPv4A src -m set --match-set PIPv4b src',
    '',
  ])('%s is read and written again', (rule) => {
    expect(permitRule(permit(rule))).toBe(`${rule} -j RETURN`.trim());
  });

  it('comments and a bare -m tcp say nothing; what holds up is none', () => {
    const long = '-p tcp -m tcp -m multiport --dports 80:90 -m comment --comment "a \\"b\\" -s 10.0.0.1" -j RETURN';
    expect(readPermit(long)).toEqual(permit('-p tcp -m multiport --dports 80:90'));
    expect(readPermit('-p tcp -m tcp --dport 80 -j RETURN')).toEqual(permit('-p tcp -m multiport --dports 80'));
    for (const rule of ['-j DROP', '-m state --state INVALID -j DROP', '-j neutron-openvswi-sg-fallback']) {
      expect(readPermit(rule)).toBeNull();
    }
    expect(isKnownRule(permit('-m state --state RELATED,ESTABLISHED'))).toBe(true);
  });

  it.each([
    ['', '-p tcp -m tcp --dport 22', true],
    ['-p tcp', '-s 10.0.0.1/32 -p tcp -m tcp --dport 22', true],
    ['-p tcp -m multiport --dports 20:25', '-p tcp -m tcp --dport 22', true],
    ['-p tcp -m tcp --dport 22', '-p tcp -m multiport --dports 20:25', false],
    ['-s 10.0.0.0/8', '-s 10.1.0.0/16 -p udp', true],
    ['-s 10.1.0.0/16', '-s 10.0.0.0/8', false],
    ['-p icmp -m icmp --icmp-type 3', '-p icmp -m icmp --icmp-type 3/4', true],
    ['-p icmp -m icmp --icmp-type 3/4', '-p icmp -m icmp --icmp-type 3', false],
    ['-m set --match-set A src', '-p tcp -m set --match-set A src', true],
    ['-m set --match-set A src', '-p tcp -m set --match-set B src', false],
    ['-m set ! --match-set A src', '-m set --match-set A src', false],
  ])('"%s" covers "%s": %s', (outer, inner, expected) => {
    expect(covers(permit(outer), permit(inner))).toBe(expected);
  });

  it.each([
    [
      '-p tcp -m multiport --dports 20:80',
      '-s 10.0.0.0/8 -p tcp -m multiport --dports 70:90',
      '-s 10.0.0.0/8 -p tcp -m multiport --dports 70:80',
    ],
    ['-s 10.0.0.0/8', '-s 10.1.0.0/16 -m set --match-set A src', '-s 10.1.0.0/16 -m set --match-set A src'],
    [
      '-m set --match-set A src',
      '-p udp -m set --match-set B src',
      '-p udp -m set --match-set A src -m set --match-set B src',
    ],
    ['-p tcp', '-p udp', null],
    ['-s 10.0.0.0/8', '-s 172.16.0.0/12', null],
    ['-p tcp -m tcp --dport 1', '-p tcp -m tcp --dport 2', null],
  ])('"%s" and "%s" both', (a, b, expected) => {
    for (const both of [intersection(permit(a), permit(b)), intersection(permit(b), permit(a))]) {
      if (expected === null) expect(both).toBeNull();
      else {
        expect(covers(both!, permit(expected))).toBe(true);
        expect(covers(permit(expected), both!)).toBe(true);
      }
    }
  });
});
