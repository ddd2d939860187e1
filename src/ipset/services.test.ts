import { describe, expect, it } from 'vitest';
import type { HookState } from '../datapath/hooks.ts';
import { Hook } from '../datapath/hooks.ts';
import type { Device } from '../host/device.ts';
import { Packet } from '../packet/packet.ts';
import type { TraceSets } from './services.ts';
import { createSets } from './services.ts';
import { TEST_NAMES } from './tool/fixture.ts';

const clock = { now: 0 };

function sets(text: string): TraceSets {
  clock.now = 1e6;
  return createSets({ text, names: TEST_NAMES, clock, random: () => 7 });
}

function address(text: string): number {
  return text.split('.').reduce((word, part) => word * 256 + Number(part), 0);
}

interface Shape {
  src?: string;
  dst?: string;
  protocol?: number;
  /** Source port, destination port; type and code for ICMP. */
  ports?: readonly [number, number];
  length?: number;
  fragmentOffset?: number;
}

function packet({
  src = '10.0.0.1',
  dst = '10.0.0.2',
  protocol = 6,
  ports = [1000, 80],
  length = 60,
  ...rest
}: Shape): Packet {
  const made = new Packet(4, new Uint8Array(length));
  made.headerLength = 20;
  made.transport = 20;
  made.protocol = protocol;
  made.fragmentOffset = rest.fragmentOffset ?? 0;
  made.src[0] = address(src);
  made.dst[0] = address(dst);
  const icmp = protocol === 1;
  made.bytes.set(icmp ? ports : [ports[0] >> 8, ports[0] & 255, ports[1] >> 8, ports[1] & 255], 20);
  return made;
}

function at(inName: string | null = 'eth0', outName: string | null = null): HookState {
  const device = (name: string | null): Device | null => (name === null ? null : ({ name } as Device));
  return { hook: Hook.forward, family: 4, inDevice: device(inName), outDevice: device(outName) };
}

