import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex } from './bytes.ts';
import { decode, findHeader6 } from './decode.ts';
import type { Family } from './family.ts';
import { buildIpv4 } from './ipv4.ts';
import { buildFragmentHeader, buildIpv6 } from './ipv6.ts';
import { Packet } from './packet.ts';
import { Protocol } from './protocol.ts';

const decoded = (family: Family, bytes: Uint8Array): Packet => {
  const packet = new Packet(family, bytes);
  decode(packet);
  return packet;
};

const ends = { source: [0x20010db8, 0, 0, 1], destination: [0x20010db8, 0, 0, 2] } as const;
const six = (nextHeader: number, hex: string): Packet => decoded(6, buildIpv6({ ...ends, nextHeader }, fromHex(hex)!));

describe('IPv4', () => {
  it('reads addresses, protocol, options, fragments', () => {
    const bytes = buildIpv4(
      {
        source: 0x0a000001,
        destination: 0xc0000201,
        protocol: 17,
        options: fromHex('94040000')!,
        fragmentOffset: 1480,
        moreFragments: true,
      },
      new Uint8Array(8),
    );
    expect(decoded(4, bytes)).toMatchObject({
      headerLength: 24,
      transport: 24,
      protocol: 17,
      fragmentOffset: 1480,
      moreFragments: true,
      src: new Uint32Array([0x0a000001, 0, 0, 0]),
      dst: new Uint32Array([0xc0000201, 0, 0, 0]),
    });
  });
});

describe('IPv6', () => {
  it.each<[string, number, string, Partial<Packet>]>([
    ['plain', 6, '00'.repeat(20), { protocol: 6, transport: 40 }],
    ['hop-by-hop', 0, `3a00050200000100${'80'.padEnd(16, '0')}`, { protocol: 58, transport: 48 }],
    ['no next header', 59, '', { protocol: 59, transport: 40 }],
    ['ESP ends it', 50, '00000001', { protocol: 50, transport: 40 }],
    // ip6tables -p udp matches behind AH, -p ah does not.
    [
      'AH',
      51,
      `110400000000010000000001${'00'.repeat(12)}${'00'.repeat(8)}`,
      { protocol: 17, transport: 64, authHeader: 40 },
    ],
    [
      'routing, then destination options',
      43,
      `3c000000000000001100010400000000${'00'.repeat(8)}`,
      { protocol: 17, transport: 56 },
    ],
    ['a chain that is cut', 0, '3a', { protocol: -1 }],
    ['a length beyond the end', 60, '3aff0000', { protocol: 58, transport: 40 + 2048 }],
  ])('%s', (_, next, hex, fields) => expect(six(next, hex)).toMatchObject(fields));

  it('goes on behind a first fragment and ends at a later one', () => {
    const first = buildIpv6(
      { ...ends, nextHeader: 44 },
      new Uint8Array([...buildFragmentHeader(17, 0, true, 7), 1, 2, 3, 4]),
    );
    expect(decoded(6, first)).toMatchObject({
      protocol: 17,
      transport: 48,
      fragmentHeader: 40,
      fragmentOffset: 0,
      moreFragments: true,
    });
    const later = buildIpv6(
      { ...ends, nextHeader: 44 },
      new Uint8Array([...buildFragmentHeader(17, 64, false, 7), 1, 2, 3, 4]),
    );
    expect(decoded(6, later)).toMatchObject({ protocol: 17, transport: 48, fragmentOffset: 64, moreFragments: false });
    // What is behind an extension header cannot be known in a later fragment.
    const options = buildIpv6({ ...ends, nextHeader: 44 }, buildFragmentHeader(60, 64, false, 7));
    expect(decoded(6, options).protocol).toBe(-1);
  });

  it('finds a header by its type', () => {
    const packet = six(0, `2b000502000001003a00000000000000${'80'.padEnd(16, '0')}`);
    expect(findHeader6(packet.bytes, Protocol.routing)).toBe(48);
    expect(findHeader6(packet.bytes, Protocol.icmpv6)).toBe(56);
    expect(findHeader6(packet.bytes, Protocol.ah)).toBe(-1);
  });
});

it('is safe with any bytes', () => {
  fc.assert(
    fc.property(fc.constantFrom<Family>(4, 6), fc.uint8Array({ maxLength: 120 }), (family, bytes) => {
      const packet = decoded(family, bytes);
      expect(Number.isInteger(packet.protocol)).toBe(true);
      expect(Number.isInteger(packet.transport)).toBe(true);
    }),
  );
});
