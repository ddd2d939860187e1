import type { HookState } from '../../datapath/hooks.ts';
import { readUint16, readUint32 } from '../../packet/bytes.ts';
import type { Packet } from '../../packet/packet.ts';
import { type Direction, Status } from '../connection.ts';
import type { Entry } from '../entry.ts';
import { JIFFY, TCP_RETRANS, TCP_UNACKNOWLEDGED } from '../settings.ts';
import { Extra, Field } from '../table.ts';
import { contentHolds, Outcome, type Tracking } from '../tracking.ts';
import { nextTcpState, Segment, TCP_STATE_NAMES, TcpState } from './tcp-states.ts';
import {
  before,
  inWindow,
  readSynOptions,
  SenderField,
  SenderFlag,
  segmentEnd,
  senderAt,
  senderFlags,
  setSenderFlag,
  TcpField,
  Window,
} from './tcp-window.ts';

const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;
const URG = 32;
/** Combinations of FIN, SYN, RST, ACK and URG that occur (tcp_valid_flags) are 1; PSH, ECE and CWR may always stand beside them. */
const VALID_FLAGS = new Uint8Array(64);
for (const flags of [SYN, SYN | URG, SYN | ACK, RST, RST | ACK, FIN | ACK, FIN | ACK | URG, ACK, ACK | URG]) {
  VALID_FLAGS[flags] = 1;
}

function segmentKind(flags: number): number {
  if (flags & RST) return Segment.rst;
  if (flags & SYN) return flags & ACK ? Segment.synAck : Segment.syn;
  if (flags & FIN) return Segment.fin;
  return flags & ACK ? Segment.ack : Segment.none;
}

/** Why the segment is broken in itself, and what the kernel says of it in its log; null if it is not (tcp_error). */
function fault(
  packet: Packet,
  at: HookState,
  tracking: Tracking,
): readonly [reason: string, complaint?: string] | null {
  const { bytes, transport } = packet;
  const length = bytes.length - transport;
  if (length < 20) return ['the TCP header is cut off'];
  const header = (bytes[transport + 12]! >>> 4) * 4;
  if (header < 20 || header > length) return ['the TCP header is malformed', 'truncated packet'];
  if (!contentHolds(packet, at, tracking)) return ['bad TCP checksum', 'bad checksum'];
  if (VALID_FLAGS[bytes[transport + 13]! & (FIN | SYN | RST | ACK | URG)] === 0) {
    return ['invalid TCP flag combination', 'invalid tcp flag combination'];
  }
  return null;
}

/** First packet of a connection (tcp_new); false if a connection cannot begin so. */
function begin(entry: Entry, packet: Packet, kind: number, tracking: Tracking): boolean {
  const { words } = entry;
  const first = nextTcpState(0, kind, TcpState.none);
  if (first === TcpState.invalid) {
    tracking.reason('a TCP connection does not begin like this', 'invalid new');
    return false;
  }
  if (first !== TcpState.synSent && !tracking.settings.tcpLoose) {
    tracking.reason('connections under way are not picked up (nf_conntrack_tcp_loose=0)');
    return false;
  }
  const at = entry.base + Field.protocol;
  for (let i = 0; i < 15; i++) words[at + i] = 0;
  const sender = senderAt(entry, 0);
  const window = readUint16(packet.bytes, packet.transport + 14) || 1;
  words[sender + SenderField.end] = segmentEnd(packet);
  words[sender + SenderField.maxWindow] = window;
  words[sender + SenderField.maxEnd] = words[sender + SenderField.end]!;
  if (first === TcpState.synSent) {
    readSynOptions(packet, words, sender + SenderField.options);
  } else {
    words[sender + SenderField.maxEnd]! += window;
    // The history is unknown: assume SACK, and be liberal, since the window scale is unknown too.
    setSenderFlag(entry, 0, SenderFlag.sackPermitted | SenderFlag.liberal);
    setSenderFlag(entry, 1, SenderFlag.sackPermitted | SenderFlag.liberal);
  }
  words[at] = Segment.none << 24;
  return true;
}

function lastDirection(word: number): number {
  return (word >>> 8) & 0xff;
}
function lastKind(word: number): number {
  return word >>> 24;
}
function setLast(entry: Entry, kind: number, direction: number): void {
  const at = entry.base + Field.protocol;
  entry.words[at] = (entry.words[at]! & 0x00ff00ff) | (direction << 8) | (kind << 24);
}

