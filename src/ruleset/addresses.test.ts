import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, formatAddress6, parseAddress4, parseAddress6 } from '../packet/address-text.ts';
import { formatMaskSuffix, parseIpv4Loose, prefixLength, prefixMask } from './addresses.ts';

describe('addresses', () => {
  it('writes IPv6 as inet_ntop of glibc does', () => {
    const text = (address: string): string => formatAddress6(parseAddress6(address)!);
    expect(text('2001:DB8:0:0:1:0:0:1')).toBe('2001:db8::1:0:0:1');
    expect(text('2001:db8:0:1:1:1:1:1')).toBe('2001:db8:0:1:1:1:1:1');
    expect(text('::ffff:1.2.3.4')).toBe('::ffff:1.2.3.4');
    expect(text('::1.2.3.4')).toBe('::1.2.3.4');
    expect(text('::1')).toBe('::1');
    expect(text('::')).toBe('::');
    expect(text('fe80::')).toBe('fe80::');
  });

  it('reads IPv6 as inet_pton does', () => {
    for (const bad of ['', ':', '1::2::3', '2001:db8::g', '1:2:3:4:5:6:7', '12345::', '::1%lo', '1:2:3:4:5:6:7::8:9']) {
      expect(parseAddress6(bad), bad).toBeNull();
    }
  });

  it('reads back what it writes', () => {
    const word = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffffffff }));
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), (address) => {
        expect(parseAddress6(formatAddress(6, address))).toEqual(address);
        expect(parseAddress4(formatAddress(4, address))).toBe(address[0]);
      }),
    );
  });

  it('reads numbers and dots as inet_aton does', () => {
    expect(parseIpv4Loose('127.1')).toBe(0x7f000001);
    expect(parseIpv4Loose('010.1.1.1')).toBe(0x08010101);
    expect(parseIpv4Loose('300')).toBe(300);
    expect(parseIpv4Loose('256.1.1.1')).toBeNull();
    expect(parseAddress4('010.1.1.1')).toBe(-1);
  });

  it('knows contiguous masks', () => {
    for (let length = 0; length <= 128; length++) expect(prefixLength(prefixMask(length), 6)).toBe(length);
    expect(prefixLength([0xff00ff00, 0, 0, 0], 4)).toBe(-1);
    expect(prefixLength([0xffffffff, 0, 1, 0], 6)).toBe(-1);
    expect(formatMaskSuffix([0xff00ff00, 0, 0, 0], 4)).toBe('/255.0.255.0');
  });
});
