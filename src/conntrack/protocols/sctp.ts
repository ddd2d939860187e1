import { Hook, type HookState } from '../../datapath/hooks.ts';
import { readUint16, readUint32 } from '../../packet/bytes.ts';
import { sctpChecksumHolds } from '../../packet/checksum.ts';
import type { Packet } from '../../packet/packet.ts';
import { type Direction, Status } from '../connection.ts';
import type { Entry } from '../entry.ts';
import { Field } from '../table.ts';
import { Outcome, type Tracking } from '../tracking.ts';
import { Chunk, nextSctpState, SCTP_STATE_NAMES, SctpState } from './sctp-states.ts';

/** Words of an SCTP entry (`struct ip_ct_sctp`), counted from `Field.protocol`. */
export const SctpField = {
  /** state, last direction, flags, INIT seen in each direction (bits 24 and 25). */
  state: 0,
  /** Verification tags of both directions. */
  tags: 1,
} as const;
const HEARTBEAT_TAG_FAILED = 1 << 16;
const INIT_SEEN = 1 << 24;
/** T bit of ABORT and SHUTDOWN COMPLETE: the tag is the peer's. */
const FLAG_T = 1;
const HEADER = 12;

interface ChunkSight {
  type: number;
  flags: number;
  offset: number;
}

/** A word in network order as the kernel prints it on a machine that has the low byte first. */
function swappedHex(word: number): string {
  const [a, b, c, d] = [word >>> 24, (word >>> 16) & 0xff, (word >>> 8) & 0xff, word & 0xff];
  return (((d << 24) | (c << 16) | (b << 8) | a) >>> 0).toString(16);
}

/** The chunks, or what the kernel says in its log if they cannot stand together (do_basic_checks). */
function readChunks(packet: Packet): ChunkSight[] | string {
  const { bytes, transport } = packet;
  const chunks: ChunkSight[] = [];
  let alone = false;
  for (let offset = transport + HEADER; offset < bytes.length && offset + 4 <= bytes.length; ) {
    const type = bytes[offset]!;
    const length = readUint16(bytes, offset + 2);
    if (type === Chunk.init || type === Chunk.initAck || type === Chunk.shutdownComplete) alone = true;
    const mustBeFirst = type === Chunk.cookieAck || type === Chunk.cookieEcho || alone;
    if ((mustBeFirst && chunks.length > 0) || length === 0) {
      // The length in network order, as on a machine that has the low byte first; the line goes on after an end of line.
      const swapped = ((length & 0xff) << 8) | (length >>> 8);
      return `do_basic_checks failed. chunk num ${chunks.length}, type ${type}, len ${swapped} flag ${Number(alone)}\n`;
    }
    chunks.push({ type, flags: bytes[offset + 1]!, offset });
    offset += (length + 3) & ~3;
  }
  return chunks;
}

/** Chunks whose tag has rules of its own (RFC 9260, 8.5.1). */
const TAG_EXEMPT: ReadonlySet<number> = new Set([
  Chunk.init,
  Chunk.shutdownComplete,
  Chunk.cookieEcho,
  Chunk.abort,
  Chunk.shutdownAck,
  Chunk.heartbeat,
  Chunk.heartbeatAck,
]);
const NEVER_FIRST: ReadonlySet<number> = new Set([Chunk.abort, Chunk.shutdownComplete, Chunk.cookieAck]);

/** A packet of an SCTP association (nf_conntrack_sctp_packet). */
export function sctpPacket(
  entry: Entry,
  direction: Direction,
  packet: Packet,
  at: HookState,
  tracking: Tracking,
): Outcome {
  const refuse = (reason: string, complaint?: string): Outcome => {
    tracking.reason(reason, complaint);
    return Outcome.invalid;
  };
  const { bytes, transport } = packet;
  const { words } = entry;
  if (transport + HEADER > bytes.length) return refuse('the SCTP header is cut off', 'nf_ct_sctp: short packet ');
  if (tracking.settings.checksum && at.hook === Hook.prerouting && !sctpChecksumHolds(bytes, transport, bytes.length)) {
    return refuse('bad SCTP checksum', 'nf_ct_sctp: bad CRC ');
  }
  const chunks = readChunks(packet);
  if (typeof chunks === 'string') return refuse('these SCTP chunks cannot stand together', chunks);
  if (chunks.length === 0) return refuse('no SCTP chunks');
  const own = entry.base + Field.protocol;
  const tags = own + SctpField.tags;
  const tag = readUint32(bytes, transport + 4);
  if (!entry.confirmed) {
    if (chunks.some((chunk) => NEVER_FIRST.has(chunk.type)) || !begin(entry, packet, chunks, tag)) {
      return refuse('an SCTP association does not begin like this');
    }
  }
  if (!chunks.some((chunk) => TAG_EXEMPT.has(chunk.type)) && tag !== words[tags + direction]) {
    const complaint = `verification tag check failed ${swappedHex(tag)} vs ${swappedHex(words[tags + direction]!)} for dir ${direction}`;
    return refuse('wrong SCTP verification tag', complaint);
  }

  const other = 1 - direction;
  const hasData = chunks.some((chunk) => chunk.type === Chunk.data);
  let withoutEffect = false;
  let after: number = SctpState.none;
  for (const chunk of chunks) {
    const tagVerdict = judgeTag(entry, direction, chunk, tag, hasData || withoutEffect);
    if (tagVerdict === TagVerdict.wrong) return refuse('wrong SCTP verification tag');
    if (tagVerdict === TagVerdict.skip) {
      withoutEffect = true;
      continue;
    }
    const before = words[own]! & 0xff;
    after = nextSctpState(direction, chunk.type, before);
    if (after === SctpState.invalid) {
      return refuse(
        `no such SCTP chunk in state ${SCTP_STATE_NAMES[before]}`,
        `Invalid, old_state ${before}, dir ${direction}, type ${chunk.type}`,
      );
    }
    if (chunk.type === Chunk.init || chunk.type === Chunk.initAck) {
      if (chunk.offset + 20 > bytes.length) return refuse('the SCTP chunk is cut off');
      const initTag = readUint32(bytes, chunk.offset + 4);
      if (chunk.type === Chunk.init) {
        noteInit(entry, direction, before, initTag);
        if (after === SctpState.closed && before === SctpState.closed && entry.confirmed) withoutEffect = true;
      } else {
        const known = words[tags + other]!;
        const initBack = (words[own]! & (INIT_SEEN << other)) !== 0;
        if (!initBack && known !== 0 && known !== initTag) return refuse('INIT ACK with another tag');
        if (initBack && (words[own]! & (INIT_SEEN << direction)) !== 0 && known !== initTag) {
          return refuse('INIT ACK of a collision with another tag');
        }
      }
      words[tags + other] = initTag;
    }
    words[own] = (words[own]! & ~0xff) | after;
    if (before !== after && after === SctpState.established) entry.status |= Status.assured;
  }
  if (withoutEffect) return Outcome.accept;
  tracking.refresh(entry, direction, packet, tracking.settings.sctp[after]!);
  return Outcome.accept;
}

