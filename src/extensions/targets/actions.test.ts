import { describe, expect, it } from 'vitest';
import type { MachineServices, RuleEnvironment } from '../../datapath/environment.ts';
import { Hook, type HookState } from '../../datapath/hooks.ts';
import { clientSynAck, makeCookie, readCookie, readSynproxyOptions } from '../../datapath/synproxy.ts';
import { isQueueVerdict, queueOf, Verdict } from '../../datapath/verdicts.ts';
import { fromHex, readUint16, readUint32, toHex, writeUint16, writeUint32 } from '../../packet/bytes.ts';
import { checksumHolds, internetChecksum, ipv4HeaderChecksumHolds, transportChecksum } from '../../packet/checksum.ts';
import { decode } from '../../packet/decode.ts';
import { Packet } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { findTarget } from '../registry.ts';
import { queueHash } from './NFQUEUE.ts';
import { prefixMapper } from './prefix-translation.ts';
import { limitSegmentSize } from './TCPMSS.ts';

/** A TCP segment 10.0.0.1:1000 > 10.0.0.2:80 with right checksums. */
function tcp(flags: number, options = '', payload = ''): Packet {
  const extra = fromHex(options)!;
  const data = fromHex(payload)!;
  const bytes = new Uint8Array(40 + extra.length + data.length);
  bytes.set([0x45, 0, 0, bytes.length, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
  writeUint16(bytes, 10, internetChecksum(bytes, 0, 20));
  writeUint16(bytes, 20, 1000);
  writeUint16(bytes, 22, 80);
  writeUint32(bytes, 24, 7777);
  bytes[32] = ((20 + extra.length) / 4) << 4;
  bytes[33] = flags;
  bytes.set(extra, 40);
  bytes.set(data, 40 + extra.length);
  const sum = transportChecksum(bytes, 20, bytes.length, [0x0a000001, 0, 0, 0], [0x0a000002, 0, 0, 0], Protocol.tcp);
  writeUint16(bytes, 36, sum);
  const packet = new Packet(4, bytes);
  decode(packet);
  return packet;
}

function isRight(packet: Packet): boolean {
  return ipv4HeaderChecksumHolds(packet.bytes) && checksumHolds(packet, Protocol.tcp);
}

const AT: HookState = { hook: Hook.forward, family: 4, inDevice: null, outDevice: null };

/** A rule's surroundings with the services a test gives; any other one is missing. */
function environment(machine: Partial<MachineServices> = {}): RuleEnvironment {
  return {
    family: 4,
    table: 'mangle',
    chain: 'FORWARD',
    rule: 1,
    variant: 'legacy',
    machine: machine as MachineServices,
    protocol: 6,
    protocolInvert: false,
    ruleState: (_, make) => make(),
  };
}

function run(name: string, data: unknown, packet: Packet, machine: Partial<MachineServices> = {}): number {
  return findTarget(name, 4)!.compile(data, environment(machine))(packet, AT);
}

describe('TCPMSS', () => {
  // Seen in Linux 6.18: only lowers; without the option it appends one of at most 536, unless the segment carries data.
  it('lowers the option and mends the checksum', () => {
    const packet = tcp(2, '020405b4');
    expect(limitSegmentSize(packet, 1000)).toBe(Verdict.next);
    expect(toHex(packet.bytes, 40)).toBe('020403e8');
    expect(isRight(packet)).toBe(true);
  });
  it('never raises it', () => {
    const packet = tcp(2, '020403e8');
    limitSegmentSize(packet, 1400);
    expect(toHex(packet.bytes, 40)).toBe('020403e8');
  });
  it('adds a missing one before the others', () => {
    const packet = tcp(2, '01030307');
    limitSegmentSize(packet, 1400);
    expect(toHex(packet.bytes, 40)).toBe('0204021801030307');
    expect(readUint16(packet.bytes, 2)).toBe(48);
    expect(isRight(packet)).toBe(true);
  });
  it('adds none in front of data', () => {
    const packet = tcp(2, '', '616263');
    limitSegmentSize(packet, 1400);
    expect(packet.bytes.length).toBe(43);
  });
  it('drops a header that is cut off', () => {
    const packet = tcp(2);
    packet.bytes[32] = 0xf0;
    expect(limitSegmentSize(packet, 1400)).toBe(Verdict.drop);
  });
});

describe('TCPOPTSTRIP', () => {
  it('overwrites options with NOP', () => {
    const packet = tcp(2, '020405b40402080a0000000100000000');
    run('TCPOPTSTRIP', { kinds: [4, 8] }, packet);
    expect(toHex(packet.bytes, 40)).toBe('020405b4010101010101010101010101');
    expect(isRight(packet)).toBe(true);
  });
});

describe('ECN', () => {
  it('clears ECE and CWR, and sets the codepoint', () => {
    const packet = tcp(0xc2);
    run('ECN', { ece: 0, cwr: 0, codepoint: 2 }, packet);
    expect([packet.bytes[33], packet.bytes[1]]).toEqual([2, 2]);
    expect(isRight(packet)).toBe(true);
  });
});

describe('TTL', () => {
  // Seen in Linux 6.18: below 0 gives 0, above 255 gives 255.
  it.each([
    ['dec', 100, 0],
    ['inc', 255, 255],
    ['set', 9, 9],
  ])('%s %i', (mode, value, ttl) => {
    const packet = tcp(2);
    run('TTL', { mode, value }, packet);
    expect(packet.bytes[8]).toBe(ttl);
    expect(isRight(packet)).toBe(true);
  });
});

describe('marks', () => {
  it('MARK clears the mask and flips the rest', () => {
    const packet = tcp(2);
    packet.mark = 0xffff0000;
    run('MARK', { mark: 0x80000001, mask: 0xff000000 }, packet);
    expect(packet.mark).toBe(0x80ff0001);
  });
  it('CONNMARK shifts what it copies', () => {
    const connection = { mark: 0xf0 };
    const packet = Object.assign(tcp(2), { connection });
    const rest = { ctmark: 0, ctmask: 0xffffffff, nfmask: 0xffffffff };
    run('CONNMARK', { ...rest, mode: 'restore', shiftRight: true, shiftBits: 4 }, packet as unknown as Packet);
    expect(packet.mark).toBe(0xf);
    run('CONNMARK', { ...rest, mode: 'save', shiftRight: false, shiftBits: 8 }, packet as unknown as Packet);
    expect(connection.mark).toBe(0xf00);
  });
});

describe('HMARK', () => {
  // Marks that Linux 6.18 gave to UDP from these ports of 127.0.0.1 to its port 9, with
  // --hmark-tuple src,dst,sport,dport,proto --hmark-mod 64 --hmark-rnd 0xfeedcafe --hmark-offset 100.
  it.each([
    [40000, 131],
    [40001, 130],
    [40002, 133],
    [40003, 114],
    [40005, 100],
    [40006, 117],
  ])('port %i gets mark %i', (port, mark) => {
    const bytes = fromHex('4500001d0000400040113cce7f0000017f000001000000090009000078')!;
    writeUint16(bytes, 20, port);
    const packet = new Packet(4, bytes);
    decode(packet);
    const data = {
      sourcePrefix: [0xffffffff, 0, 0, 0],
      destinationPrefix: [0xffffffff, 0, 0, 0],
      portMask: 0xffffffff,
      portSet: 0,
      given: [],
      protocolMask: 0xffff,
      seed: 0xfeedcafe,
      modulus: 64,
      offset: 100,
    };
    run('HMARK', data, packet);
    expect(packet.mark).toBe(mark);
  });
});

describe('NFQUEUE', () => {
  it('shares a queue between both directions, whatever the ports', () => {
    const there = tcp(2);
    const back = tcp(2);
    back.src.set(there.dst);
    back.dst.set(there.src);
    for (const seed of [0, 1, 0xdeadbeef]) expect(queueHash(back, 4, seed)).toBe(queueHash(there, 4, seed));
  });
  it('stays within its queues', () => {
    const machine = { namedState: <T>(_: string, __: string, make: () => T) => make(), random: () => 12345 };
    for (let i = 0; i < 50; i++) {
      const packet = tcp(2);
      packet.src[0] = i * 7919;
      const verdict = run('NFQUEUE', { queue: 50, total: 9, bypass: true, cpuFanout: false }, packet, machine);
      expect(isQueueVerdict(verdict)).toBe(true);
      expect(queueOf(verdict).queue).toBeGreaterThanOrEqual(50);
      expect(queueOf(verdict).queue).toBeLessThanOrEqual(58);
    }
  });
});

describe('prefix translation', () => {
  // Seen in Linux 6.18: 2001:db8:2::20 -> 2001:db8:ffff:0:2::20 for a /64 and a /48.
  it('keeps the sum of the address', () => {
    const map = prefixMapper({
      source: { address: [0x20010db8, 0x00020000, 0, 0], length: 64 },
      destination: { address: [0x20010db8, 0xffff0000, 0, 0], length: 48 },
    });
    const address = Uint32Array.of(0x20010db8, 0x00020000, 0, 0x20);
    expect(map(address)).toBe(true);
    expect([...address]).toEqual([0x20010db8, 0xffff0000, 0x00020000, 0x20]);
  });
});

describe('SYNPROXY', () => {
  it('reads its cookie back from the ACK of the same client', () => {
    const secrets = [1, 2] as const;
    const now = 90_000_000;
    const syn = tcp(2, '020405b4');
    const answer = clientSynAck(syn, makeCookie(syn, 1460, secrets, now), readSynproxyOptions(syn)!);
    expect(isRight(answer)).toBe(true);
    expect([answer.bytes[33], readUint16(answer.bytes, 34), readUint32(answer.bytes, 28)]).toEqual([0x12, 0, 7778]);
    const ack = tcp(16);
    writeUint32(ack.bytes, 24, 7778);
    writeUint32(ack.bytes, 28, readUint32(answer.bytes, 24) + 1);
    expect(readCookie(ack, secrets, now)).toBe(1460);
    expect(readCookie(ack, secrets, now + 60_000_000)).toBe(1460);
    expect(readCookie(ack, secrets, now + 180_000_000)).toBe(0);
    writeUint32(ack.bytes, 28, 99);
    expect(readCookie(ack, secrets, now)).toBe(0);
  });
});
