import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frame, parseRequest, takeMessage } from './frames.ts';

/** A request as bin/shim.pl packs it: `pack('N', length) . join("\0", ...)`. */
function message(...words: (string | number)[]): Buffer {
  const bytes = Buffer.from(words.join('\0'), 'latin1');
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes.length);
  return Buffer.concat([head, bytes]);
}

const word = fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)) });

describe('requests', () => {
  it('hold every byte that arguments can hold', () => {
    fc.assert(
      fc.property(fc.array(word), fc.array(word), (args, values) => {
        const env = values.map((value, i) => `V${i}=${value}`);
        const taken = takeMessage(message(1, 'iptables', '42', 2, args.length, ...args, ...env));
        const request = parseRequest(taken!.message);
        expect(request).toMatchObject({ name: 'iptables', namespace: '42', args, stderrIsTerminal: true });
        expect(request?.stdoutIsTerminal).toBe(false);
        expect(Object.keys(request!.env)).toHaveLength(values.length);
      }),
    );
  });

  it('are complete or wait for more', () => {
    const bytes = message(1, 'ipset', '', 0, 1, 'list');
    for (let length = 0; length < bytes.length; length++) expect(takeMessage(bytes.subarray(0, length))).toBeNull();
    expect(takeMessage(Buffer.concat([bytes, Buffer.from('rest')]))?.rest.toString()).toBe('rest');
  });

  it('of another kind are refused', () => {
    for (const words of [
      ['2', 'iptables', '', '0', '0'],
      ['1', 'iptables', '../x', '0', '0'],
      ['1', 'iptables', '', '0', '3', 'a'],
      ['1', 'iptables'],
    ]) {
      expect(parseRequest(Buffer.from(words.join('\0')))).toBeNull();
    }
  });
});

it('a frame is a letter, a length and bytes', () => {
  expect([...frame('O', '\xff\0')]).toEqual([0x4f, 0, 0, 0, 2, 0xff, 0]);
});
