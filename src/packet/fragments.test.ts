import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readUint16, readUint32 } from './bytes.ts';
import { decode } from './decode.ts';
import type { Family } from './family.ts';
import { combinedEcn } from './fragment-queue.ts';
import { fragment4, fragment6, needsFragmenting, unfragmentablePart } from './fragmentation.ts';
import { buildIpv4 } from './ipv4.ts';
import { buildFragmentHeader, buildIpv6 } from './ipv6.ts';
import { Packet } from './packet.ts';
import { DEFAULT_REASSEMBLY, type Gathering, Reassembly } from './reassembly.ts';

const six = { source: [0x20010db8, 0, 0, 1], destination: [0x20010db8, 0, 0, 2] } as const;
const payloadOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i * 7 + (i >> 8));

const packetOf = (family: Family, bytes: Uint8Array): Packet => {
  const packet = new Packet(family, bytes);
  decode(packet);
  return packet;
};

/** A piece of a datagram. */
function piece(
  family: Family,
  data: Uint8Array,
  start: number,
  end: number,
  { id = 7, df = false, tos = 0, more = end < data.length } = {},
): Packet {
  const part = data.subarray(start, end);
  if (family === 4) {
    const header = {
      source: 1,
      destination: 2,
      protocol: 17,
      identification: id,
      dontFragment: df,
      tos,
      moreFragments: more,
    };
    return packetOf(4, buildIpv4({ ...header, fragmentOffset: start }, part));
  }
  const payload = new Uint8Array([...buildFragmentHeader(17, start, more, id), ...part]);
  return packetOf(6, buildIpv6({ ...six, nextHeader: 44, trafficClass: tos }, payload));
}

const gather = (
  queues: Reassembly,
  packet: Packet,
  now = 0,
  user: 'local' | 'conntrack-in' = 'conntrack-in',
): Gathering['result'] => queues.gather(packet, user, 0, 1, now).result;

const sizesOf = (pieces: Uint8Array[] | null): number[] | undefined => pieces?.map((bytes) => bytes.length);