// Measured on Linux 6.18 or read off net/netfilter/ipset.
describe('sets in rules', () => {
  it('prefers the most specific network, and nomatch entries are exceptions', () => {
    const made = sets('create n hash:net\nadd n 10.0.0.0/8\nadd n 10.1.0.0/16 nomatch\nadd n 10.1.2.0/24\n');
    const source = made.tester('n', { directions: [true] });
    expect(['10.9.9.9', '10.1.9.9', '10.1.2.9', '11.0.0.1'].map((src) => source(packet({ src }), at()))).toEqual([
      true,
      false,
      true,
      false,
    ]);
    const exceptions = made.tester('n', { directions: [true], returnNomatch: true });
    expect(exceptions(packet({ src: '10.1.9.9' }), at())).toBe(true);
    expect(exceptions(packet({ src: '10.9.9.9' }), at())).toBe(false);
  });

  it('knows no port of other protocols, but an explicit PROTO:0', () => {
    const made = sets(
      'create p hash:ip,port\nadd p 10.0.0.1,tcp:1000\nadd p 10.0.0.1,gre:0\nadd p 10.0.0.1,icmp:8/0\ncreate b bitmap:port range 0-9000\nadd b 0\n',
    );
    const source = made.tester('p', { directions: [true, true] });
    expect(source(packet({}), at())).toBe(true);
    expect(source(packet({ protocol: 47 }), at())).toBe(true);
    expect(source(packet({ protocol: 50 }), at())).toBe(false);
    expect(source(packet({ protocol: 1, ports: [8, 0] }), at())).toBe(true);
    // A later fragment has no ports.
    expect(source(packet({ fragmentOffset: 8 }), at())).toBe(false);
    const negated = made.tester('b', { directions: [true], invert: true });
    expect(negated(packet({ protocol: 47 }), at())).toBe(true);
  });

  it('compares counters after counting the packet', () => {
    const made = sets('create c hash:ip counters\nadd c 10.0.0.1\n');
    const more = made.tester('c', { directions: [true], packets: { operator: 'gt', value: 1n } });
    expect([1, 2].map(() => more(packet({}), at()))).toEqual([false, true]);
    made.tester('c', { directions: [true], updateCounters: false })(packet({}), at());
    expect(made.toText()).toContain('add c 10.0.0.1 packets 2 bytes 120\n');
  });

  it('counts in members of a list unless told not to', () => {
    const text = 'create c hash:ip counters\nadd c 10.0.0.1\ncreate l list:set counters\nadd l c\n';
    const made = sets(text);
    made.tester('l', { directions: [true] })(packet({}), at());
    made.tester('l', { directions: [true], updateSubcounters: false })(packet({}), at());
    expect(made.toText()).toContain('add c 10.0.0.1 packets 1 bytes 60\n');
    expect(made.toText()).toContain('add l c packets 2 bytes 120\n');
  });

  it('lets elements go at their timeout and keeps those of timeout 0', () => {
    const made = sets('create t hash:ip timeout 10\nadd t 10.0.0.1 timeout 5\nadd t 10.0.0.2 timeout 0\n');
    const source = made.tester('t', { directions: [true] });
    clock.now = 5.9e6;
    expect(source(packet({}), at())).toBe(true);
    expect(made.toText()).toContain('add t 10.0.0.1 timeout 1\n');
    clock.now = 6e6;
    expect(source(packet({}), at())).toBe(false);
    expect(source(packet({ src: '10.0.0.2' }), at())).toBe(true);
    expect(made.toText()).not.toContain('add t 10.0.0.1 ');
  });

  it('adds without touching what is there, unless with exist', () => {
    const made = sets('create t hash:ip timeout 10\nadd t 10.0.0.1 timeout 5\n');
    made.adder('t', { directions: [true] })(packet({}), at());
    expect(made.toText()).toContain('add t 10.0.0.1 timeout 5\n');
    made.adder('t', { directions: [true], exist: true, timeout: 7 })(packet({}), at());
    expect(made.toText()).toContain('add t 10.0.0.1 timeout 7\n');
    made.deleter('t', { directions: [true] })(packet({}), at());
    expect(made.toText()).not.toContain('add t');
  });

  it('looks interfaces up by direction, ports of a bridge never', () => {
    const made = sets(
      'create i hash:net,iface\nadd i 10.0.0.0/8,eth0\nadd i 10.0.0.0/8,tap wildcard\nadd i 192.168.0.0/16,physdev:eth9\n',
    );
    const incoming = made.tester('i', { directions: [true, true] });
    expect(incoming(packet({}), at('eth0'))).toBe(true);
    expect(incoming(packet({}), at('tap7'))).toBe(true);
    expect(incoming(packet({}), at('eth1'))).toBe(false);
    expect(incoming(packet({ src: '192.168.1.1' }), at('eth9'))).toBe(false);
    expect(made.tester('i', { directions: [true, false] })(packet({}), at('eth1', 'eth0'))).toBe(true);
  });

  it('fills in the MAC address that a bitmap leaves open', () => {
    const made = sets('create m bitmap:ip,mac range 10.0.0.0/24\nadd m 10.0.0.1\nadd m 10.0.0.3,02:00:00:00:00:09\n');
    const test = made.tester('m', { directions: [true, true] });
    const from = packet({});
    from.linkHeader = new Uint8Array([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 5, 8, 0]);
    expect(test(from, at())).toBe(true);
    expect(made.toText()).toContain('add m 10.0.0.1,02:00:00:00:00:05\n');
    from.linkHeader[11] = 6;
    expect(test(from, at())).toBe(false);
    expect(test(packet({}), at())).toBe(false);
  });

  it('maps marks and priorities', () => {
    const made = sets('create s hash:ip skbinfo\nadd s 10.0.0.1 skbmark 0x5/0xff skbprio 1:2\n');
    const marked = packet({});
    marked.mark = 0x1234;
    made.mapper('s', { directions: [true], map: { mark: true, priority: true } })(marked, at());
    expect([marked.mark, marked.priority]).toEqual([0x1205, 0x10002]);
  });

  it('throws an element out of a full set with forceadd', () => {
    const made = createSets({
      text: 'create f hash:ip maxelem 1 hashsize 64 initval 0\nadd f 10.0.0.1\n',
      places: { forceadd: ['f'] },
      names: TEST_NAMES,
      clock,
      random: () => 7,
    });
    const add = made.adder('f', { directions: [true] });
    for (let i = 2; i < 250; i++) add(packet({ src: `10.0.0.${i}` }), at());
    expect(made.toText().match(/^add/gm)).toHaveLength(1);
    expect(made.toText()).not.toContain('add f 10.0.0.1\n');
  });
});
