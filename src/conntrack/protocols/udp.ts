import { Hook, type HookState } from '../../datapath/hooks.ts';
import { readUint16 } from '../../packet/bytes.ts';
import { partialChecksumHolds } from '../../packet/checksum.ts';
import type { Packet } from '../../packet/packet.ts';
import { Protocol } from '../../packet/protocol.ts';
import { type Direction, Status } from '../connection.ts';
import type { Entry } from '../entry.ts';
import { Field } from '../table.ts';
import { contentHolds, Outcome, type Tracking } from '../tracking.ts';

/** A flow younger than this is a question and its answer, not a stream. */
const STREAM_AGE = 2e6;

/** Why it is broken, and what the kernel says of it in its log. */
type Fault = readonly [reason: string, complaint: string];

function udpFault(packet: Packet, at: HookState, tracking: Tracking): Fault | null {
  const { bytes, transport } = packet;
  const length = bytes.length - transport;
  if (length < 8) return ['the UDP header is cut off', 'short packet'];
  const stated = readUint16(bytes, transport + 4);
  if (stated > length || stated < 8) return ['the UDP length is wrong', 'truncated/malformed packet'];
  if (readUint16(bytes, transport + 6) === 0) return null;
  if (!contentHolds(packet, at, tracking)) return ['bad UDP checksum', 'bad checksum'];
  return null;
}

/** A packet of a UDP flow (nf_conntrack_udp_packet): after two seconds with traffic both ways it is a stream and ASSURED. */
export function udpPacket(
  entry: Entry,
  direction: Direction,
  packet: Packet,
  at: HookState,
  tracking: Tracking,
): Outcome {
  const fault = udpFault(packet, at, tracking);
  if (fault !== null) {
    tracking.reason(...fault);
    return Outcome.invalid;
  }
  const streamFrom = (entry.base + Field.protocol) >>> 1;
  const now = tracking.now();
  if (!entry.confirmed) entry.doubles[streamFrom] = now + STREAM_AGE;
  const { udp, udpStream } = tracking.settings;
  if ((entry.status & Status.seenReply) === 0) {
    tracking.refresh(entry, direction, packet, udp);
    return Outcome.accept;
  }
  const stream = now > entry.doubles[streamFrom]!;
  tracking.refresh(entry, direction, packet, stream ? udpStream : udp);
  if (stream && (entry.status & Status.natClash) === 0) entry.status |= Status.assured;
  return Outcome.accept;
}

function udpliteFault(packet: Packet, at: HookState, tracking: Tracking): Fault | null {
  const { bytes, transport } = packet;
  const length = bytes.length - transport;
  if (length < 8) return ['the UDPlite header is cut off', 'short packet'];
  const coverage = readUint16(bytes, transport + 4) || length;
  if (coverage < 8 || coverage > length) return ['wrong checksum coverage', 'invalid checksum coverage'];
  if (readUint16(bytes, transport + 6) === 0) return ['UDPlite without a checksum', 'checksum missing'];
  if (
    tracking.settings.checksum &&
    at.hook === Hook.prerouting &&
    // The kernel sums with the protocol number of UDP, so that packets right by RFC 3828 are INVALID (measured on 6.18).
    !partialChecksumHolds(packet, coverage, Protocol.udp)
  ) {
    return ['bad UDPlite checksum', 'bad checksum'];
  }
  return null;
}

/** A packet of a UDPlite flow: ASSURED as soon as there was traffic both ways (nf_conntrack_udplite_packet). */
export function udplitePacket(
  entry: Entry,
  direction: Direction,
  packet: Packet,
  at: HookState,
  tracking: Tracking,
): Outcome {
  const fault = udpliteFault(packet, at, tracking);
  if (fault !== null) {
    tracking.reason(...fault);
    return Outcome.invalid;
  }
  const { udp, udpStream } = tracking.settings;
  const replied = (entry.status & Status.seenReply) !== 0;
  tracking.refresh(entry, direction, packet, replied ? udpStream : udp);
  if (replied && (entry.status & Status.natClash) === 0) entry.status |= Status.assured;
  return Outcome.accept;
}