/** A packet of a TCP connection (nf_conntrack_tcp_packet). */
export function tcpPacket(
  entry: Entry,
  direction: Direction,
  packet: Packet,
  at: HookState,
  tracking: Tracking,
): Outcome {
  const broken = fault(packet, at, tracking);
  if (broken !== null) {
    tracking.reason(...broken);
    return Outcome.invalid;
  }
  const { bytes, transport } = packet;
  const { words } = entry;
  const own = entry.base + Field.protocol;
  const flags = bytes[transport + 13]!;
  const kind = segmentKind(flags);
  if (!entry.confirmed && !begin(entry, packet, kind, tracking)) return Outcome.invalid;

  let previous = words[own]! & 0xff;
  let after = nextTcpState(direction, kind, previous);
  let checkWindow = true;
  switch (after) {
    case TcpState.synSent:
      if (previous < TcpState.timeWait) break;
      if (
        (senderFlags(entry, 0) | senderFlags(entry, 1)) & SenderFlag.closeInit ||
        (lastDirection(words[own]!) === direction && lastKind(words[own]!) === Segment.rst)
      ) {
        // A new connection over a closed or aborted one.
        tracking.kill(entry);
        return Outcome.again;
      }
      return ignored(entry, direction, packet, kind, previous, tracking);
    case TcpState.ignore:
      if (!synchronise(entry, direction, packet, kind)) {
        return ignored(entry, direction, packet, kind, previous, tracking);
      }
      previous = TcpState.synSent;
      after = TcpState.synRecv;
      break;
    case TcpState.invalid:
      if (isSynproxyKeepAlive(entry, direction, packet, kind, previous)) return Outcome.accept;
      tracking.reason(
        `no such segment in state ${TCP_STATE_NAMES[previous]}`,
        `packet (index ${kind}) in dir ${direction} invalid, state ${TCP_STATE_NAMES[previous]}`,
      );
      return Outcome.invalid;
    case TcpState.timeWait: {
      const expectsChallenge = (words[own + TcpField.last]! >>> 24) & SenderFlag.expectChallengeAck;
      if (
        previous === TcpState.lastAck &&
        kind === Segment.ack &&
        lastDirection(words[own]!) !== direction &&
        lastKind(words[own]!) === Segment.syn &&
        expectsChallenge
      ) {
        words[own + TcpField.last]! &= ~(SenderFlag.expectChallengeAck << 24);
        tracking.reason('challenge ACK, ignored', 'challenge-ack ignored');
        return Outcome.accept;
      }
      break;
    }
    case TcpState.synSent2:
      words[own + TcpField.last]! |= SenderFlag.simultaneousOpen << 24;
      break;
    case TcpState.synRecv:
      if (
        direction === 1 &&
        kind === Segment.ack &&
        (words[own + TcpField.last]! >>> 24) & SenderFlag.simultaneousOpen
      ) {
        after = TcpState.established;
      }
      break;
    case TcpState.close:
      if (kind === Segment.rst) {
        const verdict = judgeReset(entry, direction, packet, previous, tracking);
        if (verdict === Reset.invalid) return Outcome.invalid;
        if (verdict === Reset.keepState || verdict === Reset.keepStateCertain) after = previous;
        checkWindow = verdict !== Reset.certain && verdict !== Reset.keepStateCertain;
      }
      break;
  }

  if (checkWindow) {
    const verdict = inWindow(entry, direction, kind, packet, tracking);
    if (verdict === Window.ignore) return Outcome.accept;
    if (verdict === Window.invalid) {
      lowerTimeout(entry, direction, kind, tracking);
      return Outcome.invalid;
    }
  }

  setLast(entry, kind, direction);
  words[own] = (words[own]! & 0xffffff00) | after;
  if (previous !== after && after === TcpState.finWait) setSenderFlag(entry, direction, SenderFlag.closeInit);
  return renew(entry, direction, packet, kind, previous, after, tracking);
}

/** The connection is closed by this machine (nf_conntrack_tcp_set_closing). */
export function closeTcp(entry: Entry, tracking: Tracking): void {
  const own = entry.base + Field.protocol;
  const word = entry.words[own]!;
  if ((word & 0xff) === TcpState.close) return;
  entry.words[own] = (word & 0xffffff00) | TcpState.close;
  if ((entry.status & Status.fixedTimeout) === 0)
    entry.expiry = tracking.now() + tracking.settings.tcp[TcpState.close]!;
}