describe('reassembly and refragmentation', () => {
  it('give the datagram back in any order, and the pieces as they came', () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 180 }), { maxLength: 6 });
    fc.assert(
      fc.property(fc.constantFrom<Family>(4, 6), cuts, fc.infiniteStream(fc.nat()), (family, at, order) => {
        const data = payloadOf(1450);
        const bounds = [0, ...at.sort((a, b) => a - b).map((cut) => cut * 8), data.length];
        const pieces = bounds.slice(0, -1).map((start, i) => piece(family, data, start, bounds[i + 1]!));
        const originals = pieces.map(({ bytes }) => bytes.slice());
        const shuffled = pieces
          .map((each) => [order.next().value as number, each] as const)
          .sort(([a], [b]) => a - b)
          .map(([, each]) => each);
        const queues = new Reassembly();
        const last = shuffled.pop()!;
        for (const each of shuffled) expect(gather(queues, each)).toBe('waiting');
        const atomic = originals.length === 1 && family === 4;
        expect(gather(queues, last)).toBe('complete');
        expect(queues.size).toBe(0);
        expect(last.bytes.slice(last.transport)).toEqual(data);
        expect(last.fragmentOffset).toBe(0);
        if (atomic) return;
        const again = family === 4 ? fragment4(last, 1500) : fragment6(last, 1500, 7);
        if (needsFragmenting(last, 1500)) expect(again).toEqual(originals);
      }),
    );
  });

  // Linux 6.18, a router with connection tracking: 540+788 bytes, DF on both or on the larger one: as they came, without DF.
  it.each([
    [true, true],
    [false, true],
  ])('keep unequal pieces and drop DF (%s, %s)', (first, second) => {
    const data = payloadOf(1288);
    const queues = new Reassembly();
    gather(queues, piece(4, data, 0, 520, { df: first }));
    const whole = piece(4, data, 520, 1288, { df: second });
    expect(gather(queues, whole)).toBe('complete');
    expect(whole).toMatchObject({ fragmentMaxSize: 788, fragmentDontFragment: true });
    const pieces = fragment4(whole, 1500)!;
    expect(sizesOf(pieces)).toEqual([540, 788]);
    expect(pieces.map((bytes) => readUint16(bytes, 6))).toEqual([0x2000, 65]);
    // Made one piece by TCPMSS it is cut to the size of the largest, with DF.
    whole.fragmentSizes = null;
    expect(fragment4(whole, 1500)!.map((bytes) => [bytes.length, readUint16(bytes, 6)])).toEqual([
      [788, 0x6000],
      [540, 0x4000 + 96],
    ]);
  });

  it('cut anew where the pieces do not fit (700 + 608 bytes for an MTU of 576)', () => {
    const data = payloadOf(1288);
    const queues = new Reassembly();
    gather(queues, piece(4, data, 0, 680));
    const whole = piece(4, data, 680, 1288);
    gather(queues, whole);
    expect(sizesOf(fragment4(whole, 576))).toEqual([572, 572, 204]);
  });

  it('refuse what had DF and is larger than the MTU (ICMP 3/4)', () => {
    const data = payloadOf(1288);
    const queues = new Reassembly();
    gather(queues, piece(4, data, 0, 680, { df: true }));
    const whole = piece(4, data, 680, 1288);
    gather(queues, whole);
    expect(fragment4(whole, 576)).toBeNull();
    expect(fragment4(piece(4, payloadOf(1000), 0, 1000, { df: true }), 576)).toBeNull();
    expect(fragment6(packetOf(6, buildIpv6({ ...six, nextHeader: 17 }, payloadOf(1600))), 1500, 1)).toBeNull();
  });

  it('never cut IPv6 pieces below 1280 bytes', () => {
    const data = payloadOf(2500);
    const queues = new Reassembly();
    const cuts = [0, 1000, 2000, 2500];
    const pieces = [0, 1, 2].map((i) => piece(6, data, cuts[i]!, cuts[i + 1]!));
    for (const each of pieces) gather(queues, each);
    const whole = pieces[2]!;
    expect(whole.fragmentMaxSize).toBe(1048);
    whole.fragmentSizes = null;
    expect(sizesOf(fragment6(whole, 1500, 9))).toEqual([1280, 1280, 84]);
    expect(readUint32(fragment6(whole, 1500, 9)![0]!, 44)).toBe(9);
  });
});

describe('fragments that contradict each other', () => {
  const data = payloadOf(1600);

  it('overlapping: all are lost', () => {
    for (const family of [4, 6] as const) {
      const queues = new Reassembly();
      gather(queues, piece(family, data, 0, 800));
      expect(gather(queues, piece(family, data, 400, 1600))).toBe('refused');
      expect(queues.size).toBe(0);
    }
  });

  it('a repetition is ignored', () => {
    for (const family of [4, 6] as const) {
      const queues = new Reassembly();
      gather(queues, piece(family, data, 0, 800));
      expect(gather(queues, piece(family, data, 0, 800))).toBe(family === 4 ? 'refused' : 'waiting');
      expect(gather(queues, piece(family, data, 8, 400))).toBe(family === 4 ? 'refused' : 'waiting');
      expect(gather(queues, piece(family, data, 800, 1600))).toBe('complete');
    }
  });

  it('two ends', () => {
    const queues = new Reassembly();
    gather(queues, piece(4, data, 800, 1200, { more: false }));
    expect(gather(queues, piece(4, data, 1200, 1600, { more: false }))).toBe('refused');
    expect(queues.size).toBe(0);
  });

  it('an IPv4 fragment of odd length is cut to a multiple of 8, an IPv6 one goes on alone', () => {
    const queues = new Reassembly();
    expect(gather(queues, piece(4, data, 0, 803, { more: true }))).toBe('waiting');
    expect(gather(queues, piece(4, data, 800, 1600))).toBe('complete');
    expect(gather(queues, piece(6, data, 0, 803, { more: true }))).toBe('unchanged');
    const local = queues.gather(piece(6, data, 0, 803, { more: true }), 'local', 0, 1, 0);
    expect(local).toMatchObject({ result: 'refused', parameterProblem: { code: 0, pointer: 4 } });
  });

  it('too long: 65536 bytes and more', () => {
    const queues = new Reassembly();
    const end = piece(4, new Uint8Array(65600), 65528, 65592);
    expect(gather(queues, end)).toBe('waiting');
    expect(gather(queues, piece(6, new Uint8Array(65600), 65528, 65592))).toBe('refused');
  });

  it('an IPv6 first fragment without its transport header: connection tracking lets it go on', () => {
    const queues = new Reassembly();
    expect(gather(queues, piece(6, data, 0, 0 + 4, { more: true }))).toBe('unchanged');
    const local = queues.gather(piece(6, data, 0, 4, { more: true }), 'local', 0, 1, 0);
    expect(local.parameterProblem).toEqual({ code: 3, pointer: 0 });
  });
});

