import type { Prefix } from './model.ts';

/** The address that a machine makes itself from its MAC (RFC 4291, appendix A). */
export function linkLocal(mac: string): Prefix {
  const [a, b, c, d, e, f] = mac.split(':').map((part) => Number.parseInt(part, 16)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const high = (((a ^ 2) << 24) | (b << 16) | (c << 8) | 0xff) >>> 0;
  const low = ((0xfe << 24) | (d << 16) | (e << 8) | f) >>> 0;
  return { family: 6, address: [0xfe800000, 0, high, low], length: 128 };
}
