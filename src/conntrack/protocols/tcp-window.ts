import { readUint16, readUint32 } from '../../packet/bytes.ts';
import type { Packet } from '../../packet/packet.ts';
import type { Direction } from '../connection.ts';
import type { Entry } from '../entry.ts';
import { Field } from '../table.ts';
import type { Tracking } from '../tracking.ts';
import { Segment, TcpState } from './tcp-states.ts';

/** TCP's words of an entry (`struct ip_ct_tcp`), counted from `Field.protocol`. */
export const TcpField = {
  /** state, last direction, retransmissions, last kind of segment: a byte each. */
  state: 0,
  lastSequence: 1,
  lastAck: 2,
  lastEnd: 3,
  /** window (16 bits), window scale, flags (8 bits each). */
  last: 4,
  /** Five words for each direction, see `SenderField`. */
  seen: 5,
} as const;

/** What is known of a sender (`struct ip_ct_tcp_state`). */
export const SenderField = {
  end: 0,
  maxEnd: 1,
  maxWindow: 2,
  maxAck: 3,
  /** scale, then flags << 8 */ options: 4,
} as const;

export const SenderFlag = {
  windowScale: 0x01,
  sackPermitted: 0x02,
  closeInit: 0x04,
  liberal: 0x08,
  unacknowledged: 0x10,
  maxAckSet: 0x20,
  expectChallengeAck: 0x40,
  simultaneousOpen: 0x80,
} as const;

const MAX_ACK_WINDOW = 66000;
const MAX_SCALE = 14;

