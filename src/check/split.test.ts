import { describe, expect, it } from 'vitest';
import { parseLine } from '../packet/notation/flow.ts';
import { formatPacket } from '../packet/notation/format.ts';
import { readRepeat, repetition } from '../trace/repeat.ts';
import { parseCaseFile } from './case-file.ts';
import type { Observed } from './judge.ts';
import { readSplits, Tally } from './split.ts';

const item = (text: string) => ({ line: parseLine(text), label: text });
const packetOf = (written: ReturnType<typeof item>) =>
  formatPacket(written.line.kind === 'packet' ? written.line.packet : written.line.flow.first);

describe('repeat', () => {
  it('counts up what varies, the first fastest', () => {
    const repeat = readRepeat({ times: 5, source: '10.0.0.1-10.0.0.2', 'source-port': '7-9', every: '0.1ms' });
    const packets = [0, 1, 2, 4].map((i) => packetOf(repetition(item('udp 10.0.0.9:1 > 10.0.1.1:53'), repeat, i)));
    expect(packets.map((text) => text.match(/10\.0\.0\.\d+:\d+/)?.[0])).toEqual([
      '10.0.0.1:7',
      '10.0.0.2:7',
      '10.0.0.1:8',
      '10.0.0.1:9',
    ]);
    const { line } = repetition(item('udp 10.0.0.9:1 > 10.0.1.1:53'), repeat, 1);
    expect(line.kind === 'packet' && line.packet.time).toEqual({ after: 100 });
  });

  it('takes prefixes of both families', () => {
    const repeat = readRepeat({ times: 256, destination: '2001:db8::/120' });
    const packet = packetOf(repetition(item('tcp [2001:db8:1::1]:5 > [2001:db8::1]:80'), repeat, 255));
    expect(packet).toContain('[2001:db8::ff]:80');
  });

  it.each([
    [{}, 'repeat: how often?'],
    [{ times: 0 }, 'times: expected a whole number'],
    [{ times: 5, source: '10.0.0.0/30' }, 'the ranges have only 4 different connections'],
    [{ times: 5, source: '10.0.0.0/33' }, 'source: expected a prefix'],
    [{ times: 5, 'source-port': '9-3' }, 'source-port: expected ports'],
    [{ times: 5, sport: '9-3' }, 'unknown key "sport"'],
    [{ times: 5, every: 'x' }, 'every: expected a duration'],
  ])('refuses %j', (value, message) => {
    expect(() => readRepeat(value)).toThrow(message);
  });

  it('cannot vary what the packet does not have', () => {
    const ports = readRepeat({ times: 2, 'source-port': '1-2' });
    expect(() => repetition(item('icmp 10.0.0.1 > 10.0.0.2'), ports, 0)).toThrow('the packet has no ports');
    const addresses = readRepeat({ times: 2, source: '2001:db8::/64' });
    expect(() => repetition(item('icmp 10.0.0.1 > 10.0.0.2'), addresses, 0)).toThrow('the packet is IPv4');
  });
});

describe('split', () => {
  const tally = (split: unknown, verdicts: readonly string[]) => {
    const counted = new Tally(readSplits(split, verdicts.length)[0]!);
    for (const verdict of verdicts) counted.add({ verdict } as Observed);
    return counted.failures().map(({ expected, got }) => `${expected}, got ${got}`);
  };

  it('asks for numbers, shares and ranges', () => {
    const verdicts = ['sent', 'sent', 'sent', 'dropped'];
    expect(tally({ by: 'verdict', among: { sent: 3, dropped: '25%' } }, verdicts)).toEqual([]);
    expect(tally({ by: 'verdict', among: { sent: '2-3', dropped: '0%-50%' }, groups: 2 }, verdicts)).toEqual([]);
    expect(tally({ by: 'verdict', each: 2, within: '50%' }, verdicts)).toEqual([]);
    expect(tally({ by: 'verdict', each: 2 }, verdicts)).toEqual([
      'verdict sent: 2, got 3',
      'verdict dropped: 2, got 1',
    ]);
    expect(tally({ by: 'verdict', among: { sent: 3 } }, verdicts)).toEqual(['verdict dropped: 0, got 1']);
    expect(tally({ by: 'verdict', groups: '3-4' }, verdicts)).toEqual(['different by verdict: 3 to 4, got 2']);
  });

  it.each([
    [5, 'split: a mapping like'],
    [{ by: 'port' }, 'by "port": expected one of verdict, queue'],
    [{ by: 'queue' }, 'split says nothing'],
    [{ by: 'queue', each: 'many' }, 'each: expected a number'],
    [{ by: 'queue', each: 1, within: 5 }, 'within: expected a percentage'],
    [{ by: 'queue', evenly: true }, 'unknown key "evenly"'],
  ])('refuses %j', (value, message) => {
    expect(() => readSplits(value, 10)).toThrow(message);
  });

  it('stands in a case with repeat', () => {
    const text = (rest: string) =>
      `seed: 3\nqueues: { 50-58: accept }\ncases:\n  - packet: udp 10.0.0.1:1 > 10.0.0.2:2\n${rest}`;
    const file = parseCaseFile(text('    repeat: { times: 3 }\n    split: { by: verdict, each: 3 }\n'), 'c.yaml');
    expect(file).toMatchObject({
      seed: 3,
      queues: ['50-58=accept'],
      cases: [{ expectation: null, repeat: { times: 3 } }],
    });
    expect(() => parseCaseFile(text('    split: { by: verdict, each: 3 }\n'), 'c.yaml')).toThrow(
      'c.yaml:5: split: of one',
    );
    expect(() => parseCaseFile(text('    expect: sent\n    repeat: { times: x }\n'), 'c.yaml')).toThrow(
      'c.yaml:6: times:',
    );
  });
});
