import { Status } from '../connection.ts';
import type { Expectation, ExpectResult } from '../expectations.ts';
import { newTupleWords } from '../tuple.ts';
import type { Sighting } from './application.ts';

/** What a helper awaits; addresses are words of a tuple beginning at an offset. */
export interface Awaited {
  protocol: number;
  /** Absent: from anywhere. */
  source?: { words: ArrayLike<number>; at: number };
  /** Absent: from any port. */
  sourcePort?: number;
  destination: { words: ArrayLike<number>; at: number };
  destinationPort: number;
  class?: number;
}

/** An expectation of the connection seen, not yet in the table (nf_ct_expect_init). */
export function expectation({ entry }: Sighting, helper: string, awaited: Awaited): Expectation {
  const tuple = newTupleWords();
  const mask = newTupleWords();
  const last = entry.family === 4 ? 1 : 4;
  for (let i = 0; i < last; i++) {
    tuple[4 + i] = awaited.destination.words[awaited.destination.at + i]!;
    if (awaited.source !== undefined) {
      tuple[i] = awaited.source.words[awaited.source.at + i]!;
      mask[i] = 0xffffffff;
    }
  }
  tuple[8] = awaited.destinationPort;
  if (awaited.sourcePort !== undefined) {
    tuple[8] = ((awaited.sourcePort << 16) | awaited.destinationPort) >>> 0;
    mask[8] = 0xffff0000;
  }
  tuple[9] = (entry.family << 8) | awaited.protocol;
  return {
    id: 0,
    tuple,
    mask,
    master: entry.slot,
    zone: entry.zoneWord & 0xffff,
    class: awaited.class ?? 0,
    helper,
    flags: 0,
    expiry: 0,
    translate: null,
    direction: 0,
    savedPort: 0,
    savedAddress: null,
    assign: null,
    dead: false,
  };
}

/** Whether addresses inside this connection's packets must be changed. */
export function isTranslated({ entry }: Sighting): boolean {
  return (entry.status & (Status.sourceNat | Status.destinationNat)) !== 0;
}

export function expect(sighting: Sighting, awaited: Expectation): ExpectResult {
  return sighting.conntrack.expectations.add(awaited, sighting.conntrack.now());
}

/** Adds the expectation; if that cannot be, why the packet is dropped. */
export function expectOrRefuse(sighting: Sighting, awaited: Expectation): string | null {
  if (expect(sighting, awaited) === 'ok') return null;
  return refuse(sighting, 'cannot add expectation', 'the expectation cannot be added');
}

/** A packet is dropped for a reason of which the kernel writes `message` to its log. */
export function refuse(sighting: Sighting, message: string, reason: string): string {
  sighting.log(message);
  return reason;
}

const ATTEMPTS = 128;

/** Adds the expectation with its own port or, if that clashes, another one from there up; 0 if none is to be had (nf_nat_exp_find_port). */
export function expectOnFreePort(sighting: Sighting, awaited: Expectation): number {
  const own = awaited.tuple[8]! & 0xffff;
  const range = 0xffff - own;
  let port = own;
  for (let left = Math.min(range, ATTEMPTS); ; ) {
    awaited.tuple[8] = (awaited.tuple[8]! & 0xffff0000) | port;
    const result = expect(sighting, awaited);
    if (result === 'ok') return port;
    if (result !== 'busy' || --left < 0) return 0;
    port = own + (sighting.conntrack.random() % range);
  }
}
