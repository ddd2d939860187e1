import { Direction, Status } from '../conntrack/connection.ts';
import type { Entry } from '../conntrack/entry.ts';
import { directionOf } from '../conntrack/tracking.ts';
import { addressOf, invertTuple, locateTransport } from '../conntrack/tuple.ts';
import { Hook } from '../datapath/hooks.ts';
import { writeUint16 } from '../packet/bytes.ts';
import { internetChecksum, sumHolds, transportChecksum } from '../packet/checksum.ts';
import type { Packet } from '../packet/packet.ts';
import { Protocol } from '../packet/protocol.ts';
import { rewriteEnd, setAddressOnly, setEnd, writeAddress } from '../packet/rewrite.ts';
import type { Manip } from './allocate.ts';

const REDIRECT = 5;
const REDIRECT6 = 137;

/**
 * Translates an ICMP error of a translated connection: outside like a packet of its direction, and the quoted packet the other way round
 * (nf_nat_icmp_reply_translation and its IPv6 counterpart). False: the packet is to be dropped. `target` is scratch space.
 */
export function translateError(packet: Packet, entry: Entry, manip: Manip, hook: Hook, target: Uint32Array): boolean {
  const { family, bytes, transport } = packet;
  const icmp = family === 4 ? Protocol.icmp : Protocol.icmpv6;
  const inner = transport + 8;
  if (inner + (family === 4 ? 20 : 40) > bytes.length) return false;
  if (!sumHolds(packet, hook === Hook.prerouting || hook === Hook.input, icmp)) return false;
  if (bytes[transport] === (family === 4 ? REDIRECT : REDIRECT6)) {
    const done = Status.sourceNatDone | Status.destinationNatDone;
    if ((entry.status & done) !== done) return false;
    if ((entry.status & (Status.sourceNat | Status.destinationNat)) !== 0) return false;
  }
  const direction = directionOf(packet);
  let bit: number = manip === 'source' ? Status.sourceNat : Status.destinationNat;
  if (direction === Direction.reply) bit ^= Status.sourceNat | Status.destinationNat;
  if ((entry.status & bit) === 0) return true;

  const opposite = entry.tupleAt(direction === Direction.original ? Direction.reply : Direction.original);
  if (!translateQuote(packet, inner, entry.words, opposite, manip === 'source' ? 'destination' : 'source'))
    return false;
  const length = bytes.length;
  writeUint16(bytes, transport + 2, 0);
  const sum =
    family === 4
      ? internetChecksum(bytes, transport, length)
      : transportChecksum(bytes, transport, length, packet.src, packet.dst, icmp);
  writeUint16(bytes, transport + 2, sum);

  invertTuple(entry.words, opposite, target, 0);
  const address = addressOf(target, manip === 'source' ? 0 : 4);
  if (family === 4) setAddressOnly(packet, manip, address);
  else setEnd(packet, manip, address);
  return true;
}

/** Changes one end of the quoted packet into what `tuple` says. */
function translateQuote(packet: Packet, inner: number, tuple: Uint32Array, at: number, manip: Manip): boolean {
  const { bytes, family } = packet;
  const address = addressOf(tuple, manip === 'source' ? at : at + 4);
  const place = locateTransport(bytes, family, inner);
  if (place === null) {
    writeAddress(bytes, family, inner, manip, address);
    return true;
  }
  const ports = tuple[at + 8]!;
  const protocol = tuple[at + 9]! & 0xff;
  const identified = protocol === Protocol.icmp || protocol === Protocol.icmpv6;
  const port = manip === 'source' || identified ? ports >>> 16 : ports & 0xffff;
  // Less than eight bytes of the transport header: nothing can be changed, and the packet is dropped.
  return rewriteEnd(bytes, family, inner, place.transport, bytes.length, place.protocol, manip, address, port);
}