/** Timeout, ASSURED and accounting after a segment that was in order. */
function renew(
  entry: Entry,
  direction: Direction,
  packet: Packet,
  kind: number,
  previous: number,
  after: number,
  tracking: Tracking,
): Outcome {
  const { words } = entry;
  const own = entry.base + Field.protocol;
  const timeouts = tracking.settings.tcp;
  const retrans = timeouts[TCP_RETRANS]!;
  const unacknowledged = timeouts[TCP_UNACKNOWLEDGED]!;
  let timeout = timeouts[after]!;
  if (((words[own]! >>> 16) & 0xff) >= tracking.settings.tcpMaxRetrans && timeout > retrans) timeout = retrans;
  else if (kind === Segment.rst) timeout = timeouts[TcpState.close]!;
  else if ((senderFlags(entry, 0) | senderFlags(entry, 1)) & SenderFlag.unacknowledged && timeout > unacknowledged) {
    timeout = unacknowledged;
  } else if ((words[own + TcpField.last]! & 0xffff) === 0 && timeout > retrans) timeout = retrans;

  if ((entry.status & Status.seenReply) === 0) {
    if (kind === Segment.rst) {
      // Nothing but a RST came back: there never was a connection.
      tracking.account(entry, direction, packet);
      tracking.kill(entry);
      return Outcome.accept;
    }
    if (kind === Segment.syn && previous === TcpState.synSent) return Outcome.accept;
    if (after === TcpState.established && timeout > unacknowledged) timeout = unacknowledged;
  } else if (
    (entry.status & Status.assured) === 0 &&
    (previous === TcpState.synRecv || previous === TcpState.established) &&
    after === TcpState.established
  ) {
    entry.status |= Status.assured;
  }
  tracking.refresh(entry, direction, packet, timeout);
  return Outcome.accept;
}

/**
 * A SYN+ACK that acknowledges a SYN which was let through without effect: both ends are in step, only we were not.
 * Takes over what was noted of that SYN.
 */
function synchronise(entry: Entry, direction: Direction, packet: Packet, kind: number): boolean {
  const { words } = entry;
  const own = entry.base + Field.protocol;
  const last = lastDirection(words[own]!);
  if (
    kind !== Segment.synAck ||
    lastKind(words[own]!) !== Segment.syn ||
    last === direction ||
    readUint32(packet.bytes, packet.transport + 8) !== words[own + TcpField.lastEnd]
  ) {
    return false;
  }
  const opener = senderAt(entry, last);
  const noted = words[own + TcpField.last]! & ~(SenderFlag.expectChallengeAck << 24);
  words[own + TcpField.last] = noted;
  words[opener + SenderField.end] = words[own + TcpField.lastEnd]!;
  words[opener + SenderField.maxEnd] = words[own + TcpField.lastEnd]!;
  words[opener + SenderField.maxWindow] = noted & 0xffff || 1;
  words[opener + SenderField.options] = ((noted >>> 16) & 0xff) | ((noted >>> 24) << 8);
  const answerer = senderAt(entry, direction);
  words[answerer + SenderField.end] = 0;
  words[answerer + SenderField.maxEnd] = 0;
  words[answerer + SenderField.maxWindow] = 0;
  words[answerer + SenderField.maxAck] = 0;
  words[answerer + SenderField.options]! &= SenderFlag.liberal << 8;
  return true;
}

/** The segment passes but changes nothing, beyond a note for when the answer comes. */
function ignored(
  entry: Entry,
  direction: Direction,
  packet: Packet,
  kind: number,
  state: number,
  tracking: Tracking,
): Outcome {
  const { words } = entry;
  const { bytes, transport } = packet;
  const own = entry.base + Field.protocol;
  setLast(entry, kind, direction);
  words[own + TcpField.lastSequence] = readUint32(bytes, transport + 4);
  words[own + TcpField.lastEnd] = segmentEnd(packet);
  words[own + TcpField.last] = (words[own + TcpField.last]! & 0xffff0000) | readUint16(bytes, transport + 14);
  if (kind === Segment.syn && direction === 0) {
    const options = new Uint32Array(1);
    readSynOptions(packet, options, 0);
    let flags = (options[0]! >>> 8) & (SenderFlag.windowScale | SenderFlag.sackPermitted);
    const scale = flags & SenderFlag.windowScale ? options[0]! & 0xff : 0;
    if (state === TcpState.lastAck) flags |= SenderFlag.expectChallengeAck;
    words[own + TcpField.last] = (words[own + TcpField.last]! & 0xffff) | (scale << 16) | (flags << 24);
  }
  if (state === TcpState.synSent && kind === Segment.ack && direction === 1) {
    words[own + TcpField.lastAck] = readUint32(bytes, transport + 8);
  }
  tracking.reason(
    `let through without effect in state ${TCP_STATE_NAMES[state]}`,
    `packet (index ${kind}) in dir ${direction} ignored, state ${TCP_STATE_NAMES[state]}`,
  );
  return Outcome.accept;
}

