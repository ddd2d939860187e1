import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Status } from './connection.ts';
import { ConntrackTable, ENTRY_WORDS, Field, LINK_WORDS } from './table.ts';
import { hashTuple, invertTuple, newTupleWords, readTuple, tupleToWords, wordsToTuple } from './tuple.ts';

function key(port: number): Uint32Array {
  const words = newTupleWords();
  tupleToWords(
    {
      family: 4,
      protocol: 17,
      source: [port & 7, 0, 0, 0],
      destination: [9, 0, 0, 0],
      sourcePort: port,
      destinationPort: 53,
    },
    words,
  );
  return words;
}

/** A table of UDP flows told apart by their source port. */
class Flows {
  readonly table = new ConntrackTable();
  readonly slots = new Map<number, number>();

  add(port: number): void {
    const slot = this.table.allocate();
    const words = this.table.wordsOf(slot);
    const base = this.table.baseOf(slot);
    words.set(key(port), base);
    invertTuple(words, base, words, base + Field.reply);
    words[base + Field.zone] = 3 << 16;
    words[base + Field.status] = Status.confirmed;
    this.table.doublesOf(slot)[(base + Field.expiry) >>> 1] = 1e9;
    this.table.link(slot, 0);
    this.table.link(slot, 1);
    this.slots.set(port, slot);
  }

  remove(port: number): void {
    const slot = this.slots.get(port)!;
    this.table.unlink(slot, 0);
    this.table.unlink(slot, 1);
    this.table.free(slot);
    this.slots.delete(port);
  }

  find(port: number, reply: boolean): number {
    const words = key(port);
    const inverse = newTupleWords();
    invertTuple(words, 0, inverse, 0);
    return this.table.find(reply ? inverse : words, 0, 0, 0, 0, () => {});
  }
}

describe('the table of connections', () => {
  it('holds what a map would hold, whatever is added and removed', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 3000 })), { maxLength: 3000 }), (steps) => {
        const flows = new Flows();
        for (const [add, port] of steps) {
          if (add && !flows.slots.has(port)) flows.add(port);
          else if (!add && flows.slots.has(port)) flows.remove(port);
        }
        expect(flows.table.count).toBe(flows.slots.size);
        for (const [, port] of steps) {
          const slot = flows.slots.get(port);
          expect(flows.find(port, false)).toBe(slot === undefined ? -1 : slot * 2);
          expect(flows.find(port, true)).toBe(slot === undefined ? -1 : slot * 2 + 1);
        }
      }),
      { numRuns: 25 },
    );
  });

  it('takes at most 250 bytes for an entry, with its share of the hash table', () => {
    expect((ENTRY_WORDS + LINK_WORDS) * 4 + 2 * 2 * 4).toBeLessThanOrEqual(250);
  });

  it('finds nothing in another zone', () => {
    const flows = new Flows();
    flows.add(7);
    expect(flows.table.find(key(7), 0, 5, 5, 0, () => {})).toBe(-1);
  });
});

describe('tuples', () => {
  const address = fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff), fc.nat(0xffffffff), fc.nat(0xffffffff));

  it('become words and tuples again, and are themselves when inverted twice', () => {
    fc.assert(
      fc.property(
        address,
        address,
        fc.nat(65535),
        fc.nat(65535),
        (source, destination, sourcePort, destinationPort) => {
          const tuple = { family: 6 as const, protocol: 6, source, destination, sourcePort, destinationPort };
          const words = newTupleWords();
          tupleToWords(tuple, words);
          expect(wordsToTuple(words, 0)).toEqual(tuple);
          const inverse = newTupleWords();
          const back = newTupleWords();
          expect(invertTuple(words, 0, inverse, 0) && invertTuple(inverse, 0, back, 0)).toBe(true);
          expect([...back]).toEqual([...words]);
          expect(hashTuple(back, 0)).toBe(hashTuple(words, 0));
        },
      ),
    );
  });

  it('are read from any bytes without failing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(255), fc.nat(80), (bytes, protocol, transport) => {
        const words = newTupleWords();
        readTuple(bytes, 4, 0, protocol, transport, words, () => 0);
        readTuple(bytes, 6, 0, protocol, transport, words, () => 0);
      }),
    );
  });
});