/** sctp_new: false if an association cannot begin so. */
function begin(entry: Entry, packet: Packet, chunks: readonly ChunkSight[], tag: number): boolean {
  const { words } = entry;
  const own = entry.base + Field.protocol;
  words.fill(0, own, own + 15);
  for (const chunk of chunks) {
    const first = nextSctpState(0, chunk.type, SctpState.none);
    if (first === SctpState.none || first === SctpState.invalid) return false;
    if (chunk.type === Chunk.init) {
      if (tag !== 0 || chunk.offset + 20 > packet.bytes.length) return false;
      words[own + SctpField.tags + 1] = readUint32(packet.bytes, chunk.offset + 4);
    } else if (chunk.type === Chunk.heartbeat) words[own + SctpField.tags] = tag;
    else if (chunk.type === Chunk.shutdownAck) words[own + SctpField.tags + 1] = tag;
  }
  return true;
}

const TagVerdict = { right: 0, wrong: 1, skip: 2 } as const;

/** Verification tag rules of single chunks (RFC 9260, 8.5.1), and heartbeats on a path not seen before. */
function judgeTag(entry: Entry, direction: Direction, chunk: ChunkSight, tag: number, strict: boolean): number {
  const { words } = entry;
  const own = entry.base + Field.protocol;
  const tags = own + SctpField.tags;
  const mine = words[tags + direction]!;
  const other = 1 - direction;
  switch (chunk.type) {
    case Chunk.init:
      return tag === 0 ? TagVerdict.right : TagVerdict.wrong;
    case Chunk.abort:
    case Chunk.shutdownComplete:
      return tag === (chunk.flags & FLAG_T ? words[tags + other] : mine) ? TagVerdict.right : TagVerdict.wrong;
    case Chunk.cookieEcho:
      return tag === mine ? TagVerdict.right : TagVerdict.wrong;
    case Chunk.cookieAck:
      words[own]! &= ~(INIT_SEEN * 3);
      return TagVerdict.right;
    case Chunk.heartbeat:
      if (mine === 0) words[tags + direction] = tag;
      else if (tag !== mine) {
        if (strict) return TagVerdict.wrong;
        words[own] = (words[own]! & ~0xff00) | HEARTBEAT_TAG_FAILED | (direction << 8);
        return TagVerdict.skip;
      } else words[own]! &= ~HEARTBEAT_TAG_FAILED;
      return TagVerdict.right;
    case Chunk.heartbeatAck:
      if (mine === 0) words[tags + direction] = tag;
      else if (tag !== mine) {
        const failed = (words[own]! & HEARTBEAT_TAG_FAILED) !== 0;
        if (strict || !failed || ((words[own]! >>> 8) & 0xff) === direction) return TagVerdict.wrong;
        words[tags + direction] = tag;
        words[tags + other] = 0;
        words[own]! &= ~HEARTBEAT_TAG_FAILED;
      } else words[own]! &= ~HEARTBEAT_TAG_FAILED;
      return TagVerdict.right;
    default:
      return TagVerdict.right;
  }
}

/** Remembers in which direction an INIT went, unless it is an old one sent again. */
function noteInit(entry: Entry, direction: Direction, before: number, initTag: number): void {
  const { words } = entry;
  const own = entry.base + Field.protocol;
  const other = 1 - direction;
  if (before !== SctpState.none && words[own + SctpField.tags + other] === initTag) return;
  const here = INIT_SEEN << direction;
  const there = INIT_SEEN << other;
  if ((words[own]! & here) !== 0 && (words[own]! & there) !== 0) words[own]! &= ~there;
  words[own]! |= here;
}
