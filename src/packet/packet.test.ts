import { describe, expect, it } from 'vitest';
import { Packet } from './packet.ts';

describe('a packet that is made another one', () => {
  it('is in all as a new one, whatever was in it', () => {
    const bytes = Uint8Array.of(0x60);
    const used = new Packet(4, Uint8Array.of(0x45));
    const fields = used as unknown as Record<string, unknown>;
    for (const key of Object.keys(used)) {
      const value = fields[key];
      if (value instanceof Uint32Array) value.fill(7);
      else fields[key] = typeof value === 'number' ? value + 7 : typeof value === 'boolean' ? !value : { left: 'over' };
    }
    used.renew(6, bytes);
    expect(used).toEqual(new Packet(6, bytes));
  });
});