/** Whether sequence number `a` comes before `b`. */
export function before(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

/** Offset of a sender's five words in the entry's words. */
export function senderAt(entry: Entry, direction: number): number {
  return entry.base + Field.protocol + TcpField.seen + 5 * direction;
}

export function senderFlags(entry: Entry, direction: number): number {
  return entry.words[senderAt(entry, direction) + SenderField.options]! >>> 8;
}

export function setSenderFlag(entry: Entry, direction: number, flag: number): void {
  entry.words[senderAt(entry, direction) + SenderField.options]! |= flag << 8;
}

/** Sequence number after the segment, SYN and FIN counted. */
export function segmentEnd(packet: Packet): number {
  const { bytes, transport } = packet;
  const flags = bytes[transport + 13]!;
  const header = (bytes[transport + 12]! >>> 4) * 4;
  const length = bytes.length - transport - header;
  return (readUint32(bytes, transport + 4) + length + ((flags >>> 1) & 1) + (flags & 1)) >>> 0;
}

/** Window scale and SACK permission of a SYN's options, into the sender's `options` word (tcp_options). */
export function readSynOptions(packet: Packet, words: Uint32Array, at: number): void {
  const { bytes, transport } = packet;
  let length = (bytes[transport + 12]! >>> 4) * 4 - 20;
  if (length === 0 || transport + 20 + length > bytes.length) return;
  let flags = (words[at]! >>> 8) & SenderFlag.liberal;
  let scale = 0;
  let offset = transport + 20;
  while (length > 0) {
    const kind = bytes[offset]!;
    if (kind === 0) break;
    if (kind === 1) {
      offset++;
      length--;
      continue;
    }
    if (length < 2) break;
    const size = bytes[offset + 1]!;
    if (size < 2 || size > length) break;
    if (kind === 4 && size === 2) flags |= SenderFlag.sackPermitted;
    else if (kind === 3 && size === 3) {
      scale = Math.min(bytes[offset + 2]!, MAX_SCALE);
      flags |= SenderFlag.windowScale;
    }
    offset += size;
    length -= size;
  }
  words[at] = scale | (flags << 8);
}

/** The highest right edge of the SACK blocks, if above `ack` (tcp_sack). */
function highestSack(packet: Packet, ack: number): number {
  const { bytes, transport } = packet;
  let length = (bytes[transport + 12]! >>> 4) * 4 - 20;
  if (length === 0 || transport + 20 + length > bytes.length) return ack;
  let highest = ack;
  let offset = transport + 20;
  while (length > 0) {
    const kind = bytes[offset]!;
    if (kind === 0) break;
    if (kind === 1) {
      offset++;
      length--;
      continue;
    }
    if (length < 2) break;
    const size = bytes[offset + 1]!;
    if (size < 2 || size > length) break;
    if (kind === 5 && size >= 10 && (size - 2) % 8 === 0) {
      for (let i = 2; i < size; i += 8) {
        const edge = readUint32(bytes, offset + i + 4);
        if (before(highest, edge)) highest = edge;
      }
      break;
    }
    offset += size;
    length -= size;
  }
  return highest;
}

function initSender(entry: Entry, direction: Direction, packet: Packet, end: number, window: number): void {
  const { words } = entry;
  const sender = senderAt(entry, direction);
  const receiver = senderAt(entry, 1 - direction);
  words[sender + SenderField.end] = end;
  words[sender + SenderField.maxEnd] = end;
  words[sender + SenderField.maxWindow] = window === 0 ? 1 : window;
  readSynOptions(packet, words, sender + SenderField.options);
  const both = (words[sender + SenderField.options]! & words[receiver + SenderField.options]!) >>> 8;
  if (direction === 1 && (both & SenderFlag.windowScale) === 0) {
    // RFC 7323: scaling holds only if both sides offer it.
    words[sender + SenderField.options]! &= ~0xff;
    words[receiver + SenderField.options]! &= ~0xff;
  }
}

export const Window = { accept: 0, ignore: 1, invalid: 2 } as const;

/** Whether a segment lies in the window, and what it teaches about both sides (tcp_in_window of nf_conntrack_proto_tcp.c). */
export function inWindow(entry: Entry, direction: Direction, kind: number, packet: Packet, tracking: Tracking): number {
  const { words } = entry;
  const { bytes, transport } = packet;
  const state = entry.base + Field.protocol;
  const sender = senderAt(entry, direction);
  const receiver = senderAt(entry, 1 - direction);
  const flags = bytes[transport + 13]!;
  const syn = (flags & 2) !== 0;
  const hasAck = (flags & 16) !== 0;
  const current = words[state]! & 0xff;

  let sequence = readUint32(bytes, transport + 4);
  let ack = readUint32(bytes, transport + 8);
  let sack = ack;
  const rawWindow = readUint16(bytes, transport + 14);
  let window = rawWindow;
  let end = segmentEnd(packet);
  if ((words[receiver + SenderField.options]! >>> 8) & SenderFlag.sackPermitted) sack = highestSack(packet, sack);

  // Where NAT changed the length of what the receiver said, acknowledgements still speak of the changed stream.
  const shift = tracking.sequenceOffset(entry, (1 - direction) as Direction, (ack - 1) >>> 0);
  ack = (ack - shift) >>> 0;
  sack = (sack - shift) >>> 0;

  if (words[sender + SenderField.maxWindow] === 0) {
    if (syn) {
      initSender(entry, direction, packet, end, window);
      if (!hasAck) return Window.accept;
    } else {
      const scaled = (window << (words[sender + SenderField.options]! & 0xff)) >>> 0;
      words[sender + SenderField.end] = end;
      words[sender + SenderField.maxWindow] = scaled === 0 ? 1 : scaled;
      words[sender + SenderField.maxEnd] = end + words[sender + SenderField.maxWindow]!;
      if (words[receiver + SenderField.maxWindow] === 0) {
        words[receiver + SenderField.end] = sack;
        words[receiver + SenderField.maxEnd] = sack;
      } else if (sack === (words[receiver + SenderField.end]! + 1) >>> 0) {
        // Answer to a keep-alive probe.
        words[receiver + SenderField.end]!++;
      }
    }
  } else if (
    syn &&
    before(words[sender + SenderField.end]!, end) &&
    (current === TcpState.synSent || current === TcpState.synRecv)
  ) {
    initSender(entry, direction, packet, end, window);
    if (direction === 1 && !hasAck) return Window.accept;
  }

  if (!hasAck || ((flags & 20) === 20 && ack === 0)) {
    ack = words[receiver + SenderField.end]!;
    sack = ack;
  }
  if ((flags & 4) !== 0 && sequence === 0 && current === TcpState.synSent) {
    sequence = words[sender + SenderField.end]!;
    end = sequence;
  }

  const receiverWindow = words[receiver + SenderField.maxWindow]!;
  const lowestAck =
    words[receiver + SenderField.end]! - Math.max(words[sender + SenderField.maxWindow]!, MAX_ACK_WINDOW) - 1;
  const liberal =
    tracking.settings.tcpLiberal || ((words[sender + SenderField.options]! >>> 8) & SenderFlag.liberal) !== 0;
  if (!before(sequence, words[sender + SenderField.maxEnd]! + 1)) {
    const overshot = (end - words[sender + SenderField.maxEnd]! + 1) >>> 0;
    if (
      receiverWindow !== 0 &&
      before(words[sender + SenderField.end]! - receiverWindow - 1, end) &&
      before(lowestAck, sack) &&
      overshot <= receiverWindow &&
      before(sack, words[receiver + SenderField.end]! + 1)
    ) {
      // The receiver may well take what is a little too much, and then its acknowledgement must be known.
      words[sender + SenderField.end] = end;
      words[sender + SenderField.options]! |= SenderFlag.unacknowledged << 8;
      return refuse(
        Window.ignore,
        'it is more than was expected',
        `${overshot} bytes more than expected`,
        liberal,
        tracking,
      );
    }
    const bound = (words[sender + SenderField.maxEnd]! + 1) >>> 0;
    return refuse(
      Window.invalid,
      'the sequence number is beyond the window of the receiver',
      `SEQ is over upper bound ${bound} (over the window of the receiver)`,
      liberal,
      tracking,
    );
  }
  if (!before(sack, words[receiver + SenderField.end]! + 1)) {
    const bound = (words[receiver + SenderField.end]! + 1) >>> 0;
    return refuse(
      Window.invalid,
      'it acknowledges data that was never seen',
      `ACK is over upper bound ${bound} (ACKed data not seen yet)`,
      liberal,
      tracking,
    );
  }
  if (receiverWindow !== 0 && !before(words[sender + SenderField.end]! - receiverWindow - 1, end)) {
    const bound = (words[sender + SenderField.end]! - receiverWindow - 1) >>> 0;
    return refuse(
      Window.ignore,
      'data acknowledged long ago is sent again',
      `SEQ is under lower bound ${bound} (already ACKed data retransmitted)`,
      liberal,
      tracking,
    );
  }
  if (!before(lowestAck, sack)) {
    const complaint = `ignored ACK under lower bound ${lowestAck >>> 0} (possible overly delayed)`;
    return refuse(Window.ignore, 'the acknowledgement is too old', complaint, liberal, tracking);
  }

  if (!syn) window = (window << (words[sender + SenderField.options]! & 0xff)) >>> 0;
  const offered = (window + (sack - ack)) >>> 0;
  if (words[sender + SenderField.maxWindow]! < offered) words[sender + SenderField.maxWindow] = offered;
  if (before(words[sender + SenderField.end]!, end)) {
    words[sender + SenderField.end] = end;
    words[sender + SenderField.options]! |= SenderFlag.unacknowledged << 8;
  }
  if (hasAck) {
    const known = (words[sender + SenderField.options]! >>> 8) & SenderFlag.maxAckSet;
    if (known === 0 || before(words[sender + SenderField.maxAck]!, ack)) words[sender + SenderField.maxAck] = ack;
    words[sender + SenderField.options]! |= SenderFlag.maxAckSet << 8;
  }
  if (receiverWindow !== 0 && before(words[sender + SenderField.maxEnd]!, end)) {
    words[receiver + SenderField.maxWindow]! += (end - words[sender + SenderField.maxEnd]!) >>> 0;
  }
  if (before(words[receiver + SenderField.maxEnd]! - 1, sack + window)) {
    words[receiver + SenderField.maxEnd] = sack + window + (window === 0 ? 1 : 0);
  }
  if (ack === words[receiver + SenderField.end]) {
    words[receiver + SenderField.options]! &= ~(SenderFlag.unacknowledged << 8);
  }
  if (kind === Segment.ack) noteRetransmission(entry, direction, sequence, ack, end, rawWindow);
  return Window.accept;
}

/** The verdict on what does not fit: none where the window is not to be insisted on. */
function refuse(verdict: number, reason: string, complaint: string, liberal: boolean, tracking: Tracking): number {
  if (liberal) return Window.accept;
  tracking.reason(reason, complaint);
  return verdict;
}

function noteRetransmission(
  entry: Entry,
  direction: Direction,
  sequence: number,
  ack: number,
  end: number,
  window: number,
): void {
  const { words } = entry;
  const at = entry.base + Field.protocol;
  if (
    ((words[at]! >>> 8) & 0xff) === direction &&
    words[at + TcpField.lastSequence] === sequence &&
    words[at + TcpField.lastAck] === ack &&
    words[at + TcpField.lastEnd] === end &&
    (words[at + TcpField.last]! & 0xffff) === window
  ) {
    const retransmissions = (((words[at]! >>> 16) & 0xff) + 1) & 0xff;
    words[at] = (words[at]! & 0xff00ffff) | (retransmissions << 16);
    return;
  }
  words[at] = (words[at]! & 0xff0000ff) | (direction << 8);
  words[at + TcpField.lastSequence] = sequence;
  words[at + TcpField.lastAck] = ack;
  words[at + TcpField.lastEnd] = end;
  words[at + TcpField.last] = (words[at + TcpField.last]! & 0xffff0000) | window;
}
