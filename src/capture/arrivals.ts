import { EtherType, type FrameParts, frameParts, LinkType, locate } from './linktype.ts';
import type { CaptureReader } from './reader.ts';

/** Why a captured frame is not an IP packet for the machine. */
export type Refusal = 'not-ip' | 'short' | 'unsupported-link-type';

/**
 * A captured frame cut into what the machine takes: the packet from its IP header, its link header, its VLAN tag.
 * One object is reused for all frames of a reader.
 */
export class CapturedFrame {
  /** From the IP header to the end of the frame; a view on the capture's buffer. */
  bytes: Uint8Array = EMPTY;
  /**
   * Destination MAC, source MAC, type: 14 bytes without tags; null where the link layer is not Ethernet. Frames of the same header share it: who
   * writes into it must do the same for all of them.
   */
  linkHeader: Uint8Array | null = null;
  /** VLAN identifier of the outer tag; 0 without. */
  vlan = 0;
  innerVlan = 0;
  etherType = 0;
  /** `skb->pkt_type` as recorded by a cooked capture, or -1. */
  packetType = -1;
  refusal: Refusal | null = null;
  /** Bytes that the capture did not keep (snap length). */
  missing = 0;
  private readonly parts: FrameParts = frameParts();
  /** The link header of the last frame as captured, and as given out: most frames of an interface have the same. */
  private captured: Uint8Array = EMPTY;
  private shared: Uint8Array = EMPTY;
  /** The reader's buffer that the last frame came from, and where that lies. */
  private buffer: Uint8Array = EMPTY;
  private memory: ArrayBufferLike = EMPTY.buffer;
  private memoryOffset = 0;

  /** Where the IP packet of the record begins that the reader stands at, up to whose `end` it goes; -1 if it is something else. Nothing is taken in. */
  find({ buffer, start, end, linkType }: CaptureReader): number {
    const { parts } = this;
    if (!locate(linkType, buffer, start, end, parts)) return -1;
    return parts.etherType === EtherType.ipv4 || parts.etherType === EtherType.ipv6 ? parts.l3 : -1;
  }

  /** Takes in the record that the reader stands at. */
  take(reader: CaptureReader): void {
    const { buffer, start, end, linkType } = reader;
    const parts = this.parts;
    this.linkHeader = null;
    this.bytes = EMPTY;
    this.vlan = 0;
    this.innerVlan = 0;
    this.missing = Math.max(0, reader.originalLength - (end - start));
    if (!locate(linkType, buffer, start, end, parts)) {
      this.refusal = SUPPORTED.has(linkType) ? 'short' : 'unsupported-link-type';
      this.etherType = 0;
      this.packetType = -1;
      return;
    }
    this.packetType = parts.packetType;
    this.etherType = parts.etherType;
    if (parts.vlan >= 0) this.vlan = parts.vlan & 0xfff;
    if (parts.innerVlan >= 0) this.innerVlan = parts.innerVlan & 0xfff;
    if (parts.ethernet >= 0) {
      this.linkHeader =
        parts.vlan < 0 ? this.headerAt(buffer, parts.ethernet) : untagged(buffer, parts.ethernet, parts.etherType);
    } else if (parts.sender >= 0) {
      this.linkHeader = cookedHeader(buffer, parts);
    }
    if (buffer !== this.buffer) {
      this.buffer = buffer;
      this.memory = buffer.buffer;
      this.memoryOffset = buffer.byteOffset;
    }
    // As `buffer.subarray`, which takes several times as long.
    this.bytes = new Uint8Array(this.memory, this.memoryOffset + parts.l3, end - parts.l3);
    this.refusal = parts.etherType === EtherType.ipv4 || parts.etherType === EtherType.ipv6 ? null : 'not-ip';
  }

  /** The 14 bytes at `at`: the object that was given out for the last frame if that had the same, else a new one. */
  private headerAt(buffer: Uint8Array, at: number): Uint8Array {
    const { captured } = this;
    let i = 0;
    while (i < captured.length && captured[i] === buffer[at + i]) i++;
    if (i < 14) {
      this.captured = buffer.slice(at, at + 14);
      this.shared = this.captured.slice();
    }
    return this.shared;
  }
}

const EMPTY = new Uint8Array(0);
const SUPPORTED: ReadonlySet<number> = new Set(Object.values(LinkType));

function untagged(buffer: Uint8Array, at: number, etherType: number): Uint8Array {
  const header = buffer.slice(at, at + 14);
  header[12] = etherType >> 8;
  header[13] = etherType;
  return header;
}

/**
 * A cooked capture keeps the sender's address but not the receiver's: all zeros stand for "this machine"; broadcast,
 * multicast and other hosts' frames get an address of that kind.
 */
function cookedHeader(buffer: Uint8Array, parts: FrameParts): Uint8Array {
  const header = new Uint8Array(14);
  header.set(buffer.subarray(parts.sender, parts.sender + 6), 6);
  if (parts.packetType === 1) header.fill(0xff, 0, 6);
  else if (parts.packetType === 2) header[0] = 1;
  else if (parts.packetType === 3) header[0] = 2;
  header[12] = parts.etherType >> 8;
  header[13] = parts.etherType;
  return header;
}
