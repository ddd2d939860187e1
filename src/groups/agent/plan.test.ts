import { describe, expect, it } from 'vitest';
import type { HostRules } from '../compile.ts';
import { type HostState, planHost } from './plan.ts';
import { STAGES } from './stages.ts';
import { readCompiled } from './tables.ts';

/** A host with one machine, whose chain for what comes in has these rules. */
function rulesOf(rules: readonly string[], sets = ''): HostRules {
  const rules4 = [
    '*filter',
    ':FORWARD ACCEPT [0:0]',
    ':neutron-openvswi-FORWARD - [0:0]',
    ':neutron-openvswi-iv - [0:0]',
    '-A FORWARD -j neutron-openvswi-FORWARD',
    '-A neutron-openvswi-FORWARD -m physdev --physdev-out tapv -j neutron-openvswi-iv',
    ...rules.map((rule) => `-A neutron-openvswi-iv ${rule}`),
    '-A neutron-openvswi-iv -j DROP',
    'COMMIT',
    '',
  ].join('\n');
  return { host: 'h', sets, rules4, rules6: '', frames: '' };
}

function stateOf({ rules4, sets }: HostRules): HostState {
  return { tables4: readCompiled(rules4), tables6: new Map(), sets };
}

/** All lines of a change, by stage. */
function change(from: HostRules, to: HostRules): Record<string, string[]> {
  const { stages } = planHost(stateOf(from), to);
  return Object.fromEntries(
    STAGES.map((stage) => [
      stage,
      stages[stage].flatMap((command) => (command.tool === 'conntrack' ? [] : command.lines)),
    ]),
  );
}

const chain = 'neutron-openvswi-iv';
const set = (name: string, ...elements: string[]): string =>
  [
    `create ${name} hash:net family inet hashsize 1024 maxelem 65536`,
    ...elements.map((text) => `add ${name} ${text}`),
    '',
  ].join('\n');

describe('what a rule lets through', () => {
  const tcp = (ports: string): string => `-p tcp -m tcp -m multiport --dports ${ports} -j RETURN`;

  it('goes in the stage close, comes in the stage open', () => {
    expect(change(rulesOf([tcp('1:2'), tcp('5:6')]), rulesOf([tcp('5:6'), tcp('8:9')]))).toEqual({
      close: [`-D ${chain} 1`],
      open: [`-I ${chain} 2 ${tcp('8:9')}`],
      clean: [],
    });
  });

  it('never is away where it stays allowed: a narrower rule comes early, for a wider one the old stays', () => {
    expect(change(rulesOf([tcp('1:9')]), rulesOf([tcp('2:8')]))).toEqual({
      close: [`-D ${chain} 1`, `-I ${chain} 1 ${tcp('2:8')}`],
      open: [],
      clean: [],
    });
    expect(change(rulesOf([tcp('2:8')]), rulesOf([tcp('1:9')]))).toEqual({
      close: [],
      open: [`-D ${chain} 1`, `-I ${chain} 1 ${tcp('1:9')}`],
      clean: [],
    });
  });

  it('is bridged where old and new rules overlap', () => {
    const bridge = '-p tcp -m multiport --dports 5:6 -j RETURN';
    expect(change(rulesOf([tcp('1:6')]), rulesOf([tcp('5:9')]))).toEqual({
      close: [`-D ${chain} 1`, `-I ${chain} 1 ${bridge}`],
      open: [`-D ${chain} 1`, `-I ${chain} 1 ${tcp('5:9')}`],
      clean: [],
    });
  });
});

