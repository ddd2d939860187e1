import type { CaptureReader } from './reader.ts';
import { CaptureError, type Window } from './source.ts';

/** Longest record that is believed: far above any snap length, far below what a damaged length field says. */
export const MAX_RECORD = 1 << 24;

/**
 * Reads the classic format (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html): a header of 24 bytes,
 * then records with a header of 16 bytes each.
 */
export function openPcap(window: Window): CaptureReader {
  if (!window.need(24)) throw new CaptureError('the file ends within the pcap header');
  const head = window.buffer;
  const first = window.position;
  const little = head[first] === 0xd4 || head[first] === 0x4d;
  const nano = head[first] === 0x4d || head[first + 3] === 0x4d;
  const network = word(head, first + 20, little);
  window.position += 24;
  return new PcapReader(window, little, nano, network & 0xffff);
}

class PcapReader implements CaptureReader {
  buffer: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  originalLength = 0;
  time = 0;
  nanoseconds = 0;
  readonly linkType: number;
  readonly interfaceName = null;
  private count = 0;
  private readonly window: Window;
  private readonly little: boolean;
  private readonly nano: boolean;

  constructor(window: Window, little: boolean, nano: boolean, linkType: number) {
    this.window = window;
    this.little = little;
    this.nano = nano;
    this.linkType = linkType;
  }

  next(): boolean {
    const window = this.window;
    this.count++;
    if (!window.need(16)) {
      if (window.end === window.position) return false;
      throw new CaptureError(`the file ends within the header of packet ${this.count} (at byte ${window.offset})`);
    }
    const bytes = window.buffer;
    const at = window.position;
    const little = this.little;
    const seconds = word(bytes, at, little);
    const fraction = word(bytes, at + 4, little);
    const length = word(bytes, at + 8, little);
    if (length > MAX_RECORD) {
      throw new CaptureError(`packet ${this.count} cannot be ${length} bytes long (at byte ${window.offset + 8})`);
    }
    this.originalLength = word(bytes, at + 12, little);
    if (this.nano) {
      const micros = Math.floor(fraction / 1000);
      this.time = seconds * 1e6 + micros;
      this.nanoseconds = fraction - micros * 1000;
    } else {
      this.time = seconds * 1e6 + fraction;
    }
    window.position += 16;
    if (!window.need(length)) {
      throw new CaptureError(`the file ends within packet ${this.count} (at byte ${window.offset})`);
    }
    this.buffer = window.buffer;
    this.start = window.position;
    this.end = window.position + length;
    window.position = this.end;
    return true;
  }
}

function word(bytes: Uint8Array, at: number, little: boolean): number {
  return little
    ? (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
    : ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
