import { MAX_RECORD } from './pcap.ts';
import type { CaptureReader } from './reader.ts';
import { CaptureError, type Window } from './source.ts';

/** Block types (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html, section 4). */
export const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const OLD_PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

const OPTION_NAME = 2;
const OPTION_RESOLUTION = 9;
const OPTION_OFFSET = 14;

interface CaptureInterface {
  linkType: number;
  snapLength: number;
  name: string | null;
  /** Ticks in a second. */
  resolution: bigint;
  /** Seconds to add. */
  offset: bigint;
}

/** Reads pcapng: sections in either byte order, several interfaces, enhanced, simple and old packet blocks. */
export function openPcapng(window: Window): CaptureReader {
  return new PcapngReader(window);
}

class PcapngReader implements CaptureReader {
  buffer: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  originalLength = 0;
  time = 0;
  nanoseconds = 0;
  linkType = 0;
  interfaceName: string | null = null;
  private little = true;
  private interfaces: CaptureInterface[] = [];
  private readonly window: Window;

  constructor(window: Window) {
    this.window = window;
  }

  next(): boolean {
    const window = this.window;
    for (;;) {
      if (!window.need(12)) {
        if (window.end === window.position) return false;
        throw new CaptureError(`the file ends within a block (at byte ${window.offset})`);
      }
      const isSection = new DataView(window.buffer.buffer, window.position, 4).getUint32(0) === SECTION_HEADER;
      if (isSection) this.readByteOrder();
      const view = new DataView(window.buffer.buffer, window.position, 12);
      const type = view.getUint32(0, this.little);
      const length = view.getUint32(4, this.little);
      if (length < 12 || length % 4 !== 0 || length > MAX_RECORD) {
        throw new CaptureError(`a block cannot be ${length} bytes long (at byte ${window.offset + 4})`);
      }
      if (!window.need(length)) throw new CaptureError(`the file ends within a block (at byte ${window.offset})`);
      const found = this.block(type, new DataView(window.buffer.buffer, window.position + 8, length - 12));
      this.buffer = window.buffer;
      window.position += length;
      if (found) return true;
    }
  }

  private readByteOrder(): void {
    const magic = new DataView(this.window.buffer.buffer, this.window.position, 12).getUint32(8, true);
    if (magic === BYTE_ORDER_MAGIC) this.little = true;
    else if (magic === 0x4d3c2b1a) this.little = false;
    else throw new CaptureError(`a section header without byte-order magic (at byte ${this.window.offset + 8})`);
  }

  /** Takes in one block's body; true if it is a packet. */
  private block(type: number, body: DataView): boolean {
    const little = this.little;
    switch (type) {
      case SECTION_HEADER:
        this.interfaces = [];
        return false;
      case INTERFACE_DESCRIPTION:
        this.need(body, 8);
        this.interfaces.push(this.describeInterface(body));
        return false;
      case ENHANCED_PACKET:
        this.need(body, 20);
        this.packet(body, body.getUint32(0, little), 20, body.getUint32(12, little), body.getUint32(16, little));
        this.setTime(this.interfaces[body.getUint32(0, little)]!, body.getUint32(4, little), body.getUint32(8, little));
        return true;
      case OLD_PACKET:
        this.need(body, 20);
        this.packet(body, body.getUint16(0, little), 20, body.getUint32(12, little), body.getUint32(16, little));
        this.setTime(this.interfaces[body.getUint16(0, little)]!, body.getUint32(4, little), body.getUint32(8, little));
        return true;
      case SIMPLE_PACKET: {
        this.need(body, 4);
        const original = body.getUint32(0, little);
        const snap = this.interfaces[0]?.snapLength || original;
        this.packet(body, 0, 4, Math.min(original, snap), original);
        this.time = Number.NaN;
        this.nanoseconds = 0;
        return true;
      }
      default:
        return false;
    }
  }

  private need(body: DataView, length: number): void {
    if (body.byteLength < length) throw new CaptureError(`a block is too short (at byte ${this.window.offset})`);
  }

  private packet(body: DataView, number: number, at: number, captured: number, original: number): void {
    const source = this.interfaces[number];
    if (source === undefined) {
      throw new CaptureError(`a packet of interface ${number}, which is not described (at byte ${this.window.offset})`);
    }
    if (at + captured > body.byteLength) {
      throw new CaptureError(`a packet is longer than its block (at byte ${this.window.offset})`);
    }
    this.linkType = source.linkType;
    this.interfaceName = source.name;
    this.start = body.byteOffset + at;
    this.end = this.start + captured;
    this.originalLength = original;
  }

  private setTime(source: CaptureInterface, high: number, low: number): void {
    if (source.resolution === 1_000_000n && source.offset === 0n) {
      this.time = high * 0x1_0000_0000 + low;
      this.nanoseconds = 0;
      return;
    }
    const ticks = (BigInt(high) << 32n) | BigInt(low);
    const nanos = (ticks * 1_000_000_000n) / source.resolution + source.offset * 1_000_000_000n;
    this.time = Number(nanos / 1000n);
    this.nanoseconds = Number(nanos % 1000n);
  }

  private describeInterface(body: DataView): CaptureInterface {
    const little = this.little;
    const described: CaptureInterface = {
      linkType: body.getUint16(0, little),
      snapLength: body.getUint32(4, little),
      name: null,
      resolution: 1_000_000n,
      offset: 0n,
    };
    let at = 8;
    while (at + 4 <= body.byteLength) {
      const code = body.getUint16(at, little);
      const length = body.getUint16(at + 2, little);
      const value = at + 4;
      if (code === 0 || value + length > body.byteLength) break;
      if (code === OPTION_NAME) {
        described.name = new TextDecoder().decode(new Uint8Array(body.buffer, body.byteOffset + value, length));
      } else if (code === OPTION_RESOLUTION && length >= 1) {
        const exponent = body.getUint8(value);
        // The top bit chooses powers of two.
        described.resolution = exponent & 0x80 ? 2n ** BigInt(exponent & 0x7f) : 10n ** BigInt(exponent);
      } else if (code === OPTION_OFFSET && length >= 8) {
        described.offset = body.getBigInt64(value, little);
      }
      at = value + ((length + 3) & ~3);
    }
    return described;
  }
}