describe('sets', () => {
  const from = (name: string, port = 80): string =>
    `-p tcp -m tcp --dport ${port} -m set --match-set ${name} src -j RETURN`;

  it('lose members first, get members last', () => {
    const rules = [from('NIPv4A')];
    expect(
      change(
        rulesOf(rules, set('NIPv4A', '10.0.0.1', '10.0.0.2')),
        rulesOf(rules, set('NIPv4A', '10.0.0.2', '10.0.0.3')),
      ),
    ).toEqual({ close: ['del NIPv4A 10.0.0.1'], open: ['add NIPv4A 10.0.0.3'], clean: [] });
  });

  it('take a member over from another early where that allowed as much, keep it where the other will', () => {
    const before = set('NIPv4A', '10.0.0.1', '10.0.0.2') + set('NIPv4B', '10.0.0.3');
    const after = set('NIPv4A', '10.0.0.2') + set('NIPv4B', '10.0.0.1', '10.0.0.3');
    const early = [from('NIPv4A'), from('NIPv4A', 81), from('NIPv4B')];
    expect(change(rulesOf(early, before), rulesOf(early, after))).toEqual({
      close: ['add NIPv4B 10.0.0.1', 'del NIPv4A 10.0.0.1'],
      open: [],
      clean: [],
    });
    const late = [from('NIPv4A'), from('NIPv4B'), from('NIPv4B', 81)];
    expect(change(rulesOf(late, before), rulesOf(late, after))).toEqual({
      close: [],
      open: ['add NIPv4B 10.0.0.1', 'del NIPv4A 10.0.0.1'],
      clean: [],
    });
  });

  it('are replaced at once where they must hold more', () => {
    const rules = [from('NIPv4A')];
    const larger = set('NIPv4A', '10.0.0.2', '10.0.0.3').replace('65536', '131072');
    expect(change(rulesOf(rules, set('NIPv4A', '10.0.0.1', '10.0.0.2')), rulesOf(rules, larger))).toEqual({
      close: [
        'del NIPv4A 10.0.0.1',
        'create NIPv4+spare hash:net family inet hashsize 1024 maxelem 131072',
        'add NIPv4+spare 10.0.0.2',
        'swap NIPv4+spare NIPv4A',
        'destroy NIPv4+spare',
      ],
      open: ['add NIPv4A 10.0.0.3'],
      clean: [],
    });
    const killed = set('NIPv4A', '10.0.0.2') + set('NIPv4+spare', '10.0.0.9');
    expect(change(rulesOf(rules, killed), rulesOf(rules, set('NIPv4A', '10.0.0.2')))).toEqual({
      close: ['destroy NIPv4+spare'],
      open: [],
      clean: [],
    });
  });

  it('are filled before rules name them, whatever an agent left behind; they go when nothing names them', () => {
    expect(
      change(rulesOf([], set('NIPv4A', '10.0.0.7')), rulesOf([from('NIPv4A')], set('NIPv4A', '10.0.0.1'))),
    ).toEqual({
      close: ['del NIPv4A 10.0.0.7', 'add NIPv4A 10.0.0.1'],
      open: [`-I ${chain} 1 ${from('NIPv4A')}`],
      clean: [],
    });
    expect(change(rulesOf([from('NIPv4A')], set('NIPv4A', '10.0.0.1')), rulesOf([]))).toEqual({
      close: [`-D ${chain} 1`],
      open: [],
      clean: ['destroy NIPv4A'],
    });
  });

  it('an exception comes first and goes last', () => {
    const rules = [from('EIPv4x')];
    const [whole, except] = [set('EIPv4x', '10.0.0.0/8'), set('EIPv4x', '10.0.0.0/8', '10.1.0.0/16 nomatch')];
    expect(change(rulesOf(rules, whole), rulesOf(rules, except)).close).toEqual(['add EIPv4x 10.1.0.0/16 nomatch']);
    expect(change(rulesOf(rules, except), rulesOf(rules, whole)).open).toEqual(['del EIPv4x 10.1.0.0/16']);
  });
});

describe('a machine that is gone', () => {
  it('is under its rules until the stage clean', () => {
    const none: HostRules = { host: 'h', sets: '', rules4: '', rules6: '', frames: '' };
    expect(change(rulesOf(['-j RETURN']), none)).toEqual({
      close: [],
      open: [],
      clean: [
        '-D FORWARD 1',
        '-F neutron-openvswi-FORWARD',
        '-F neutron-openvswi-iv',
        '-X neutron-openvswi-FORWARD',
        '-X neutron-openvswi-iv',
      ],
    });
  });
});
