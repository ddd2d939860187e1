import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../packet/bytes.ts';
import { buildPacket } from '../packet/notation/build.ts';
import { parsePacket } from '../packet/notation/parse.ts';
import { NO_PART, partOf } from './parts.ts';

const bytesOf = (line: string): Uint8Array => buildPacket(parsePacket(line));
const part = (line: string): number => partOf(bytesOf(line), 1000);

describe('packets between two addresses are of one part', () => {
  it.each([
    ['192.0.2.1', '10.0.0.5', 'icmp'],
    ['2001:db8::1', 'fd00::5', 'icmp6'],
  ])('%s and %s', (a, b, icmp) => {
    const at = (address: string, port: number): string =>
      address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    const own = part(`tcp ${at(a, 1)} > ${at(b, 2)} S`);
    expect(part(`tcp ${at(b, 2)} > ${at(a, 1)} SA`)).toBe(own);
    expect(part(`udp ${at(b, 7)} > ${at(a, 9)}`)).toBe(own);
    expect(part(`${icmp} ${a} > ${b} ping`)).toBe(own);
    expect(part(`udp ${at(a, 7)} > ${at(b, 9)} ipid=5 mf=1 len=32`)).toBe(own);
    expect(part(`udp ${a} > ${b} ipid=5 frag=40 len=32`)).toBe(own);
    expect(part(`tcp ${at('192.0.2.77', 1)} > ${at('10.0.0.78', 2)} S`)).not.toBe(own);
  });

  it('wherever they lie', () => {
    const bytes = bytesOf('udp 192.0.2.1:1 > 10.0.0.5:2 len=20');
    const within = new Uint8Array(100).fill(0xff);
    within.set(bytes, 30);
    expect(partOf(within, 64, 30, 30 + bytes.length)).toBe(partOf(bytes, 64));
  });
});

describe('ICMP errors', () => {
  const [quoted, quoted6] = ['udp 192.0.2.1:1 > 10.0.0.5:2 len=9', 'udp [fd00::5]:2 > [2001:db8::1]:1 len=9'];
  const [hex, hex6] = [quoted, quoted6].map((line) => toHex(bytesOf(line)));

  it('are of the part of the packet that they quote', () => {
    expect(part(`icmp 203.0.113.9 > 192.0.2.1 port-unreachable hex=${hex}`)).toBe(part(quoted));
    expect(part(`icmp 203.0.113.9 > 192.0.2.1 time-exceeded hex=${hex}`)).toBe(part(quoted));
    expect(part(`icmp6 2001:db8::99 > fd00::5 packet-too-big hex=${hex6}`)).toBe(part(quoted6));
    expect(part(`icmp6 2001:db8::99 > fd00::5 no-route ext=dst hex=${hex6}`)).toBe(part(quoted6));
  });

  it('are of that of their own addresses where these are not there', () => {
    const own = part('icmp 203.0.113.9 > 192.0.2.1 ping');
    expect(part(`icmp 203.0.113.9 > 192.0.2.1 port-unreachable hex=${hex!.slice(0, 38)}`)).toBe(own);
    expect(part(`icmp 203.0.113.9 > 192.0.2.1 pong hex=${hex}`)).toBe(own);
  });

  it('cannot be told in fragments', () => {
    expect(part(`icmp 203.0.113.9 > 192.0.2.1 port-unreachable mf=1 hex=${hex}`)).toBe(NO_PART);
    expect(part(`icmp6 2001:db8::99 > fd00::5 no-route ipid=1 mf=1 hex=${hex6}`)).toBe(NO_PART);
    expect(part('icmp 203.0.113.9 > 192.0.2.1 ping mf=1 len=64')).toBe(part('icmp 203.0.113.9 > 192.0.2.1 ping'));
  });
});

it('any bytes have a part', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.integer({ min: 1, max: 64 }), (bytes, parts) => {
      const found = partOf(bytes, parts);
      expect(found === NO_PART || (found >= 0 && found < parts)).toBe(true);
    }),
  );
});
