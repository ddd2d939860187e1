import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../packet/bytes.ts';
import { CapturedFrame } from './arrivals.ts';
import { fillUp } from './cut.ts';
import { LinkType } from './linktype.ts';
import { openCapture, readCapture } from './reader.ts';
import { type ByteSource, bytesSource, CaptureError } from './source.ts';
import { PcapWriter } from './write.ts';

/** UDP 10.0.0.5:5000 > 10.0.0.1:53 without payload. */
const PACKET = '4500001c000000004011 66cc0a0000050a00000113880035 0008d850'.replace(/ /g, '');

function bytes(hex: string): Uint8Array {
  return fromHex(hex)!;
}

/** A source that hands out a few bytes at a time, as a pipe may. */
function slowly(all: Uint8Array, step: number): ByteSource {
  const inner = bytesSource(all);
  return { read: (into, offset, length) => inner.read(into, offset, Math.min(length, step)) };
}

function pcap(magic: string, little: boolean, fraction: number, linkType: number): Uint8Array {
  const packet = bytes(PACKET);
  const file = new Uint8Array(24 + 16 + packet.length);
  const view = new DataView(file.buffer);
  view.setUint32(0, Number.parseInt(magic, 16), little);
  view.setUint16(4, 2, little);
  view.setUint16(6, 4, little);
  view.setUint32(16, 65535, little);
  view.setUint32(20, linkType, little);
  view.setUint32(24, 1700000000, little);
  view.setUint32(28, fraction, little);
  view.setUint32(32, packet.length, little);
  view.setUint32(36, packet.length, little);
  file.set(packet, 40);
  return file;
}

describe('pcap', () => {
  it.each([
    ['a1b2c3d4', true, 123456, 123456, 0],
    ['a1b2c3d4', false, 123456, 123456, 0],
    ['a1b23c4d', true, 123456789, 123456, 789],
    ['a1b23c4d', false, 123456789, 123456, 789],
  ])('magic %s, little endian %s', (magic, little, fraction, micros, nanoseconds) => {
    const file = pcap(magic, little, fraction, LinkType.raw);
    const [record] = readCapture(slowly(file, 7));
    expect(record).toMatchObject({ time: 1700000000e6 + micros, nanoseconds, linkType: LinkType.raw });
    expect(toHex(record!.data)).toBe(PACKET);
  });

  it('says where a file is cut off', () => {
    const file = pcap('a1b2c3d4', true, 0, LinkType.raw);
    expect(() => readCapture(bytesSource(file.subarray(0, 50)))).toThrow('the file ends within packet 1 (at byte 40)');
    expect(() => readCapture(bytesSource(file.subarray(0, 30)))).toThrow('within the header of packet 1');
    expect(() => readCapture(bytesSource(file.subarray(0, 20)))).toThrow('within the pcap header');
    expect(() => readCapture(bytesSource(bytes('')))).toThrow('the file is empty');
    expect(() => readCapture(bytesSource(bytes('1f8b0800')))).toThrow('not a pcap or pcapng capture');
  });

  it('does not believe an impossible length', () => {
    const file = pcap('a1b2c3d4', true, 0, LinkType.raw);
    new DataView(file.buffer).setUint32(32, 0xfffffff0, true);
    expect(() => readCapture(bytesSource(file))).toThrow(CaptureError);
  });

  it('streams: views on earlier packets stay as they were', () => {
    const chunks: Uint8Array[] = [];
    const writer = new PcapWriter(
      { write: (part) => chunks.push(part.slice()), close: () => undefined },
      LinkType.ethernet,
    );
    const count = 40000;
    const template = bytes(PACKET);
    for (let i = 0; i < count; i++) {
      const packet = template.slice();
      packet[4] = i >> 8;
      packet[5] = i;
      writer.write(1700000000e6 + i, i % 1000, new Uint8Array(14), packet);
    }
    writer.close();
    const reader = openCapture(bytesSource(Uint8Array.from(Buffer.concat(chunks))));
    const kept: Uint8Array[] = [];
    let timesRight = true;
    for (let i = 0; reader.next(); i++) {
      timesRight &&= reader.time === 1700000000e6 + i && reader.nanoseconds === i % 1000;
      kept.push(reader.buffer.subarray(reader.start + 14, reader.end));
    }
    expect([kept.length, timesRight]).toEqual([count, true]);
    expect(kept.every((packet, i) => packet[4] === i >> 8 && packet[5] === (i & 255))).toBe(true);
  });
});

