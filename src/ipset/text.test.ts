import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SetKernel } from './kernel.ts';
import { loadSets, placesOf, readSetHeaders, SetTextError, saveSets, setReferences } from './text.ts';
import { TEST_NAMES, ToolBench } from './tool/fixture.ts';

function load(text: string, places = {}): SetKernel {
  const kernel = new SetKernel({ clock: { now: 0 }, random: () => 1 });
  loadSets(kernel, text, TEST_NAMES, places);
  return kernel;
}

const octet = fc.integer({ min: 1, max: 254 });
const ip = fc.tuple(octet, octet, octet, octet).map((parts) => parts.join('.'));
const net = fc.tuple(ip, fc.integer({ min: 1, max: 32 })).map(([address, prefix]) => `${address}/${prefix}`);
const port = fc
  .tuple(fc.constantFrom('tcp', 'udp', 'sctp', 'udplite'), fc.integer({ min: 0, max: 65535 }))
  .map(([protocol, number]) => `${protocol}:${number}`);
const mac = fc
  .array(fc.integer({ min: 1, max: 255 }), { minLength: 6, maxLength: 6 })
  .map((bytes) => bytes.map((b) => b.toString(16)).join(':'));
const join = (...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.tuple(...parts).map((each) => each.join(','));

const TYPES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  'hash:ip': ip,
  'hash:mac': mac,
  'hash:ip,mac': join(ip, mac),
  'hash:ip,mark': join(ip, fc.integer({ min: 1, max: 0xffffffff }).map(String)),
  'hash:ip,port': join(ip, port),
  'hash:ip,port,ip': join(ip, port, ip),
  'hash:ip,port,net': join(ip, port, net),
  'hash:net': net,
  'hash:net,net': join(net, net),
  'hash:net,iface': join(net, fc.constantFrom('eth0', 'eth1', 'physdev:tap0')),
  'hash:net,port': join(net, port),
  'hash:net,port,net': join(net, port, net),
  'bitmap:port range 0-65535': fc.integer({ min: 0, max: 65535 }).map(String),
};

describe('text of sets', () => {
  it.each(Object.keys(TYPES))('%s: reading what was saved changes nothing', (type) => {
    const element = TYPES[type]!;
    fc.assert(
      fc.property(fc.uniqueArray(element, { maxLength: 40 }), fc.boolean(), (elements, extended) => {
        const bench = new ToolBench();
        bench.run(`create s ${type}${extended ? ' timeout 100 counters comment skbinfo' : ''}`);
        for (const [i, each] of elements.entries()) {
          const extras = extended ? ` timeout ${i} packets ${i} comment "c ${i}" skbmark 0x${i.toString(16)}` : '';
          bench.run(`-exist add s ${each}${extras}`);
        }
        const text = saveSets(bench.kernel, TEST_NAMES);
        expect(saveSets(load(text), TEST_NAMES)).toBe(text);
      }),
      { numRuns: 25 },
    );
  });

  it('keeps places and forceadd beside the text', () => {
    const bench = new ToolBench();
    for (const line of ['create a hash:ip', 'create b hash:ip forceadd', 'create c hash:ip', 'destroy a'])
      bench.run(line);
    const places = placesOf(bench.kernel)!;
    expect(places).toEqual({ places: { b: 1, c: 2 }, forceadd: ['b'] });
    const again = load(saveSets(bench.kernel, TEST_NAMES), places);
    again.create('d', 'hash:ip', 4, {}, false);
    expect(again.all().map((set) => set.name)).toEqual(['d', 'b', 'c']);
  });

  it('takes in 0.0.0.0, which a range can add but a command alone cannot', () => {
    const bench = new ToolBench();
    expect(bench.run('create z hash:ip').status).toBe(0);
    expect(bench.run('add z 0.0.0.0').err).toContain('Null-valued element');
    expect(bench.run('add z 0.0.0.1/30').status).toBe(0);
    const text = saveSets(bench.kernel, TEST_NAMES);
    expect(text).toContain('add z 0.0.0.0\n');
    expect(saveSets(load(text), TEST_NAMES)).toBe(text);
  });

  it('names the line that cannot be read', () => {
    expect(() => load('create s hash:ip\nadd s 1.2.3.4\nadd s foo\n')).toThrow(SetTextError);
    try {
      load('create s hash:ip\nadd s 1.2.3.4\nadd s foo\n');
    } catch (error) {
      expect((error as SetTextError).line).toBe(3);
    }
  });

  it('reads headers and counts references', () => {
    expect(
      readSetHeaders('create a hash:net,port family inet6 hashsize 64\nadd a ::1,80\ncreate l list:set size 8\n'),
    ).toEqual([
      { name: 'a', typeName: 'hash:net,port', dimension: 2, family: 6 },
      { name: 'l', typeName: 'list:set', dimension: 1, family: 0 },
    ]);
    const rules = '-A INPUT -m set ! --match-set a src,dst -j SET --add-set l src --del-set a dst\n';
    expect([...setReferences(rules)]).toEqual([
      ['a', 2],
      ['l', 1],
    ]);
  });
});

describe('parts of seconds', () => {
  it.each([
    ['bitmap:port range 1-10', '5'],
    ['hash:ip', '10.0.0.1'],
    ['hash:net', '10.0.0.0/8'],
    ['list:set', 'other'],
  ])('%s: an element lives on to the moment at which it would have died', (type, element) => {
    const clock = { now: 1e6 };
    const text = `create other hash:mac\ncreate s ${type} timeout 100\nadd s ${element} timeout 3\n`;
    const kernel = new SetKernel({ clock, random: () => 1 });
    loadSets(kernel, text, TEST_NAMES);
    clock.now += 400_000;
    const places = placesOf(kernel)!;
    expect(places.fractions).toEqual({ s: [600_000] });
    const again = new SetKernel({ clock, random: () => 1 });
    loadSets(again, saveSets(kernel, TEST_NAMES), TEST_NAMES, places);
    clock.now += 2_599_999;
    expect(saveSets(again, TEST_NAMES)).toContain(`add s ${element} timeout 1\n`);
    clock.now += 1;
    expect(saveSets(again, TEST_NAMES)).not.toContain('add s');
  });
});
