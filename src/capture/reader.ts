import { LinkType } from './linktype.ts';
import { openPcap } from './pcap.ts';
import { openPcapng, SECTION_HEADER } from './pcapng.ts';
import { type ByteSource, CaptureError, Window } from './source.ts';

/**
 * A capture read record by record. `next()` moves on; the other fields describe the record it came to.
 * No object is made for a record: its bytes are `buffer[start..end)`, and `buffer` is never written again.
 */
export interface CaptureReader {
  /** False at the end. Throws CaptureError where the file is damaged or cut off. */
  next(): boolean;
  readonly buffer: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Length of the packet when it was captured; more than `end - start` if the capture cut it. */
  readonly originalLength: number;
  /** Whole microseconds since the epoch; NaN if the record has no time. */
  readonly time: number;
  /** What is left below the microsecond, 0..999. */
  readonly nanoseconds: number;
  /** LINKTYPE_* of the record. */
  readonly linkType: number;
  /** Name of the interface that captured it, where the file says so. */
  readonly interfaceName: string | null;
}

/** Whether a file that begins with these bytes (at least four) is a pcap or pcapng capture. */
export function isCapture(head: Uint8Array): boolean {
  if (head.length < 4) return false;
  const word = new DataView(head.buffer, head.byteOffset, 4).getUint32(0);
  return PCAP_MAGICS.has(word) || word === SECTION_HEADER;
}

/** pcap in microseconds and nanoseconds, in either byte order. */
const PCAP_MAGICS = new Set([0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1]);

/** Opens a pcap or pcapng capture, told apart by its first four bytes. */
export function openCapture(source: ByteSource): CaptureReader {
  const window = new Window(source);
  if (!window.need(4)) {
    throw new CaptureError(
      window.end === 0 ? 'the file is empty, expected a pcap or pcapng capture' : 'too short for a capture',
    );
  }
  const at = window.position;
  if (!isCapture(window.buffer.subarray(at, at + 4))) {
    const magic = Array.from(window.buffer.subarray(at, at + 4), (byte) => byte.toString(16).padStart(2, '0')).join(
      ' ',
    );
    throw new CaptureError(`not a pcap or pcapng capture (it begins with the bytes ${magic})`);
  }
  return window.buffer[at] === 0x0a ? openPcapng(window) : openPcap(window);
}

/** A capture in memory as a list, for those who do not need to stream. */
export interface CapturedPacket {
  time: number;
  nanoseconds: number;
  linkType: number;
  interfaceName: string | null;
  originalLength: number;
  data: Uint8Array;
}

/** All records of a capture in memory. */
export function readCapture(source: ByteSource): CapturedPacket[] {
  const reader = openCapture(source);
  const packets: CapturedPacket[] = [];
  while (reader.next()) {
    packets.push({
      time: reader.time,
      nanoseconds: reader.nanoseconds,
      linkType: reader.linkType,
      interfaceName: reader.interfaceName,
      originalLength: reader.originalLength,
      data: reader.buffer.subarray(reader.start, reader.end),
    });
  }
  return packets;
}

export { LinkType };
