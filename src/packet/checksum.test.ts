import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, readUint16, writeUint16 } from './bytes.ts';
import {
  checksumHolds,
  internetChecksum,
  ipv4HeaderChecksumHolds,
  replaceLong,
  replaceWord,
  sctpChecksum,
  sctpChecksumHolds,
} from './checksum.ts';
import { decode } from './decode.ts';
import { Packet } from './packet.ts';

describe('the Internet checksum', () => {
  it('is that of RFC 1071 section 3', () => {
    expect(internetChecksum(fromHex('0001f203f4f5f6f7')!, 0, 8)).toBe(~0xddf2 & 0xffff);
  });

  it('of a range does not depend on how it is summed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), fc.nat(20), (bytes, skip) => {
        const start = Math.min(skip, bytes.length);
        let sum = 0;
        for (let i = start; i < bytes.length; i += 2) sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
        expect(internetChecksum(bytes, start, bytes.length)).toBe(~(sum % 0xffff || (sum === 0 ? 0 : 0xffff)) & 0xffff);
      }),
    );
  });

  it('of changed words is what summing anew gives (RFC 1624)', () => {
    const words = fc.array(fc.oneof(fc.constant(0), fc.constant(0xffff), fc.nat(0xffff)), {
      minLength: 3,
      maxLength: 12,
    });
    fc.assert(
      fc.property(words, fc.nat(0xffff), fc.nat(0xffff), (list, high, low) => {
        // A header is never all zeros: its first byte is the version.
        list[2] = 0x4500;
        const bytes = new Uint8Array(list.length * 2);
        for (const [i, word] of list.entries()) writeUint16(bytes, 2 * i, word);
        const before = internetChecksum(bytes, 0, bytes.length);
        const [first, second] = [list[0]!, list[1]!];
        writeUint16(bytes, 0, high);
        const one = internetChecksum(bytes, 0, bytes.length);
        expect(replaceWord(before, first, high)).toBe(one);
        writeUint16(bytes, 2, low);
        const both = internetChecksum(bytes, 0, bytes.length);
        expect(replaceLong(before, first * 65536 + second, high * 65536 + low)).toBe(both);
      }),
    );
  });
});

it('CRC32c is that of RFC 3720 B.4, least significant byte first', () => {
  // 32 bytes of zeros and of ones; bytes 8 to 11 count as 0, so that only the first is as it stands there.
  expect(sctpChecksum(new Uint8Array(32), 0, 32)).toBe(0xaa36918a);
  const packet = fromHex('0050138800000000000000000100000c00000001000000010000000100000001')!;
  const crc = sctpChecksum(packet, 0, packet.length);
  packet.set([crc >>> 24, (crc >>> 16) & 255, (crc >>> 8) & 255, crc & 255], 8);
  expect(sctpChecksumHolds(packet, 0, packet.length)).toBe(true);
});

it('verifies packets that Linux sent', () => {
  // RST, echo reply, port unreachable of Linux 6.18.
  const sent = [
    '45b80028000040004006265e0a0000010a00000a005103e800000000000003e95014000093a40000',
    '45b90020be700000400179fb0a0000010a00000a00003b370001000161626364',
  ];
  for (const hex of sent) {
    const packet = new Packet(4, fromHex(hex)!);
    decode(packet);
    writeUint16(packet.bytes, 10, 0);
    writeUint16(packet.bytes, 10, internetChecksum(packet.bytes, 0, 20));
    expect(ipv4HeaderChecksumHolds(packet.bytes)).toBe(true);
    expect(checksumHolds(packet)).toBe(true);
    packet.bytes[packet.bytes.length - 1] = packet.bytes.at(-1)! ^ 1;
    expect(checksumHolds(packet)).toBe(false);
  }
  expect(readUint16(fromHex(sent[0]!)!, 2)).toBe(40);
});
