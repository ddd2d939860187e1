import type { LinkType } from './linktype.ts';

/** Where bytes go, in order. */
export interface ByteSink {
  write(bytes: Uint8Array): void;
  close(): void;
}

const BLOCK = 1 << 18;
const NANOSECOND_MAGIC = 0xa1b23c4d;
/** The largest packet a capture of this writer may hold, as its header says. */
const SNAP_LENGTH = 262144;

/** Writes a classic pcap file with nanosecond timestamps, little endian; the header at once, so an empty one is valid. */
export class PcapWriter {
  private readonly sink: ByteSink;
  private block = new Uint8Array(4096);
  private view = new DataView(this.block.buffer);
  private used = 0;

  constructor(sink: ByteSink, linkType: (typeof LinkType)[keyof typeof LinkType]) {
    this.sink = sink;
    const view = this.view;
    view.setUint32(0, NANOSECOND_MAGIC, true);
    view.setUint16(4, 2, true);
    view.setUint16(6, 4, true);
    view.setUint32(16, SNAP_LENGTH, true);
    view.setUint32(20, linkType, true);
    this.used = 24;
  }

  /**
   * Adds a record: an optional link header, then the packet.
   *
   * @param time whole microseconds since the epoch
   * @param nanoseconds what is left below the microsecond, 0..999
   */
  write(time: number, nanoseconds: number, linkHeader: Uint8Array | null, packet: Uint8Array): void {
    const length = (linkHeader?.length ?? 0) + packet.length;
    const needed = 16 + length;
    if (this.used + needed > this.block.length) this.makeRoom(needed);
    const seconds = Math.floor(time / 1e6);
    const view = this.view;
    const at = this.used;
    view.setUint32(at, seconds, true);
    view.setUint32(at + 4, (time - seconds * 1e6) * 1000 + nanoseconds, true);
    view.setUint32(at + 8, length, true);
    view.setUint32(at + 12, length, true);
    let to = at + 16;
    if (linkHeader !== null) {
      this.block.set(linkHeader, to);
      to += linkHeader.length;
    }
    this.block.set(packet, to);
    this.used = to + packet.length;
  }

  /** Writes out what is left and closes the sink. */
  close(): void {
    this.flush();
    this.sink.close();
  }

  private makeRoom(needed: number): void {
    this.flush();
    // Most interfaces see few packets: the block grows only with use.
    if (this.block.length < BLOCK || needed > this.block.length) {
      this.block = new Uint8Array(Math.max(BLOCK, needed));
      this.view = new DataView(this.block.buffer);
    }
  }

  private flush(): void {
    if (this.used > 0) this.sink.write(this.block.subarray(0, this.used));
    this.used = 0;
  }
}
