import { readUint32, writeUint16, writeUint32 } from '../packet/bytes.ts';
import { replaceLong } from '../packet/checksum.ts';
import type { Packet } from '../packet/packet.ts';
import { type Direction, Status } from './connection.ts';
import type { Entry } from './entry.ts';
import { before } from './protocols/tcp-window.ts';
import type { SequenceShift, Sidelines } from './sidelines.ts';
import { Extra } from './table.ts';

function newShift(): SequenceShift {
  return { correction: 0, before: 0, after: 0 };
}

/** Room for shifts of both directions (nfct_seqadj_ext_add). */
export function allowShift(entry: Entry, sidelines: Sidelines): void {
  if (sidelines.sequences.has(entry.slot)) return;
  sidelines.sequences.set(entry.slot, [newShift(), newShift()]);
  entry.setExtra(Extra.sequence);
}

/** From `sequence` on, what the direction says is `bytes` longer than what was said (nf_ct_seqadj_set). */
export function addShift(
  entry: Entry,
  sidelines: Sidelines,
  direction: Direction,
  sequence: number,
  bytes: number,
): void {
  const shifts = sidelines.sequences.get(entry.slot);
  if (bytes === 0 || shifts === undefined) return;
  entry.status |= Status.sequenceAdjust;
  const shift = shifts[direction];
  if (shift.before === shift.after || before(shift.correction, sequence)) {
    shift.correction = sequence;
    shift.before = shift.after;
    shift.after += bytes;
  }
}

/** A shift that holds from the start (nf_ct_seqadj_init; SYNPROXY). */
export function initShift(entry: Entry, sidelines: Sidelines, direction: Direction, bytes: number): void {
  if (bytes === 0) return;
  allowShift(entry, sidelines);
  entry.status |= Status.sequenceAdjust;
  const shift = sidelines.sequences.get(entry.slot)![direction];
  shift.before = bytes;
  shift.after = bytes;
}

/** nf_ct_seq_offset. */
export function shiftAt(entry: Entry, sidelines: Sidelines, direction: Direction, sequence: number): number {
  const shift = sidelines.sequences.get(entry.slot)?.[direction];
  if (shift === undefined) return 0;
  return before(shift.correction, sequence) ? shift.after : shift.before;
}

/** Rewrites sequence number, acknowledgement and SACK blocks of the segment; false if its options are broken (nf_ct_seq_adjust). */
export function adjustSequence(entry: Entry, sidelines: Sidelines, direction: Direction, packet: Packet): boolean {
  const shifts = sidelines.sequences.get(entry.slot);
  if (shifts === undefined) return true;
  const { bytes, transport } = packet;
  if (transport + 20 > bytes.length) return false;
  const own = shifts[direction];
  const other = shifts[direction === 0 ? 1 : 0];
  const sequence = readUint32(bytes, transport + 4);
  const shift = before(own.correction, sequence) ? own.after : own.before;
  replace(bytes, transport, transport + 4, sequence + shift);
  if ((bytes[transport + 13]! & 16) === 0) return true;
  const ack = readUint32(bytes, transport + 8);
  replace(bytes, transport, transport + 8, ack - shiftBack(other, ack));
  return adjustSack(bytes, transport, other);
}

function shiftBack(shift: SequenceShift, value: number): number {
  return before(shift.correction, value - shift.before) ? shift.after : shift.before;
}

function adjustSack(bytes: Uint8Array, transport: number, other: SequenceShift): boolean {
  let offset = transport + 20;
  const end = transport + (bytes[transport + 12]! >>> 4) * 4;
  while (offset < end) {
    const kind = bytes[offset]!;
    if (kind === 0) return true;
    if (kind === 1) {
      offset++;
      continue;
    }
    const size = offset + 1 < end ? bytes[offset + 1]! : 0;
    if (size < 2 || offset + size > end) return false;
    if (kind === 5 && size >= 10 && (size - 2) % 8 === 0) {
      for (let at = offset + 2; at < offset + size; at += 4) {
        const edge = readUint32(bytes, at);
        replace(bytes, transport, at, edge - shiftBack(other, edge));
      }
    }
    offset += size;
  }
  return true;
}

/** Writes a 32-bit word of a TCP header and keeps the checksum true. */
function replace(bytes: Uint8Array, transport: number, at: number, value: number): void {
  const old = readUint32(bytes, at);
  const next = value >>> 0;
  const checksum = (bytes[transport + 16]! << 8) | bytes[transport + 17]!;
  writeUint16(bytes, transport + 16, replaceLong(checksum, old, next));
  writeUint32(bytes, at, next);
}
