import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../bytes.ts';
import type { AddressWords } from '../family.ts';
import { buildPacket } from './build.ts';
import { describePacket } from './describe.ts';
import type { PacketDescription } from './description.ts';
import { formatPacket } from './format.ts';
import { parsePacket } from './parse.ts';

function hexOf(line: string): string {
  return toHex(buildPacket(parsePacket(line)));
}

describe('a packet in one line', () => {
  it('builds TCP with the right lengths and checksums', () => {
    // tcpdump -vv finds both checksums correct.
    expect(hexOf('in=eth0 tcp 198.51.100.7:40000 > 203.0.113.10:80 S ttl=63')).toBe(
      '45000028000000003f06158bc6336407cb00710a9c400050000000010000000050' + '02faf0b21a0000',
    );
  });

  it('takes a bare first word for the input interface', () => {
    expect(parsePacket('eth1 udp 10.0.0.1:1 > 10.0.0.2:53').in).toBe('eth1');
  });

  it('reads IPv6 with ports in brackets', () => {
    const packet = parsePacket('udp [2001:db8::1]:5353 > [2001:db8::2]:53');
    expect(packet).toMatchObject({ family: 6, protocol: 17, sourcePort: 5353, destinationPort: 53 });
  });

  it('calls ICMP of IPv6 icmp', () => {
    expect(parsePacket('icmp fe80::1 > fe80::2').protocol).toBe(58);
  });

  it('has words for DSCP and ECN in one octet', () => {
    expect(parsePacket('udp 1.1.1.1:1 > 2.2.2.2:2 ecn=ce dscp=ef').tos).toBe((46 << 2) | 3);
  });

  it.each([
    ['tcp 10.0.0.1 80', 'no "SOURCE > DESTINATION" in it; a packet looks like'],
    ['tpc 1.1.1.1:1 > 2.2.2.2:2', 'unknown protocol "tpc": did you mean tcp?'],
    ['tcp 1.1.1.1:1 > 2.2.2.2:2 tttl=3', 'unknown key "tttl": did you mean ttl?'],
    ['tcp 1.1.1.1:1 > 2.2.2.2:2 ttl=300', 'ttl="300": expected a number from 0 to 255'],
    ['tcp 1.1.1.1:70000 > 2.2.2.2:2', '"70000" is not a port: expected a number from 0 to 65535'],
    ['icmp 1.1.1.1:8 > 2.2.2.2', 'icmp has no ports: write the address alone'],
    ['udp 1.1.1.1:1 > 2001:db8::1', 'the source is IPv4 and the destination IPv6: both must be of one family'],
    ['udp 1.1.1.1:1 > 2.2.2.2:2 seq=1', 'udp has no seq: it is a field of tcp, icmp, icmpv6'],
    ['udp 1.1.1.1:1 > 2.2.2.2:2 S', '"S" does not belong behind the addresses: IPv4 udp takes key=value words'],
    ['icmp 1.1.1.1 > 2.2.2.2 echo-requst', '"echo-requst" is not an ICMP message: did you mean echo-request?'],
    ['udp 1.1.1.1:1 > 2.2.2.2:2 data="x', 'a quote without an end'],
    ['udp 1.1.1.1:1 > 2.2.2.2:2 ttl=1 ttl=2', 'ttl is given twice'],
    ['udp 1.1.1.300:1 > 2.2.2.2:2', '"1.1.1.300" is not an address'],
  ])('says what is wrong with %s', (line, message) => {
    expect(() => parsePacket(line)).toThrow(message);
  });

  it('keeps escaped bytes and UTF-8 apart', () => {
    expect(toHex(parsePacket('udp 1.1.1.1:1 > 2.2.2.2:2 data="é\\xe9\\r\\n"').payload!)).toBe('c3a9e90d0a');
  });

  it('reads times to the microsecond', () => {
    expect(parsePacket('udp 1.1.1.1:1 > 2.2.2.2:2 time=1700000000.123456').time).toEqual({ at: 1700000000123456 });
    expect(parsePacket('udp 1.1.1.1:1 > 2.2.2.2:2 time=+1.5s').time).toEqual({ after: 1500000 });
    expect(parsePacket('udp 1.1.1.1:1 > 2.2.2.2:2 time=2026-01-01T00:00:00').time).toEqual({ at: 1767225600000000 });
  });

  it('spoils checksums on request', () => {
    const good = hexOf('udp 1.1.1.1:1 > 2.2.2.2:2 data=x');
    const bad = hexOf('udp 1.1.1.1:1 > 2.2.2.2:2 data=x checksum=bad');
    expect(bad).not.toBe(good);
    expect(bad.slice(0, 52)).toBe(good.slice(0, 52));
  });
});