/** The client of SYNPROXY may probe while the server has not answered yet. */
function isSynproxyKeepAlive(entry: Entry, direction: Direction, packet: Packet, kind: number, state: number): boolean {
  const { words } = entry;
  return (
    entry.has(Extra.synproxy) &&
    state === TcpState.synSent &&
    kind === Segment.ack &&
    direction === 0 &&
    lastDirection(words[entry.base + Field.protocol]!) === 0 &&
    (words[senderAt(entry, 0) + SenderField.end]! - 1) >>> 0 === readUint32(packet.bytes, packet.transport + 4)
  );
}

const Reset = { check: 0, certain: 1, keepState: 2, keepStateCertain: 3, invalid: 4 } as const;

/** Whether a RST closes, is to be checked against the window, keeps the state (it may provoke a challenge ACK), or is invalid. */
function judgeReset(entry: Entry, direction: Direction, packet: Packet, state: number, tracking: Tracking): number {
  const { words } = entry;
  const { bytes, transport } = packet;
  const own = entry.base + Field.protocol;
  const word = words[own]!;
  const sequence = readUint32(bytes, transport + 4);
  if (state >= TcpState.finWait && state <= TcpState.close) return Reset.certain;
  let keep = false;
  const other = 1 - direction;
  if (senderFlags(entry, other) & SenderFlag.maxAckSet && lastKind(word) !== Segment.syn) {
    const established = state === TcpState.established && (entry.status & Status.assured) !== 0;
    const maxAck = words[senderAt(entry, other) + SenderField.maxAck]!;
    if (sequence === 0 && !established) return Reset.check;
    if (before(sequence, maxAck) && !tracking.settings.tcpIgnoreInvalidRst) {
      tracking.reason('RST with a sequence number acknowledged before', 'invalid rst');
      return Reset.invalid;
    }
    if (!established || sequence === maxAck) return Reset.check;
    if (
      lastKind(word) === Segment.ack &&
      lastDirection(word) === direction &&
      sequence === words[own + TcpField.lastEnd]
    ) {
      return Reset.check;
    }
    keep = true;
  }
  const ack = readUint32(bytes, transport + 8);
  if (
    (((entry.status & Status.seenReply) !== 0 && lastKind(word) === Segment.syn && lastDirection(word) !== direction) ||
      ((entry.status & Status.assured) === 0 && lastKind(word) === Segment.ack)) &&
    ack === words[own + TcpField.lastEnd]
  ) {
    return keep ? Reset.keepStateCertain : Reset.certain;
  }
  if (
    state === TcpState.synSent &&
    lastKind(word) === Segment.ack &&
    lastDirection(word) === 1 &&
    sequence === words[own + TcpField.lastAck]
  ) {
    return keep ? Reset.keepStateCertain : Reset.certain;
  }
  return keep ? Reset.keepState : Reset.check;
}

/** FIN or RST out of the window from both sides: the ends have closed, so do not wait for days (nf_tcp_handle_invalid). */
function lowerTimeout(entry: Entry, direction: Direction, kind: number, tracking: Tracking): void {
  if ((entry.status & Status.assured) === 0 || (entry.status & Status.fixedTimeout) !== 0) return;
  if (kind !== Segment.rst && kind !== Segment.fin) return;
  const word = entry.words[entry.base + Field.protocol]!;
  const last = lastKind(word);
  if (lastDirection(word) === direction || (last !== Segment.fin && last !== Segment.rst)) {
    setLast(entry, kind, direction);
    return;
  }
  const now = tracking.now();
  const left = entry.remaining(now);
  const shorter = tracking.settings.tcp[TCP_UNACKNOWLEDGED]!;
  if (left < 120e6 || left <= shorter) return;
  entry.expiry = now + shorter;
  const what = `packet (index ${kind}, dir ${direction}) response for index ${last}`;
  tracking.complain(`${what} lower timeout to ${shorter / JIFFY}`);
}