describe('waiting', () => {
  const data = payloadOf(1600);

  it('ends after 30 seconds (IPv6: 60), and the first fragment is given back', () => {
    const queues = new Reassembly();
    gather(queues, piece(4, data, 0, 800), 5e6);
    gather(queues, piece(6, data, 800, 1600), 5e6);
    expect(queues.expire(34.9e6)).toEqual([]);
    expect(queues.expire(35e6)).toMatchObject([{ family: 4, user: 'conntrack-in', device: 1 }]);
    expect(queues.expire(65e6)).toMatchObject([{ family: 6, first: null }]);
    expect(gather(queues, piece(4, data, 800, 1600), 66e6)).toBe('waiting');
  });

  it('survives being written down', () => {
    const queues = new Reassembly();
    gather(queues, piece(6, data, 800, 1600));
    const later = new Reassembly();
    later.load(JSON.parse(JSON.stringify(queues.save())));
    const whole = piece(6, data, 0, 800);
    expect(gather(later, whole)).toBe('complete');
    expect(whole.bytes.slice(40)).toEqual(data);
  });

  it('starts anew when more than 64 other fragments of the sender came in between', () => {
    const queues = new Reassembly({ ...DEFAULT_REASSEMBLY, maxDistance: 2 });
    gather(queues, piece(4, data, 0, 800));
    for (const id of [8, 9, 10]) gather(queues, piece(4, data, 0, 800, { id }));
    expect(gather(queues, piece(4, data, 800, 1600))).toBe('waiting');
  });

  it('is kept apart by who gathers', () => {
    const queues = new Reassembly();
    gather(queues, piece(4, data, 0, 800), 0, 'local');
    expect(gather(queues, piece(4, data, 800, 1600), 0, 'conntrack-in')).toBe('waiting');
  });
});

it('ECN bits are joined as RFC 3168 5.3 has it', () => {
  // Bit n stands for code point n: 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE.
  expect([0b0001, 0b0010, 0b0110, 0b1000, 0b1100, 0b1110].map(combinedEcn)).toEqual([0, 0, 0, 0, 3, 3]);
  expect([0b0011, 0b0101, 0b1001, 0b1111].map(combinedEcn)).toEqual([-1, -1, -1, -1]);
});

it('the fragment header goes behind hop-by-hop and routing headers', () => {
  const header = (next: number): number[] => [next, 0, 0, 0, 0, 0, 0, 0];
  const build = (first: number, ...rest: number[]): Uint8Array =>
    buildIpv6({ ...six, nextHeader: first }, Uint8Array.from(rest.flatMap(header)));
  expect(unfragmentablePart(build(17))).toEqual({ length: 40, field: 6 });
  expect(unfragmentablePart(build(0, 17))).toEqual({ length: 48, field: 40 });
  expect(unfragmentablePart(build(0, 43, 60, 17))).toEqual({ length: 56, field: 48 });
  expect(unfragmentablePart(build(60, 43, 17))).toEqual({ length: 56, field: 48 });
});