const word32 = fc.integer({ min: 0, max: 0xffffffff });
const small = fc.integer({ min: 0, max: 255 });
const port = fc.integer({ min: 0, max: 65535 });
const bytes = (max: number) => fc.uint8Array({ maxLength: max });
const option = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const checksum = option(fc.oneof(fc.constant('bad' as const), port));

const address = (family: 4 | 6): fc.Arbitrary<AddressWords> =>
  family === 4
    ? word32.map((word): AddressWords => [word, 0, 0, 0])
    : fc.tuple(word32, word32, word32, word32).map((words): AddressWords => words);

const description = fc
  .tuple(fc.constantFrom(4 as const, 6 as const), fc.constantFrom(1, 6, 17, 47, 50, 51, 58, 89, 132, 136, 253))
  .chain(([family, protocol]) =>
    fc.record({
      family: fc.constant(family),
      // In IPv6 AH is an extension header.
      protocol: fc.constant(family === 6 && protocol === 51 ? 50 : protocol),
      source: address(family),
      destination: address(family),
      in: option(fc.constantFrom('eth0', 'br-lan.5')),
      ttl: option(small),
      tos: option(small),
      ipId: option(port),
      dontFragment: family === 4 ? option(fc.boolean()) : fc.constant(undefined),
      moreFragments: option(fc.boolean()),
      fragmentOffset: option(fc.integer({ min: 0, max: 8191 }).map((units) => units * 8)),
      flowLabel: family === 6 ? option(fc.integer({ min: 0, max: 0xfffff })) : fc.constant(undefined),
      ipChecksum: family === 4 ? checksum : fc.constant(undefined),
      ipOptions: family === 4 ? option(bytes(40)) : fc.constant(undefined),
      payload: option(bytes(64)),
      checksum: protocol === 50 || protocol === 51 ? fc.constant(undefined) : checksum,
      ...(protocol === 6 || protocol === 17 || protocol === 132 || protocol === 136
        ? { sourcePort: option(port), destinationPort: option(port) }
        : {}),
      ...(protocol === 6
        ? {
            tcpFlags: option(small),
            sequence: option(word32),
            acknowledgement: option(word32),
            window: option(port),
            urgent: option(port),
            tcpOptions: option(bytes(40)),
          }
        : {}),
      ...(protocol === 1 || protocol === 58
        ? { icmpType: option(small), icmpCode: option(small), icmpRest: option(word32) }
        : {}),
      ...(protocol === 17 ? { udpLength: option(port) } : {}),
      mark: option(word32),
      uid: option(word32),
      time: option(fc.oneof(fc.record({ at: fc.nat() }), fc.record({ after: fc.nat() }))),
    }),
  ) as fc.Arbitrary<PacketDescription>;

describe('printing', () => {
  it('is undone by reading', () => {
    fc.assert(
      fc.property(description, (packet) => {
        const read = parsePacket(formatPacket(packet));
        expect(toHex(buildPacket(read))).toBe(toHex(buildPacket(packet)));
        expect(read.time).toEqual(packet.time);
        expect([read.in, read.mark, read.uid]).toEqual([packet.in, packet.mark, packet.uid]);
        expect(formatPacket(read)).toBe(formatPacket(parsePacket(formatPacket(read))));
      }),
    );
  });

  it('describes any bytes so that they are built again', () => {
    fc.assert(
      fc.property(description, fc.option(fc.nat({ max: 200 })), (packet, cut) => {
        const built = buildPacket(packet);
        const input = cut === null ? built : built.subarray(0, Math.max(1, cut));
        expect(toHex(buildPacket(parsePacket(formatPacket(describePacket(input)))))).toBe(toHex(input));
      }),
    );
  });
});