/** Blocks of a pcapng file. */
function pcapng(little: boolean) {
  const block = (type: number, body: number[] | Uint8Array): number[] => {
    const padded = [...body, ...new Array<number>((4 - (body.length % 4)) % 4).fill(0)];
    const word = (value: number): number[] => {
      const four = [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
      return little ? four.reverse() : four;
    };
    return [...word(type), ...word(padded.length + 12), ...padded, ...word(padded.length + 12)];
  };
  const u32 = (value: number): number[] => {
    const four = [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
    return little ? four.reverse() : four;
  };
  const u16 = (value: number): number[] => (little ? [value & 255, value >> 8] : [value >> 8, value & 255]);
  return { block, u32, u16 };
}

describe('pcapng', () => {
  it.each([true, false])('reads sections, interfaces, resolutions (little endian %s)', (little) => {
    const { block, u32, u16 } = pcapng(little);
    const packet = bytes(PACKET);
    const section = block(0x0a0d0d0a, [
      ...u32(0x1a2b3c4d),
      ...u16(1),
      ...u16(0),
      ...u32(0xffffffff),
      ...u32(0xffffffff),
    ]);
    const micro = block(1, [...u16(LinkType.raw), ...u16(0), ...u32(0)]);
    // if_name "eth7", if_tsresol 10^-9, end of options
    const nano = block(1, [
      ...u16(LinkType.raw),
      ...u16(0),
      ...u32(0),
      ...u16(2),
      ...u16(4),
      ...Buffer.from('eth7'),
      ...u16(9),
      ...u16(1),
      9,
      0,
      0,
      0,
      ...u16(0),
      ...u16(0),
    ]);
    const enhanced = (source: number, time: bigint): number[] =>
      block(6, [
        ...u32(source),
        ...u32(Number(time >> 32n)),
        ...u32(Number(time & 0xffffffffn)),
        ...u32(packet.length),
        ...u32(packet.length),
        ...packet,
      ]);
    const file = Uint8Array.from([
      ...section,
      ...micro,
      ...nano,
      ...enhanced(0, 1700000000123456n),
      ...enhanced(1, 1700000000123456789n),
      ...block(0x0bad, [1, 2, 3, 4]),
      ...section,
      ...micro,
      ...enhanced(0, 5n),
      ...block(3, [...u32(packet.length), ...packet]),
    ]);
    const records = readCapture(slowly(file, 11));
    expect(records.map(({ time, nanoseconds, interfaceName }) => [time, nanoseconds, interfaceName])).toEqual([
      [1700000000123456, 0, null],
      [1700000000123456, 789, 'eth7'],
      [5, 0, null],
      [Number.NaN, 0, null],
    ]);
    for (const { data } of records) expect(toHex(data)).toBe(PACKET);
    expect(() => readCapture(bytesSource(file.subarray(0, file.length - 3)))).toThrow('the file ends within a block');
  });
});

describe('link types', () => {
  const frame = (linkType: number, hex: string) => {
    const data = bytes(hex.replace(/ /g, ''));
    const parsed = new CapturedFrame();
    parsed.take({
      next: () => false,
      buffer: data,
      start: 0,
      end: data.length,
      originalLength: data.length,
      time: 0,
      nanoseconds: 0,
      linkType,
      interfaceName: null,
    });
    return parsed;
  };

  it('takes VLAN tags out of the Ethernet header', () => {
    const plain = frame(LinkType.ethernet, `020000000001 0200000000ff 0800 ${PACKET}`);
    expect([toHex(plain.linkHeader!), plain.vlan, toHex(plain.bytes)]).toEqual([
      '0200000000010200000000ff0800',
      0,
      PACKET,
    ]);
    const tagged = frame(LinkType.ethernet, `020000000001 0200000000ff 8100 2005 0800 ${PACKET}`);
    expect([toHex(tagged.linkHeader!), tagged.vlan, toHex(tagged.bytes)]).toEqual([
      '0200000000010200000000ff0800',
      5,
      PACKET,
    ]);
    const stacked = frame(LinkType.ethernet, `020000000001 0200000000ff 88a8 0007 8100 0005 0800 ${PACKET}`);
    expect([stacked.vlan, stacked.innerVlan, toHex(stacked.bytes)]).toEqual([7, 5, PACKET]);
  });

  it('reads raw IP of either version and both cooked formats', () => {
    expect(toHex(frame(LinkType.raw, PACKET).bytes)).toBe(PACKET);
    expect(toHex(frame(LinkType.ipv4, PACKET).bytes)).toBe(PACKET);
    const sll = frame(LinkType.linuxSll, `0000 0001 0006 0200000000ff 0000 0800 ${PACKET}`);
    expect([sll.packetType, toHex(sll.linkHeader!), toHex(sll.bytes)]).toEqual([
      0,
      '0000000000000200000000ff0800',
      PACKET,
    ]);
    const sll2 = frame(LinkType.linuxSll2, `0800 0000 00000003 0001 04 06 0200000000ff0000 ${PACKET}`);
    expect([sll2.packetType, toHex(sll2.bytes)]).toEqual([4, PACKET]);
  });

  it('refuses what is not IP', () => {
    expect(frame(LinkType.ethernet, 'ffffffffffff 0200000000ff 0806 0001').refusal).toBe('not-ip');
    expect(frame(LinkType.ethernet, 'ffffffffffff').refusal).toBe('short');
    expect(frame(105, PACKET).refusal).toBe('unsupported-link-type');
  });
});

describe('a packet that the capture cut', () => {
  it('is filled up with zeros under a right checksum', () => {
    const whole = fromHex('45000021000000004011 66c70a0000050a000001 1388270f000db1370000000000'.replace(/ /g, ''))!;
    expect(fillUp(whole.subarray(0, 28), 5)).toEqual(whole);
  });

  it('stays as it is if only padding is missing, or its header is', () => {
    const whole = bytes(PACKET);
    expect(fillUp(whole, 18)).toBeNull();
    expect(fillUp(whole.subarray(0, 12), 16)).toBeNull();
  });
});
