import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readUint16, toHex } from './bytes.ts';
import { checksumHolds, ipv4HeaderChecksumHolds, sctpChecksumHolds } from './checksum.ts';
import { decode } from './decode.ts';
import type { Family } from './family.ts';
import { buildPacket } from './notation/build.ts';
import type { PacketDescription } from './notation/description.ts';
import { Packet } from './packet.ts';
import { Protocol } from './protocol.ts';
import {
  resize,
  rewriteEnd,
  setDontFragment,
  setDscp,
  setEcn,
  setEnd,
  setTos,
  setTransportByte,
  setTtl,
  tosOf,
  ttlOf,
} from './rewrite.ts';

type Words = [number, number, number, number];

const word = fc.oneof(fc.constant(0), fc.constant(0xffffffff), fc.integer({ min: 0, max: 0xffffffff }));
const addresses = (family: Family): fc.Arbitrary<Words> =>
  family === 4 ? word.map((first): Words => [first, 0, 0, 0]) : fc.tuple(word, word, word, word);
const protocols = (family: Family) => [
  Protocol.tcp,
  Protocol.udp,
  family === 4 ? Protocol.icmp : Protocol.icmpv6,
  Protocol.sctp,
];

function packetOf(description: Partial<PacketDescription> & { protocol: number }): Packet {
  const packet = new Packet(
    description.family ?? 4,
    buildPacket({ family: 4, source: [1, 0, 0, 0], destination: [2, 0, 0, 0], ...description }),
  );
  decode(packet);
  return packet;
}

const anyPacket = fc.constantFrom<Family>(4, 6).chain((family) =>
  fc
    .record({
      family: fc.constant(family),
      protocol: fc.constantFrom(...protocols(family)),
      source: addresses(family),
      destination: addresses(family),
      icmpRest: fc.constant(0x12340001),
      payload: fc.uint8Array({ maxLength: 33 }),
    })
    .map(packetOf),
);

function isRight(packet: Packet): void {
  const again = new Packet(packet.family, packet.bytes);
  decode(again);
  for (const field of ['src', 'dst', 'protocol', 'transport', 'headerLength', 'fragmentOffset'] as const) {
    expect(packet[field]).toEqual(again[field]);
  }
  if (packet.family === 4) expect(ipv4HeaderChecksumHolds(packet.bytes)).toBe(true);
  const { bytes, transport, protocol } = packet;
  if (protocol === Protocol.sctp) expect(sctpChecksumHolds(bytes, transport, bytes.length)).toBe(true);
  else expect(checksumHolds(packet)).toBe(true);
}

describe('rewriting keeps checksums and decoded fields right', () => {
  it('of addresses and ports, and back again byte for byte', () => {
    fc.assert(
      fc.property(
        anyPacket,
        fc.constantFrom('source' as const, 'destination' as const),
        fc.tuple(word, word, word, word),
        fc.nat(0xffff),
        (packet, end, other, port) => {
          const before = toHex(packet.bytes);
          const own = Array.from(end === 'source' ? packet.src : packet.dst);
          const at =
            packet.transport + (packet.protocol === 1 || packet.protocol === 58 ? 4 : end === 'source' ? 0 : 2);
          const ownPort = readUint16(packet.bytes, at);
          const address: Words = packet.family === 4 ? [other[0], 0, 0, 0] : other;
          expect(setEnd(packet, end, address, port)).toBe(true);
          expect(readUint16(packet.bytes, at)).toBe(port);
          isRight(packet);
          setEnd(packet, end, own, ownPort);
          isRight(packet);
          // A UDP checksum of 0xffff stands for 0 as well; everything else comes back as it was.
          if (packet.protocol !== Protocol.udp) expect(toHex(packet.bytes)).toBe(before);
        },
      ),
    );
  });

  it('of TOS, DSCP, ECN, TTL, single bytes', () => {
    fc.assert(
      fc.property(anyPacket, fc.nat(255), fc.nat(255), fc.nat(1000), (packet, tos, ttl, where) => {
        setTos(packet, tos);
        setTtl(packet, ttl);
        expect([tosOf(packet), ttlOf(packet)]).toEqual([tos, ttl]);
        setDscp(packet, 46);
        setEcn(packet, 1);
        expect(tosOf(packet)).toBe(185);
        if (packet.family === 4) setDontFragment(packet, true);
        const size = packet.bytes.length - packet.transport;
        // Not a byte of the checksum itself.
        const first = packet.protocol === Protocol.tcp ? 18 : packet.protocol === Protocol.sctp ? 12 : 8;
        if (size > first) setTransportByte(packet, first + (where % (size - first)), ttl);
        isRight(packet);
      }),
    );
  });
});

describe('a UDP checksum', () => {
  const make = (checksum?: number): Packet =>
    packetOf({ protocol: Protocol.udp, sourcePort: 1, destinationPort: 2, payload: new Uint8Array(2), checksum });
  it('of 0 stays 0', () => {
    const packet = make(0);
    setEnd(packet, 'source', [3, 0, 0, 0], 7);
    setEnd(packet, 'destination', packet.dst, 9);
    expect(readUint16(packet.bytes, 26)).toBe(0);
  });
  it('never becomes 0', () => {
    for (let port = 0; port < 0x10000; port += 1) {
      const packet = make();
      setEnd(packet, 'source', packet.src, port);
      if (readUint16(packet.bytes, 26) === 0) throw new Error(`port ${port} gives 0`);
    }
  });
});

describe('quoted packets', () => {
  it('of 8 transport bytes get their ports; shorter ones are refused', () => {
    const bytes = packetOf({ protocol: Protocol.tcp }).bytes.slice(0, 28);
    expect(rewriteEnd(bytes, 4, 0, 20, 28, 6, 'destination', [9, 0, 0, 0], 8080)).toBe(true);
    expect(readUint16(bytes, 22)).toBe(8080);
    expect(rewriteEnd(bytes, 4, 0, 20, 27, 6, 'destination', [5, 0, 0, 0], 1)).toBe(false);
    expect(readUint16(bytes, 22)).toBe(8080);
  });
});

it('resizing keeps the lengths', () => {
  const packet = packetOf({ protocol: 99, payload: new Uint8Array(10) });
  resize(packet, 50);
  expect([packet.bytes.length, readUint16(packet.bytes, 2), ipv4HeaderChecksumHolds(packet.bytes)]).toEqual([
    50,
    50,
    true,
  ]);
});
