import { describe, expect, it } from 'vitest';
import { decode } from '../../packet/decode.ts';
import { reciprocalScale } from '../../packet/jhash.ts';
import { buildPacket } from '../../packet/notation/build.ts';
import { parseLine } from '../../packet/notation/flow.ts';
import { Packet } from '../../packet/packet.ts';
import { queueHash } from './NFQUEUE.ts';

/**
 * Into which of 64 queues Linux 6.18 put UDP packets between these addresses (`--queue-balance 0:63`, one listener on all). Of all 2^32 seeds that the
 * kernel may have drawn exactly one explains them, and 48 more, in both families.
 */
const SEED = 1809045615;
const RECORDED: [number, string, string][] = [
  [35, '127.0.0.1', '127.3.1.5'],
  [56, '127.0.0.2', '127.3.2.10'],
  [4, '127.0.0.3', '127.3.3.15'],
  [35, '127.0.0.4', '127.3.4.20'],
  [20, '127.0.0.5', '127.3.5.25'],
  [21, '127.0.0.6', '127.3.6.30'],
  [8, '127.0.0.7', '127.3.7.35'],
  [37, '127.0.0.8', '127.3.8.40'],
  [0, '127.0.0.9', '127.3.9.45'],
  [32, '127.0.0.10', '127.3.10.50'],
  [59, '127.0.0.11', '127.3.11.55'],
  [3, '127.0.0.12', '127.3.12.60'],
  [3, '127.0.0.13', '127.3.13.65'],
  [49, '127.0.0.14', '127.3.14.70'],
  [23, '127.0.0.15', '127.3.15.75'],
  [25, '127.0.0.16', '127.3.16.80'],
  [15, '127.0.0.17', '127.3.17.85'],
  [17, '127.0.0.18', '127.3.18.90'],
  [23, '127.0.0.19', '127.3.19.95'],
  [17, '127.0.0.20', '127.3.20.100'],
  [56, '127.0.0.21', '127.3.21.105'],
  [9, '127.0.0.22', '127.3.22.110'],
  [54, '127.0.0.23', '127.3.23.115'],
  [26, '127.0.0.24', '127.3.24.120'],
  [15, '2001:db8:1::1', '2001:db8:2::2'],
  [2, '2001:db8:1::1', '2001:db8:3::3'],
  [16, '2001:db8:1::1', '2001:db8:4::4'],
  [17, '2001:db8:1::1', '2001:db8:5::5'],
  [41, '2001:db8:1::1', '2001:db8:6::6'],
  [4, '2001:db8:1::1', '2001:db8:7::7'],
  [10, '2001:db8:1::1', '2001:db8:8::8'],
  [15, '2001:db8:2::2', '2001:db8:1::1'],
  [55, '2001:db8:2::2', '2001:db8:3::3'],
  [5, '2001:db8:2::2', '2001:db8:4::4'],
  [33, '2001:db8:2::2', '2001:db8:5::5'],
  [51, '2001:db8:2::2', '2001:db8:6::6'],
  [49, '2001:db8:2::2', '2001:db8:7::7'],
  [52, '2001:db8:2::2', '2001:db8:8::8'],
  [2, '2001:db8:3::3', '2001:db8:1::1'],
  [55, '2001:db8:3::3', '2001:db8:2::2'],
  [3, '2001:db8:3::3', '2001:db8:4::4'],
  [59, '2001:db8:3::3', '2001:db8:5::5'],
  [17, '2001:db8:3::3', '2001:db8:6::6'],
  [62, '2001:db8:3::3', '2001:db8:7::7'],
  [25, '2001:db8:3::3', '2001:db8:8::8'],
  [16, '2001:db8:4::4', '2001:db8:1::1'],
  [5, '2001:db8:4::4', '2001:db8:2::2'],
  [3, '2001:db8:4::4', '2001:db8:3::3'],
];

function hashOf(source: string, destination: string, protocol = 'udp'): number {
  const ends = source.includes(':') ? `[${source}]:7 > [${destination}]:9` : `${source}:7 > ${destination}:9`;
  const line = parseLine(`${protocol} ${ends}`);
  if (line.kind !== 'packet') throw new Error('not a packet');
  const packet = new Packet(line.packet.family, buildPacket(line.packet));
  decode(packet);
  return queueHash(packet, packet.family, SEED);
}

describe('the hash of --queue-balance', () => {
  it.each(RECORDED)('queue %i: %s and %s, in either direction', (queue, source, destination) => {
    expect(reciprocalScale(hashOf(source, destination), 64)).toBe(queue);
    expect(reciprocalScale(hashOf(destination, source), 64)).toBe(queue);
  });

  it('looks at the protocol of IPv4, not of IPv6', () => {
    expect(hashOf('10.0.0.1', '10.0.0.2', 'tcp')).not.toBe(hashOf('10.0.0.1', '10.0.0.2', 'udp'));
    expect(hashOf('2001:db8::1', '2001:db8::2', 'tcp')).toBe(hashOf('2001:db8::1', '2001:db8::2', 'udp'));
  });
});
